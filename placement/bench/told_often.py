"""A log that tells of each digest twenty times: one push, and pulls in two regions."""

import asyncio
from collections.abc import Iterator
from hashlib import sha256
from itertools import product
from typing import Final

from placement.core.event import (
    ClientKind,
    ContentPulled,
    ContentPushed,
    DurationNs,
    Event,
    Identifier,
    Name,
)
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.topology import Region, Topology
from placement.ports import EventLog, LogUnavailableError
from placement.wire.events import Encoded, encode_message

EVENTS_EACH: Final = 20
MESSAGE_EVENTS: Final = 512
GROUP_DIGESTS: Final = 32_768
"""Of so many the rounds of events are made at once: all is never in memory."""
FILLERS: Final = 16
RETRY_SECONDS: Final = 0.5
LAYER: Final = Name("application/vnd.oci.image.layer.v1.tar+gzip")


async def fill(log: EventLog, topology: Topology, digests: int) -> int:
    """Store all events, many at a time, and return how many there are."""
    regions = [r for r in sorted(topology.regions) if topology.stores(r)]
    messages = _messages(digests, regions)

    async def send() -> None:
        for encoded in messages:
            while True:
                try:
                    await log.append(*encoded)
                except LogUnavailableError:
                    await asyncio.sleep(RETRY_SECONDS)  # it is stored once, by its id
                else:
                    break

    async with asyncio.TaskGroup() as group:
        for _ in range(FILLERS):
            group.create_task(send())
    return digests * EVENTS_EACH


def _messages(digests: int, regions: list[Region]) -> Iterator[Encoded]:
    """Yield each digest's push and its pulls, round by round, under ids of their own.

    The pulls are from two regions in turn, and are made once for each: their ids alone
    change from round to round.
    """
    for group in range(0, digests, GROUP_DIGESTS):
        ends = min(group + GROUP_DIGESTS, digests)
        runs = [
            range(first, min(first + MESSAGE_EVENTS, ends))
            for first in range(group, ends, MESSAGE_EVENTS)
        ]
        for run in runs:
            yield encode_message([_push(number, regions) for number in run])
        made: dict[tuple[int, int], Encoded] = {}
        for number, run in product(range(EVENTS_EACH - 1), runs):
            place = (number % 2, run.start)
            if place not in made:
                pulls = [_pull(each, place[0], regions) for each in run]
                made[place] = encode_message(pulls)
            subject, body, message_id = made[place]
            named = body.replace(b"round-00", b"round-%02d" % (number + 1))
            yield subject, named, f"{message_id}-{number}"


def _push(number: int, regions: list[Region]) -> Event:
    size = 1_000_000 + number
    fact = ContentPushed(
        Descriptor(digest_of(number), LAYER, size), repository_of(number)
    )
    return Event(Identifier(f"push-{number:08x}"), regions[0], fact)


def _pull(number: int, side: int, regions: list[Region]) -> Event:
    fact = ContentPulled(
        digest_of(number),
        repository_of(number),
        client_region=regions[(number + side) % len(regions)],
        source_region=regions[0],
        transferred_bytes=1_000_000 + number,
        pull_duration_ns=DurationNs(200_000_000 + number),
        client_kind=ClientKind.RUNTIME,
        media_type=LAYER,
        size_bytes=1_000_000 + number,
    )
    return Event(Identifier(f"round-00-{number:08x}"), regions[0], fact)


def digest_of(number: int) -> Digest:
    """Return the digest of that number."""
    return Digest(f"sha256:{sha256(number.to_bytes(8, 'big')).hexdigest()}")


def repository_of(number: int) -> Repository:
    """Return the repository that it is in."""
    return Repository(f"acme/app-{number // 100}")
