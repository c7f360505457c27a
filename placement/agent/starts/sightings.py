"""Machines seen starting, and the facts that they become once their digest is known.

Many schedulers know an image by its tag alone. A translator therefore returns
sightings, and whoever has a way to resolve tags makes events of them: at once by a
``Resolve`` (the local replica), or asking a registry (``settled``). A tag that nobody
can resolve makes no event: a start of an unknown digest would be demand for nothing.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from placement.agent.feeds.translation import (
    Ignored,
    IgnoredReason,
    Malformed,
    Translation,
)
from placement.agent.starts.images import Image
from placement.agent.starts.settings import StartSettings
from placement.core.errors import PlacementError
from placement.core.event import (
    CacheKind,
    DurationNs,
    Event,
    Identifier,
    MachineStarted,
    StartCause,
    TimeNs,
)
from placement.core.oci import Digest, Platform, Repository, Tag
from placement.core.topology import Region

ASKED_MAX: Final = 512
"""Tags that one translation may ask for; starts of the others are ignored."""

Resolve = Callable[[Repository, Tag], Digest | None]
"""Which digest a tag has now; None when nobody knows."""

Find = Callable[[Repository, Tag], Awaitable[Digest | None]]
"""The same of somebody who must be asked. May raise PlacementError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A machine that started, as its scheduler tells it."""

    event_id: Identifier
    machine_id: Identifier
    region: Region
    image: Image
    time_ns: TimeNs | None = None
    request_time_ns: TimeNs | None = None
    image_wait_ns: DurationNs | None = None
    cache: CacheKind = CacheKind.UNSPECIFIED
    cause: StartCause = StartCause.UNSPECIFIED
    platform: Platform | None = None
    source_region: Region | None = None
    transferred_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What a scheduler's document says: starts, other events, and what makes none."""

    sightings: tuple[Sighting, ...] = ()
    events: tuple[Event, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    malformed: tuple[Malformed, ...] = ()


def joined(parts: list[Found]) -> Found:
    """Return all *parts* as one."""
    return Found(
        tuple(one for part in parts for one in part.sightings),
        tuple(one for part in parts for one in part.events),
        tuple(one for part in parts for one in part.ignored),
        tuple(one for part in parts for one in part.malformed),
    )


def resolved(found: Found, resolve: Resolve, settings: StartSettings) -> Translation:
    """Return *found* as events, the starts first, each with its digest."""
    started: list[Event] = []
    ignored = list(found.ignored)
    for seen in found.sightings:
        digest = seen.image.digest
        if not settings.minds(seen.image):
            ignored.append(Ignored(seen.event_id, IgnoredReason.OTHER_REGISTRY))
            continue
        if digest is None and seen.image.tag is not None:
            digest = resolve(seen.image.repository, seen.image.tag)
        if digest is None:
            ignored.append(Ignored(seen.event_id, IgnoredReason.TAG_UNKNOWN))
        else:
            started.append(started_event(seen, digest, settings))
    return Translation((*started, *found.events), tuple(ignored), found.malformed)


def started_event(seen: Sighting, digest: Digest, settings: StartSettings) -> Event:
    """Return the start of what was *seen*, of the image *digest*."""
    fact = MachineStarted(
        digest=digest,
        repository=seen.image.repository,
        machine_id=seen.machine_id,
        tag=seen.image.tag,
        platform=seen.platform,
        request_time_ns=seen.request_time_ns,
        image_wait_ns=seen.image_wait_ns,
        source_region=seen.source_region,
        transferred_bytes=seen.transferred_bytes,
        cache=seen.cache,
        cause=seen.cause,
    )
    return Event(seen.event_id, seen.region, fact, seen.time_ns, settings.publisher)


async def settled(found: Found, find: Find, settings: StartSettings) -> Translation:
    """Return *found* as events, asking for each tag once; a failed question is None."""
    known = await digests_of((seen.image for seen in found.sightings), find, settings)

    def resolve(repository: Repository, tag: Tag) -> Digest | None:
        return known.get((repository, tag))

    return resolved(found, resolve, settings)


async def digests_of(
    images: Iterable[Image], find: Find, settings: StartSettings
) -> dict[tuple[Repository, Tag], Digest]:
    """Return the known digests of those *images* that have a tag alone."""
    wanted = [
        (image.repository, image.tag)
        for image in images
        if image.digest is None and image.tag is not None and settings.minds(image)
    ]
    return await found_digests(wanted, find)


async def found_digests(
    wanted: Iterable[tuple[Repository, Tag]], find: Find
) -> dict[tuple[Repository, Tag], Digest]:
    """Return the digests that *find* knows; a failed question is no answer."""
    known: dict[tuple[Repository, Tag], Digest] = {}
    for repository, tag in list(dict.fromkeys(wanted))[:ASKED_MAX]:
        try:
            digest = await find(repository, tag)
        except PlacementError:
            continue
        if digest is not None:
            known[repository, tag] = digest
    return known
