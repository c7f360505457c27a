"""Fetching an image: where each of its contents comes from, how long all takes.

What is missing moves one after another, each content over the fastest route that it can
take, with one start-up; and all of it, missing or not, reaches the machine through its
storage region. So more missing bytes never shorten an estimate, and another source
never lengthens it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from placement.core.estimate import Duration
from placement.core.graph import holds, mountable, mounts
from placement.core.network import Network
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class Supply:
    """A region that can supply one content, itself perhaps still receiving it."""

    region: Region
    phase: ReplicaPhase
    duration: Duration
    """Until all of this content alone is there."""
    ready: Duration
    """Of that, until the supplier has it whole itself."""
    start_up: Duration
    """Of that, until the first byte leaves the supplier."""


@dataclass(frozen=True, slots=True)
class ContentFetch:
    """How one content of an image comes to a storage region."""

    content: Row
    size_bytes: int
    present: bool
    mounts: tuple[Row, ...]
    supplies: tuple[Supply, ...]
    """Best first; also of what is present, for whoever wants it elsewhere."""

    @property
    def moves(self) -> bool:
        """Whether it has to come from another region."""
        return not self.present and not self.mounts


@dataclass(frozen=True, slots=True)
class Fetch:
    """How an image comes to a puller; *duration* is None without all sources."""

    storage: Region
    contents: tuple[ContentFetch, ...]
    duration: Duration | None
    sample_count: int

    @property
    def total_bytes(self) -> int:
        """Return the size of all contents."""
        return sum(content.size_bytes for content in self.contents)

    @property
    def missing_bytes(self) -> int:
        """Return what has to come from other regions."""
        return sum(content.size_bytes for content in self.contents if content.moves)

    @property
    def mountable_bytes(self) -> int:
        """Return what is not there and can be mounted there."""
        waiting = (c for c in self.contents if not c.present and c.mounts)
        return sum(content.size_bytes for content in waiting)

    @property
    def main_source(self) -> Region | None:
        """Return where most of what is missing comes from; None: from nowhere."""
        moved: dict[Region, int] = {}
        for content in self.contents:
            if content.moves and content.supplies:
                region = content.supplies[0].region
                moved[region] = moved.get(region, 0) + content.size_bytes
        return min(moved, key=lambda region: (-moved[region], region), default=None)


def plan_fetch(
    network: Network, owners: Sequence[tuple[Row, Sequence[Row]]], target: Region
) -> Fetch:
    """Return how the contents of each (repository, contents) come to *target*.

    Contents that several images share are fetched once. *target* is in the catalogue.
    """
    storage = network.storage(target)
    seen: set[Row] = set()
    found = []
    for repository, contents in owners:
        for content in contents:
            if content not in seen:
                seen.add(content)
                found.append(_content(network, repository, content, storage))
    fetched = tuple(found)
    routes = {(s.region, storage) for c in fetched if c.moves for s in c.supplies[:1]}
    samples = [network.route(*route).sample_count for route in sorted(routes)]
    local = network.route(storage, target).sample_count
    duration = _duration(network, fetched, storage, target)
    return Fetch(storage, fetched, duration, min(samples, default=local))


def _content(
    network: Network, repository: Row, content: Row, storage: Region
) -> ContentFetch:
    state = network.state
    row = state.regions.find(storage.encode())
    present = row != ABSENT and holds(state, repository, content, row)
    found: tuple[Row, ...] = ()
    if row != ABSENT and not present and mountable(state, repository, content, row):
        found = tuple(mounts(state, repository, content, row))
    supplies = () if present else _supplies(network, repository, content, storage)
    return ContentFetch(content, state.size_bytes(content), present, found, supplies)


def _supplies(
    network: Network, repository: Row, content: Row, storage: Region
) -> tuple[Supply, ...]:
    state = network.state
    placement = state.placements.find(PAIR.pack(repository, content))
    if placement == ABSENT:
        return ()
    records = [
        record for record in network.supplies(placement) if record.region != storage
    ]
    size = state.size_bytes(content)
    whole = [r.region for r in records if r.phase >= ReplicaPhase.COMPLETE]
    found = []
    for record in records:
        ready = Duration(0, 0)
        if record.phase < ReplicaPhase.COMPLETE:
            rest = max(0, size - record.held_bytes)
            waits = [network.route(w, record.region).duration(rest) for w in whole]
            if not waits:
                continue
            ready = Duration(min(w.p50_ns for w in waits), min(w.p90_ns for w in waits))
        own = network.route(record.region, storage).duration(size)
        total = Duration(own.p50_ns + ready.p50_ns, own.p90_ns + ready.p90_ns)
        start_up = network.start_up(record.region, storage)
        found.append(Supply(record.region, record.phase, total, ready, start_up))
    return tuple(sorted(found, key=lambda s: (s.duration.p50_ns, s.region)))


def _duration(
    network: Network,
    contents: Sequence[ContentFetch],
    storage: Region,
    target: Region,
) -> Duration | None:
    """Return how long all of it takes, as the module's first lines say."""
    moving = [content for content in contents if content.moves]
    if any(not content.supplies for content in moving):
        return None
    total = sum(content.size_bytes for content in contents)
    local = network.route(storage, target).duration(total)
    p50_ns = _serial(
        [
            [(s.duration.p50_ns, s.ready.p50_ns, s.start_up.p50_ns) for s in c.supplies]
            for c in moving
        ]
    )
    p90_ns = _serial(
        [
            [(s.duration.p90_ns, s.ready.p90_ns, s.start_up.p90_ns) for s in c.supplies]
            for c in moving
        ]
    )
    p50_ns = max(local.p50_ns, p50_ns)
    return Duration(p50_ns, max(p50_ns, local.p90_ns, p90_ns))


def _serial(moving: Sequence[Sequence[tuple[int, int, int]]]) -> int:
    """Return the largest of the least start-ups, plus the least times for all bytes.

    For each content, (until it is there, until its supplier has it, start-up) by
    supply, in nanoseconds.
    """
    start_up_ns = bytes_ns = 0
    for supplies in moving:
        start_ns = min(ready + start for _, ready, start in supplies)
        start_up_ns = max(start_up_ns, start_ns)
        bytes_ns += min(total - ready - start for total, ready, start in supplies)
    return start_up_ns + bytes_ns
