"""The page that says how long a machine would wait for its image, by region."""

from dataclasses import dataclass
from typing import Final

from placement.console.asked import Asked, address
from placement.console.moment import AS_OF, Moment, When, moment
from placement.console.page import Page
from placement.console.site import Site
from placement.console.telling import BAD, GOOD, Mark
from placement.console.whereabouts import UNDER_WAY, WANTED
from placement.core.arrival import Arrival
from placement.core.candidates import parse_candidates
from placement.core.errors import (
    ContentUnknownError,
    InputError,
    ManifestUnknownError,
    PlatformUnknownError,
)
from placement.core.event import RegionState
from placement.core.image_names import parse_image
from placement.core.images import SelectedImage, Selection, select_image
from placement.core.oci import parse_platform
from placement.core.starts import StartEstimate, estimating
from placement.core.topology import Region
from placement.runtime.slices import in_slices

SECTION: Final = "/estimate"
IMAGES_LENGTH_MAX: Final = 1_024
IMAGES_MAX: Final = 4
"""Images of one machine on the form: more are for programs."""
REGIONS_LENGTH_MAX: Final = 512
CALIBRATED_MIN: Final = 10
"""So many starts have to tell what they had been promised before that says much."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How promises for a route were kept: of so many starts, so many in time."""

    source: Region
    start_count: int
    below_p50: int
    below_p90: int
    sentence: str


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """What a start in one region would wait; nanoseconds and bytes, None: unknown."""

    region: Region
    name: str
    condition: str
    storage: Region
    p50_ns: int | None
    p90_ns: int | None
    missing_bytes: int
    reason: str
    learned: str
    coming: Mark | None
    calibrated: Calibrated
    why_link: str


@dataclass(frozen=True, slots=True)
class EstimateModel:
    """What was asked, and the regions, the best first."""

    images: str
    regions: str
    platform: str
    rows: tuple[EstimateRow, ...]
    asked: bool
    names: tuple[str, ...]
    """The names that regions may be asked for by, beside their codes."""
    problem: InputError | None
    when: When


@dataclass(frozen=True, slots=True)
class StartsQuestion:
    """Which images a machine needs, and where it may start."""

    selections: tuple[Selection, ...]
    candidates: tuple[Region, ...]


async def estimate(site: Site, asked: Asked) -> Page:
    """Return the form, and what it was asked."""
    async with moment(site, asked) as now:
        rows: tuple[EstimateRow, ...] = ()
        problem = None
        try:
            question = question_of(now, asked)
            if question is not None:
                rows = await _estimated(now, question)
        except InputError as error:
            problem = error
        model = EstimateModel(
            asked.query.get("image", ""),
            asked.query.get("in", ""),
            asked.query.get("platform", ""),
            rows,
            bool(rows),
            tuple(sorted(set(now.topology.names()) - set(now.topology.regions))),
            problem,
            now.when,
        )
    status = 200 if problem is None else 400
    live = bool(rows) and not now.as_of
    return Page("estimate.html", "Estimate", {"model": model}, SECTION, status, live)


def question_of(now: Moment, asked: Asked) -> StartsQuestion | None:
    """Return what is asked; None: nothing yet. Raises InputError, naming the field."""
    text = asked.text("image", length_max=IMAGES_LENGTH_MAX)
    regions = asked.text("in", length_max=REGIONS_LENGTH_MAX)
    platform = parse_platform(asked.text("platform"))
    candidates = parse_candidates(now.topology, regions, "in")
    if not text:
        return None
    names = text.replace(",", " ").split()
    if len(names) > IMAGES_MAX:
        raise InputError("image", text, f"give 1 to {IMAGES_MAX} images")
    named = [parse_image(name, "image") for name in names]
    selections = [Selection(*name, platform) for name in named]
    return StartsQuestion(tuple(selections), candidates)


async def _estimated(now: Moment, question: StartsQuestion) -> tuple[EstimateRow, ...]:
    images = [_selected(now, each) for each in question.selections]
    found = await in_slices(estimating(now.network, images, question.candidates, ""))
    return tuple(estimate_row(now, images[0], each) for each in found)


def _selected(now: Moment, selection: Selection) -> SelectedImage:
    """Return what is meant; raises InputError for what is not known."""
    try:
        return select_image(now.state, selection)
    except PlatformUnknownError as error:
        said = str(error).partition("; ")[2] or "leave it out"
        raise InputError("platform", str(selection.platform), said) from None
    except (ContentUnknownError, ManifestUnknownError) as error:
        name = f"{selection.repository} {selection.reference}"
        remedy = f"{error}: search for a part of its name"
        raise InputError("image", name, remedy) from None


def estimate_row(
    now: Moment, image: SelectedImage, found: StartEstimate
) -> EstimateRow:
    """Return one region's estimate for people."""
    condition = now.network.region_state(found.region)
    selection = image.selection
    why = {"reference": selection.reference, "region": found.region, AS_OF: now.as_of}
    return EstimateRow(
        found.region,
        now.topology.regions[found.region].name,
        "" if condition is RegionState.ACTIVE else condition.name.lower(),
        found.storage,
        None if found.wait is None else found.wait.p50_ns,
        None if found.wait is None else found.wait.p90_ns,
        found.missing_bytes,
        found.reason,
        _learned(found.sample_count),
        _coming(found),
        calibrated(now, found),
        address(f"/images/{selection.repository}", why) + "#why",
    )


def _learned(sample_count: int) -> str:
    if not sample_count:
        return "distance alone"
    return f"{sample_count} transfer{'s' * (sample_count != 1)}"


def _coming(found: StartEstimate) -> Mark | None:
    """Return what is to come of the images; None: nobody asked for anything."""
    arrivals = {image.arrival for image in found.images}
    if found.wait is None:
        return Mark(BAD, "no source")
    if Arrival.UNDER_WAY in arrivals:
        return UNDER_WAY
    if Arrival.WANTED in arrivals:
        return WANTED
    return Mark(GOOD, "local") if arrivals == {Arrival.READY} else None


def calibrated(now: Moment, found: StartEstimate) -> Calibrated:
    """Return how promises of waits on the estimate's main route were kept."""
    sources = [image.source for image in found.images if image.source is not None]
    source = sources[0] if sources else found.storage
    count, below_p50, below_p90 = now.network.calibration(source, found.region)
    if not count:
        said = f"No start from {source} said yet what it had been promised."
    else:
        said = (
            f"Of {count:,} start{'s' * (count != 1)} from {source} that were promised "
            f"this, {below_p90:,} took at most p90 and {below_p50:,} at most p50."
        )
        if count < CALIBRATED_MIN:
            said += " That is too few to judge by."
    return Calibrated(source, count, below_p50, below_p90, said)
