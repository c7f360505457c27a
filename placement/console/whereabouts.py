"""Where an image is, by region and platform: what of it, since when, and what comes."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Final

from placement.console.telling import BAD, BUSY, GOOD, OFF, WAITS, Mark
from placement.core.arrival import Arrival
from placement.core.decisions import DecisionRecord, decision_at, latest_decision
from placement.core.event import RegionState
from placement.core.following import Progress, decision_progress
from placement.core.graph import contents, missing, size_of, variants
from placement.core.lookup import (
    PlacementRecord,
    RegionStanding,
    placement_of,
    standing_in,
)
from placement.core.network import Network
from placement.core.oci import ContentKind, Digest, Repository, Tag
from placement.core.tables.cells import DecisionStatus, ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

COMPLETE: Final = Mark(GOOD, "complete")
UNDER_WAY: Final = Mark(BUSY, "on its way")
WANTED: Final = Mark(WAITS, "wanted")
WITHHELD: Final = Mark(WAITS, "withheld")
PARTIAL: Final = Mark(BAD, "partial")
UNWANTED: Final = Mark(OFF, "not wanted")
PLATFORMS_SHOWN_MAX: Final = 12
"""Platforms that have a column of their own; images seldom have more."""
_HELD_BACK: Final = frozenset({DecisionStatus.WITHHELD, DecisionStatus.DEFERRED})


@dataclass(frozen=True, slots=True)
class PlatformPart:
    """What a region lacks of one platform, in bytes; 0 with *whole*: nothing."""

    platform: str
    whole: bool
    missing_bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """What one region has of an image, and what is to come; nanoseconds and bytes.

    *ready_p50_ns* is when all of it can be pulled there, from now, if it were fetched;
    None where nobody knows. *replication_id* is of the last decision to copy it there.
    """

    region: Region
    name: str
    condition: str
    """What operators said of the region; empty: it is active."""
    mark: Mark
    missing_bytes: int
    mountable_bytes: int
    since_ns: int
    parts: tuple[PlatformPart, ...]
    progress: Progress | None
    share: float | None
    """How much of what is to move has moved, 0 to 1, of a copy that is under way."""
    ready_p50_ns: int | None
    ready_p90_ns: int | None
    source: Region | None
    replication_id: str


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """An image, where it is, and who uses it."""

    record: PlacementRecord
    reference: str
    kind: str
    platforms: tuple[str, ...]
    omitted_platforms: int
    places: tuple[Place, ...]
    elsewhere: tuple[Region, ...]
    """The storage regions that have nothing of it, and want nothing."""

    @property
    def complete_count(self) -> int:
        """Return in how many regions all of it is."""
        return sum(place.mark is COMPLETE for place in self.places)

    @property
    def coming_count(self) -> int:
        """Return into how many regions it is on its way."""
        return sum(place.mark is UNDER_WAY for place in self.places)


def whereabouts_of(
    network: Network, repository: Repository, reference: Digest | Tag
) -> Generator[None, None, Whereabouts]:
    """Return where an image is; let others run at each step.

    Raises as ``lookup.resolve`` does.
    """
    state, topology = network.state, network.topology
    record = yield from placement_of(network, repository, reference)
    owner = state.find_repository(repository)
    digest = state.find_digest(record.content.digest)
    variants_of = [
        (str(platform), rows)
        for platform, rows in variants(state, digest)
        if platform is not None
    ]
    shown = variants_of[:PLATFORMS_SHOWN_MAX]
    yield
    places = []
    for standing in _standings(network, record, owner, digest):
        places.append(_place(network, (owner, digest), standing, shown))
        yield
    there = {place.region for place in places}
    storing = sorted(filter(topology.stores, topology.regions))
    return Whereabouts(
        record,
        reference,
        _kind(state.kind(digest)),
        tuple(platform for platform, _ in shown),
        len(variants_of) - len(shown),
        tuple(places),
        tuple(region for region in storing if region not in there),
    )


def _standings(
    network: Network, record: PlacementRecord, owner: Row, digest: Row
) -> list[RegionStanding]:
    """Return where it is or is wanted, and where a copy of it was held back."""
    state = network.state
    found = {standing.region: standing for standing in record.regions}
    placement = _own(network, (owner, digest))
    if placement == ABSENT:
        return list(record.regions)
    for decision in state.indexes.decisions.of(placement):
        one = decision_at(state, decision)
        if one.target not in found and one.status in _HELD_BACK:
            row = state.regions.find(one.target.encode())
            found[one.target] = standing_in(network, owner, digest, row)
    return [found[region] for region in sorted(found)]


def _place(
    network: Network,
    image: tuple[Row, Row],
    standing: RegionStanding,
    platforms: list[tuple[str, list[Row]]],
) -> Place:
    state, (owner, digest) = network.state, image
    row = state.regions.find(standing.region.encode())
    last = _last_decision(network, image, row)
    progress = share = None
    if last is not None and last.open and not last.removal:
        progress = decision_progress(network, last)
        if progress.transfer_bytes and last.status is DecisionStatus.STARTED:
            share = min(1.0, progress.transferred_bytes / progress.transfer_bytes)
    whole_bytes = size_of(state, contents(state, digest))
    some = standing.phase is not ReplicaPhase.ABSENT
    some = some or standing.missing_bytes < whole_bytes
    mark = _mark(standing, last, some=some)
    ready = None if standing.expectation is None else standing.expectation.ready
    if mark is COMPLETE:
        ready = None
    entry = network.topology.regions.get(standing.region)
    condition = network.region_state(standing.region)
    return Place(
        standing.region,
        "not in the catalogue" if entry is None else entry.name,
        "" if condition is RegionState.ACTIVE else condition.name.lower(),
        mark,
        standing.missing_bytes,
        standing.mountable_bytes,
        standing.create_time_ns,
        tuple(_part(network, owner, rows, row, name) for name, rows in platforms),
        progress,
        share,
        None if ready is None else ready.p50_ns,
        None if ready is None else ready.p90_ns,
        None if standing.expectation is None else standing.expectation.source,
        "" if last is None else last.replication_id,
    )


def _own(network: Network, image: tuple[Row, Row]) -> Row:
    return network.state.placements.find(PAIR.pack(*image))


def _last_decision(
    network: Network, image: tuple[Row, Row], region: Row
) -> DecisionRecord | None:
    state, placement = network.state, _own(network, image)
    if ABSENT in {placement, region}:
        return None
    row = latest_decision(state, placement, region)
    return None if row == ABSENT else decision_at(state, row)


def _mark(standing: RegionStanding, last: DecisionRecord | None, *, some: bool) -> Mark:
    """Return the one word for what a region has of it; *some*: a part is there."""
    if standing.complete:
        return COMPLETE
    arrival = Arrival.UNWANTED
    if standing.expectation is not None:
        arrival = standing.expectation.arrival
    if arrival is Arrival.READY:
        return COMPLETE
    if arrival is Arrival.UNDER_WAY:
        return UNDER_WAY
    if arrival is Arrival.WANTED:
        return WANTED
    if last is not None and last.status in _HELD_BACK:
        return WITHHELD
    return PARTIAL if some else UNWANTED


def _part(
    network: Network, owner: Row, rows: list[Row], region: Row, platform: str
) -> PlatformPart:
    lacking = missing(network.state, owner, rows, region)
    return PlatformPart(platform, not lacking, size_of(network.state, lacking))


def _kind(kind: ContentKind) -> str:
    return {
        ContentKind.INDEX: "image of several platforms",
        ContentKind.MANIFEST: "image",
        ContentKind.BLOB: "layer or configuration",
        ContentKind.UNKNOWN: "content",
    }[kind]


def region_choices(network: Network) -> Iterator[tuple[Region, str]]:
    """Yield every region of the catalogue with its name, by code."""
    for code in sorted(network.topology.regions):
        yield code, network.topology.regions[code].name
