"""The page that tries another policy, or a region that is down, and changes nothing."""

from dataclasses import dataclass
from typing import Final

from placement.console.asked import Asked
from placement.console.comparing import (
    SOLE_SHOWN_MAX,
    Comparison,
    SourceChange,
    compare,
    sole_copies,
    sources_then,
)
from placement.console.decisions import Choice
from placement.console.moment import Moment, present
from placement.console.page import Page
from placement.console.policy_form import PolicyForm, policy_form
from placement.console.site import Site
from placement.core.copies import Image
from placement.core.deciding.ruling import Ruling, ruling_in_force
from placement.core.errors import (
    ContentUnknownError,
    InputError,
    ManifestUnknownError,
    NameUnknownError,
    PlacementError,
)
from placement.core.image_names import ImageName, parse_name
from placement.core.images import Selection, select_image
from placement.core.planning import images_of
from placement.core.supposing import suppose_down
from placement.core.topology import Region, parse_region
from placement.runtime.slices import in_slices

SECTION: Final = "/what-if"
NAME_LENGTH_MAX: Final = 400
_UNKNOWN: Final = (NameUnknownError, ManifestUnknownError, ContentUnknownError)


@dataclass(frozen=True, slots=True)
class Outage:
    """What a region that is down would mean: for starts, and for what it alone has."""

    region: Region
    name: str
    sources: tuple[SourceChange, ...]
    changed: int
    """Regions whose starts would wait otherwise."""
    sole: tuple[Image, ...]
    sole_count: int
    looked: int


@dataclass(frozen=True, slots=True)
class WhatIfModel:
    """The form, and what it would change."""

    form: PolicyForm
    policy: str
    image: str
    down: str
    regions: tuple[Choice, ...]
    comparison: Comparison | None
    outage: Outage | None
    problem: InputError | None
    """With the image, or the region."""


async def what_if(site: Site, asked: Asked) -> Page:
    """Return the form, and what would be otherwise."""
    now = present(site)
    in_force = ruling_in_force(now.state, now.now_ns)
    form = policy_form(asked, in_force, now.topology)
    comparison, outage, problem = None, None, None
    try:
        name, down = _named(asked), _down(now, asked)
        if form.ruling is not None and (form.changes or down):
            rulings = (in_force, form.ruling)
            comparison, outage = await _answered(now, rulings, name, down)
    except InputError as error:
        problem = error
    except PlacementError as error:
        if not isinstance(error, _UNKNOWN):
            raise
        remedy = f"{error}: search for a part of its name"
        problem = InputError("image", asked.query.get("image", ""), remedy)
    model = WhatIfModel(
        form,
        in_force.label,
        asked.query.get("image", ""),
        asked.query.get("down", ""),
        tuple(
            Choice(code, f"{code} \N{EN DASH} {now.topology.regions[code].name}")
            for code in sorted(now.topology.regions)
        ),
        comparison,
        outage,
        problem,
    )
    status = 400 if problem or form.ruling is None else 200
    values = {"model": model}
    return Page("what_if.html", "What if", values, SECTION, status, live=False)


def _named(asked: Asked) -> ImageName | None:
    text = asked.text("image", length_max=NAME_LENGTH_MAX)
    return parse_name(text, "image") if text else None


def _down(now: Moment, asked: Asked) -> Region | None:
    text = asked.text("down")
    if not text:
        return None
    region = parse_region(text, "down")
    if region not in now.topology.regions:
        raise InputError("down", text, "choose a region of the catalogue")
    return region


async def _answered(
    now: Moment,
    rulings: tuple[Ruling, Ruling],
    name: ImageName | None,
    down: Region | None,
) -> tuple[Comparison, Outage | None]:
    """Return what another policy and a region down change; raises as ``images_of``."""
    network = now.network
    then = network if down is None else suppose_down(network, frozenset({down}))
    repository = None if name is None else name.repository
    reference = None if name is None else name.reference
    images = images_of(now.state, repository, reference)
    comparison = await in_slices(compare((network, then), rulings, images))
    if down is None:
        return comparison, None
    sources: tuple[SourceChange, ...] = ()
    if repository is not None and reference is not None:
        selected = select_image(now.state, Selection(repository, reference))
        sources = await in_slices(sources_then((network, then), selected))
    images = images_of(now.state, repository, reference)
    sole, looked = await in_slices(sole_copies(network, images, down))
    outage = Outage(
        down,
        now.topology.regions[down].name,
        sources,
        sum(source.changes for source in sources),
        sole[:SOLE_SHOWN_MAX],
        len(sole),
        looked,
    )
    return comparison, outage
