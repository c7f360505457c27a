"""Short words for facts, logs and regions, so that a test fits on a screen."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Final

from placement.core.event import (
    AppWithdrawn,
    ContentAnnounced,
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    DurationNs,
    Event,
    Fact,
    Identifier,
    MachineStarted,
    MachineStopped,
    Recorded,
    RecordedMessage,
    RegionChanged,
    RegionState,
    SetAside,
    TagMoved,
    TimeNs,
    TransferMeasured,
)
from placement.core.fingerprint import CanonicalRow, canonical_rows
from placement.core.fold import fold
from placement.core.oci import Descriptor, Digest, Platform, Repository, Tag
from placement.core.state import State
from placement.core.topology import CatalogueRegion, Region, Topology

SECOND_NS: Final = 1_000_000_000
HOUR_NS: Final = 3600 * SECOND_NS
DAY_NS: Final = 24 * HOUR_NS
START_NS: Final = 1_795_000_000 * SECOND_NS
"""Message n of a log is stored n seconds after this moment of November 2026."""

AMS, FRA, IAD = Region("ams"), Region("fra"), Region("iad")
LHR, SYD, SCL = Region("lhr"), Region("syd"), Region("scl")
NOWHERE = Region("nowhere")
"""Well-formed, and in no catalogue."""

WEB, API = Repository("acme/web"), Repository("acme/api")
LATEST = Tag("latest")

LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
SIZE: Final = 10_000_000
UNNAMED: Final = Identifier("unnamed")
"""Stands for an id that ``messages`` makes from the event's position."""

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64", "v8")
ATTESTATION = Platform("unknown", "unknown")


def digest(name: str) -> Digest:
    """Return a digest for *name*: repeated if it is one hexadecimal letter."""
    if len(name) == 1 and name in "0123456789abcdef":
        return Digest("sha256:" + 64 * name)
    return Digest("sha256:" + sha256(name.encode()).hexdigest())


A, B, C, D = digest("a"), digest("b"), digest("c"), digest("d")


def _regions() -> dict[Region, CatalogueRegion]:
    places = {
        AMS: ("Amsterdam", 52.31, 4.76),
        FRA: ("Frankfurt", 50.03, 8.57),
        IAD: ("Ashburn, Virginia", 39.02, -77.54),
        LHR: ("London", 51.47, -0.46),
        SYD: ("Sydney", -33.95, 151.18),
        SCL: ("Santiago, Chile", -33.39, -70.79),
    }
    return {
        code: CatalogueRegion(
            code, *place, stores=code != SCL, endpoint=f"https://registry.{code}.test"
        )
        for code, place in places.items()
    }


TOPOLOGY: Final = Topology(_regions(), IAD)
"""Six real regions; Santiago stores nothing, and Ashburn is home."""


def topology_of(*codes: Region, home: Region, storing: Iterable[Region]) -> Topology:
    """Return a catalogue of some of the real regions, of which only some store."""
    kept = set(storing)
    regions = {
        code: replace(TOPOLOGY.regions[code], stores=code in kept) for code in codes
    }
    return Topology(regions, home)


def descriptor(
    name: str,
    size_bytes: int = SIZE,
    media_type: str = LAYER,
    platform: Platform | None = None,
) -> Descriptor:
    """Return a descriptor of the digest that *name* stands for."""
    return Descriptor(digest(name), media_type, size_bytes, platform)


def event(region: Region, fact: Fact, at_ns: int | None = None) -> Event:
    """Return *fact* as it happened in *region* at *at_ns*; None: when it is stored."""
    return Event(UNNAMED, region, fact, None if at_ns is None else TimeNs(at_ns))


def pushed(  # noqa: PLR0913 - whatever a test is about
    name: str,
    region: Region,
    repository: Repository = WEB,
    *,
    size_bytes: int = SIZE,
    references: Sequence[Descriptor] = (),
    tag: Tag | None = None,
    media_type: str | None = None,
    at_ns: int | None = None,
) -> Event:
    """Return a push; of a manifest if it refers to something, else of a layer."""
    media = media_type or (MANIFEST if references else LAYER)
    content = descriptor(name, size_bytes, media)
    fact = ContentPushed(content, repository, tag, tuple(references))
    return event(region, fact, at_ns)


def pulled(
    name: str,
    region: Region,
    repository: Repository = WEB,
    *,
    tag: Tag | None = LATEST,
    at_ns: int | None = None,
) -> Event:
    """Return a pull of an image by a client in *region*."""
    return event(region, ContentPulled(digest(name), repository, tag), at_ns)


