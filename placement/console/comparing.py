"""What another policy, or a region that is down, would change: copies and sources."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from placement.core.copies import Candidate, Image
from placement.core.deciding.ruling import Ruling
from placement.core.event import Identifier
from placement.core.forecast import Forecaster
from placement.core.graph import standing
from placement.core.images import SelectedImage
from placement.core.network import Network
from placement.core.planning import planning
from placement.core.starts import StartEstimate, estimate_start
from placement.core.tables.table import ABSENT
from placement.core.topology import Region

IMAGES_MAX: Final = 500
"""Images that are planned for a comparison; further ones are counted."""
ROWS_SHOWN_MAX: Final = 100
SOLE_SHOWN_MAX: Final = 20

MORE: Final = "more"
LESS: Final = "less"
OTHERWISE: Final = "otherwise"
_SAID: Final = {
    MORE: "would be copied as well",
    LESS: "would not be copied",
    OTHERWISE: "would be copied otherwise",
}


@dataclass(frozen=True, slots=True)
class Totals:
    """What one plan comes to; seconds are those that starts are expected to save.

    None where its rule tells no chances.
    """

    copies: int
    transfer_bytes: int
    expected_seconds: float | None


@dataclass(frozen=True, slots=True)
class CopyChange:
    """A copy that only one of two plans makes, or that both make differently."""

    kind: str
    said: str
    repository: str
    digest: str
    tag: str
    way: tuple[Region, Region]
    """From where to where."""
    transfer_bytes: int
    saved_ns: int
    probability: float | None
    explanation: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two plans beside each other: the one in force, and the supposed one."""

    in_force: Totals
    supposed: Totals
    changes: tuple[CopyChange, ...]
    omitted_changes: int
    same: int
    considered: int
    unseen: int
    """Images that were not considered."""


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What a start in one region would wait, now and then; nanoseconds.

    None: nobody is known to hold all of it.
    """

    region: Region
    now_source: Region | None
    now_ns: int | None
    then_source: Region | None
    then_ns: int | None

    @property
    def changes(self) -> bool:
        """Whether anything would be otherwise."""
        now = (self.now_source, self.now_ns)
        return now != (self.then_source, self.then_ns)


def compare(
    networks: tuple[Network, Network],
    rulings: tuple[Ruling, Ruling],
    images: Iterator[Image | None],
) -> Generator[None, None, Comparison]:
    """Return what is copied in force, and what would be; let others run at each step.

    Of both pairs the first is what is in force, and the second what is supposed.
    """
    chosen: list[Image] = []
    unseen = 0
    for image in images:
        if image is not None and len(chosen) < IMAGES_MAX:
            chosen.append(image)
        elif image is not None:
            unseen += 1
        yield
    plans: list[list[Candidate]] = []
    for network, ruling in zip(networks, rulings, strict=True):
        forecaster = Forecaster(network.state, ruling.policy)
        residency = ruling.guardrails.residency
        steps = planning(network, iter(chosen), forecaster, residency, IMAGES_MAX)
        found, _ = yield from steps
        plans.append(found)
    before, after = ({_key(each): each for each in plan} for plan in plans)
    changes = list(_changes(before, after))
    return Comparison(
        _totals(plans[0]),
        _totals(plans[1]),
        tuple(changes[:ROWS_SHOWN_MAX]),
        max(0, len(changes) - ROWS_SHOWN_MAX),
        len(before.keys() & after.keys()) - sum(c.kind == OTHERWISE for c in changes),
        len(chosen),
        unseen,
    )


_Key = tuple[str, str, Region]


def _key(candidate: Candidate) -> _Key:
    return (candidate.image.repository, candidate.image.digest, candidate.target)


def _changes(
    before: dict[_Key, Candidate], after: dict[_Key, Candidate]
) -> Iterator[CopyChange]:
    for key, candidate in after.items():
        known = before.get(key)
        if known is None:
            yield _change(MORE, candidate)
        elif (known.source, known.transfer_bytes) != (
            candidate.source,
            candidate.transfer_bytes,
        ):
            yield _change(OTHERWISE, candidate)
    for key, candidate in before.items():
        if key not in after:
            yield _change(LESS, candidate)


def _change(kind: str, candidate: Candidate) -> CopyChange:
    image = candidate.image
    return CopyChange(
        kind,
        _SAID[kind],
        image.repository,
        image.digest,
        image.tags[0] if image.tags else "",
        (candidate.source, candidate.target),
        candidate.transfer_bytes,
        candidate.saved_ns,
        _probability(candidate),
        candidate.explanation,
    )


def _probability(candidate: Candidate) -> float | None:
    named = {factor.name: factor.value for factor in candidate.factors}
    return named.get(Identifier("probability"))


def _totals(plan: Sequence[Candidate]) -> Totals:
    chances = [_probability(candidate) for candidate in plan]
    expected: float | None = 0.0
    for chance, candidate in zip(chances, plan, strict=True):
        if chance is None or expected is None:
            expected = None
        else:
            expected += chance * candidate.saved_ns / 1e9
    moved = sum(candidate.transfer_bytes for candidate in plan)
    return Totals(len(plan), moved, expected)


def sources_then(
    networks: tuple[Network, Network], image: SelectedImage
) -> Generator[None, None, tuple[SourceChange, ...]]:
    """Return what starts of *image* would wait now and then, by region of the start."""
    found = []
    for region in sorted(networks[0].topology.regions):
        now, then = (estimate_start(each, [image], region) for each in networks)
        found.append(
            SourceChange(region, _source(now), _p50(now), _source(then), _p50(then))
        )
        yield
    return tuple(found)


def _source(found: StartEstimate) -> Region | None:
    """Return from where most of it comes; what is all there comes from its storage."""
    return found.images[0].source or (found.storage if found.wait else None)


def _p50(found: StartEstimate) -> int | None:
    return None if found.wait is None else found.wait.p50_ns


def sole_copies(
    network: Network, images: Iterator[Image | None], down: Region
) -> Generator[None, None, tuple[tuple[Image, ...], int]]:
    """Return the images that *down* alone has whole, and how many were looked at."""
    state = network.state
    found: list[Image] = []
    looked = 0
    region = state.regions.find(down.encode())
    for image in images:
        if image is None:
            yield
            continue
        if looked == IMAGES_MAX:
            break
        looked += 1
        owner = state.find_repository(image.repository)
        digest = state.find_digest(image.digest)
        placement = state.find_placement(image.repository, image.digest)
        if ABSENT not in {region, placement}:
            whole = [
                row
                for row in state.holders_of(placement)
                if standing(state, owner, digest, row).complete
            ]
            if whole == [region]:
                found.append(image)
        yield
    return tuple(found), looked
