"""Made-up pulls for benchmarks: of many digests, in one region, always the same."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from placement.core.event import (
    ClientKind,
    ContentPulled,
    DurationNs,
    Event,
    Identifier,
    Name,
)
from placement.core.oci import Digest, Repository
from placement.core.topology import Region
from placement.wire.events import Encoded, encode_message

DIGESTS: Final = 300_000
REPOSITORIES: Final = 1_000
CLIENTS: Final = 19
LAYER: Final = Name("application/vnd.oci.image.layer.v1.tar+gzip")
ENVELOPE_EVENTS: Final = 100


def pulls(first: int, count: int, regions: Sequence[Region]) -> Iterator[Event]:
    """Yield so many pulls, in the first region; the same for the same number."""
    for number in range(first, first + count):
        named = (number * 7_919) % DIGESTS
        digest = sha256(named.to_bytes(8, "big")).hexdigest()
        client = regions[number % min(CLIENTS, len(regions))]
        fact = ContentPulled(
            Digest(f"sha256:{digest}"),
            Repository(f"acme/app-{named % REPOSITORIES}"),
            client_region=client,
            source_region=regions[0],
            transferred_bytes=1_000_000 + named,
            pull_duration_ns=DurationNs(200_000_000 + named * 1_000),
            client_kind=ClientKind.RUNTIME,
            media_type=LAYER,
            size_bytes=1_000_000 + named,
        )
        named_id = Identifier(f"bench-{number:032x}")
        yield Event(named_id, regions[0], fact, publisher=Name("bench"))


def envelopes(
    first: int, count: int, regions: Sequence[Region], size: int = ENVELOPE_EVENTS
) -> list[Encoded]:
    """Return so many messages of *size* pulls each, as they are sent."""
    return [
        encode_message(list(pulls(first + number * size, size, regions)))
        for number in range(count)
    ]