def started(  # noqa: PLR0913 - whatever a test is about
    name: str,
    region: Region,
    repository: Repository = WEB,
    *,
    machine: str = "m1",
    tag: Tag | None = None,
    at_ns: int | None = None,
) -> Event:
    """Return a machine's start."""
    fact = MachineStarted(digest(name), repository, Identifier(machine), tag)
    return event(region, fact, at_ns)


def released(
    name: str,
    region: Region,
    repository: Repository = WEB,
    *,
    tag: str = "v1",
    at_ns: int | None = None,
) -> Event:
    """Return the push of an image's manifest with a tag."""
    content = descriptor(name, media_type=MANIFEST)
    fact = ContentPushed(content, repository, Tag(tag))
    return event(region, fact, at_ns)


def withdrawn(
    region: Region, repository: Repository = WEB, *, at_ns: int | None = None
) -> Event:
    """Return the news that the repository's app no longer belongs into a region."""
    return event(region, AppWithdrawn(repository), at_ns)


def stopped(machine: str, region: Region, *, at_ns: int | None = None) -> Event:
    """Return a machine's stop."""
    return event(region, MachineStopped(Identifier(machine)), at_ns)


def evicted(
    name: str,
    region: Region,
    repository: Repository = WEB,
    *,
    at_ns: int | None = None,
) -> Event:
    """Return the removal of one content from one repository."""
    return event(region, ContentEvicted(repository, (digest(name),)), at_ns)


def tagged(
    tag: str,
    name: str,
    region: Region,
    repository: Repository = WEB,
    *,
    at_ns: int | None = None,
) -> Event:
    """Return a tag's move to the digest that *name* stands for."""
    return event(region, TagMoved(repository, Tag(tag), digest(name)), at_ns)


def replicated(
    name: str, region: Region, repository: Repository = WEB, *, size_bytes: int = SIZE
) -> Event:
    """Return the arrival of a copy."""
    fact = ContentReplicated((descriptor(name, size_bytes),), repository)
    return event(region, fact)


def announced(
    name: str,
    region: Region,
    repository: Repository = WEB,
    *,
    held_bytes: int = 0,
    size_bytes: int = SIZE,
) -> Event:
    """Return the news that content is on its way, some of it perhaps there."""
    fact = ContentAnnounced(descriptor(name, size_bytes), repository, held_bytes)
    return event(region, fact)


def measured(source: Region, target: Region, size_bytes: int, took: float) -> Event:
    """Return a timed transfer that *took* so many seconds."""
    return event(target, TransferMeasured(source, size_bytes, seconds(took)))


def changed(region: Region, state: RegionState) -> Event:
    """Return an operator's word on a region."""
    return event(IAD, RegionChanged(region, state))


def message(
    sequence: int, *events: Event | SetAside, store_time_ns: int | None = None
) -> RecordedMessage:
    """Return a message of the log that holds *events*, unnamed ones named by place."""
    stored_ns = START_NS + sequence * SECOND_NS
    if store_time_ns is not None:
        stored_ns = store_time_ns
    items: list[Recorded | SetAside] = []
    for index, item in enumerate(events):
        if isinstance(item, SetAside):
            items.append(item)
            continue
        named = item
        if item.event_id == UNNAMED:
            named = replace(item, event_id=Identifier(f"event-{sequence}-{index}"))
        own_ns = stored_ns if item.occur_time_ns is None else item.occur_time_ns
        time_ns = min(own_ns, stored_ns)
        items.append(Recorded(sequence, index, time_ns, stored_ns, named))
    return RecordedMessage(sequence, stored_ns, b"%016d" % sequence, tuple(items))


def fold_in(state: State, *events: Event) -> State:
    """Fold *events*, each a message of its own after what is there; return *state*."""
    for item in events:
        fold(state, message(state.sequence + 1, item))
    return state


def folded(*events: Event) -> State:
    """Return a new state that has folded *events*, each a message of its own."""
    return fold_in(State(), *events)


def folded_log(log: Iterable[RecordedMessage]) -> State:
    """Return the state that *log* folds to."""
    state = State()
    for item in log:
        fold(state, item)
    return state


def rows_of(state: State, *without: str) -> list[CanonicalRow]:
    """Return the canonical rows in order, but those of the kinds *without*."""
    rows = (row for row in canonical_rows(state) if row[0] not in without)
    return sorted(rows, key=repr)


def seconds(count: float) -> DurationNs:
    """Return a duration of *count* seconds."""
    return DurationNs(round(count * SECOND_NS))
