"""What a service is filled with before it is asked: layers of one repository."""

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Final

from placement.client import PlacementClient
from placement.core.event import (
    ContentPushed,
    DurationNs,
    Event,
    Identifier,
    Name,
    TransferMeasured,
)
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.topology import Region, Topology
from placement.wire.events import encode_event

REPOSITORY: Final = Repository("acme/bench")
HOLDERS: Final = 4
"""Regions that hold each layer."""
TRANSFERS: Final = 8
"""From each region to each other one: its route is learned."""
LAYER: Final = Name("application/vnd.oci.image.layer.v1.tar+gzip")
EVENTS_AT_ONCE: Final = 512
FILL_SECONDS_MAX: Final = 30.0


def digest_of(number: int) -> Digest:
    """Return the digest of one of the layers."""
    return Digest(f"sha256:{sha256(number.to_bytes(8, 'big')).hexdigest()}")


async def fill(target: str, topology: Topology, layers: int) -> Region:
    """Store so many layers, and what transfers took; return the asker's region."""
    storing = sorted(code for code in topology.regions if topology.stores(code))
    events = _events(storing, layers)
    async with PlacementClient(target, timeout_s=FILL_SECONDS_MAX) as client:
        token = ""
        while batch := [encode_event(each) for each in islice(events, EVENTS_AT_ONCE)]:
            token = (await client.publish_events(batch)).token
        asker = storing[-1]
        await client.rank_sources(
            REPOSITORY, digest_of(0), asker, token=token, fail=True
        )
    return asker


def _events(storing: list[Region], layers: int) -> Iterator[Event]:
    named = 0
    for number in range(layers):
        content = Descriptor(digest_of(number), LAYER, 1_000_000 + 7_919 * number)
        for holder in range(min(HOLDERS, len(storing))):
            region = storing[(number + 3 * holder) % len(storing)]
            fact = ContentPushed(content, REPOSITORY)
            yield Event(Identifier(f"bench-fill-{named}"), region, fact)
            named += 1
    for source in storing:
        for number in range(TRANSFERS):
            size = 4_000_000 * (number + 1)
            took = DurationNs(50_000_000 + 30 * size)
            fact_of = TransferMeasured(source, size, took)
            yield Event(Identifier(f"bench-fill-{named}"), storing[-1], fact_of)
            named += 1
