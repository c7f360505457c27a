"""A service with many placements to be watched, and plain streams of what it tells."""

import asyncio
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Any, Final

import grpc

from placement.client import PlacementCallError, PlacementClient
from placement.core.event import (
    Event,
    Identifier,
    InventoryContent,
    InventoryTaken,
    TimeNs,
)
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.topology import Region
from placement.wire.events import encode_event

WATCH_SUITE: Final = "watch"
WATCH: Final = "/placement.v1.PlacementService/WatchPlacements"
PACKED: Final = bytes((3 << 3, 1, 5 << 3, 1))
"""A request: include_tags and packed are true."""
PACKED_ALONE: Final = PACKED + bytes((2 << 3 | 2, 4)) + b"acme"
"""The same with a prefix that all repositories have: nobody else's chunks fit."""
RESPONSE_BYTES_MAX: Final = 16 * 1024 * 1024
PAGE: Final = 1_000
"""Contents of one event."""
PAGES: Final = 8
"""Events of one call."""
LAYERS: Final = 9
"""Of one image, whose manifest comes after them."""
IMAGES: Final = 4
"""Of one repository."""
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
FOLD_SECONDS_MAX: Final = 600.0
LOOK_SECONDS: Final = 0.2
BEHIND: Final = frozenset({"STATE_BEHIND", "UNAVAILABLE", "DEADLINE_EXCEEDED"})


def layer(number: int) -> Digest:
    """Return the digest of the content of that number."""
    return Digest("sha256:" + sha256(number.to_bytes(8, "big")).hexdigest())


def place(number: int) -> tuple[Repository, Digest]:
    """Return where the content of that number is kept."""
    return repository(number // (IMAGES * (LAYERS + 1))), layer(number)


def repository(number: int) -> Repository:
    """Return the repository of that number."""
    return Repository(f"acme/app-{number}")


def images(count: int) -> Iterator[InventoryContent]:
    """Yield *count* contents: layers, and after each LAYERS of them their manifest."""
    layers: list[Descriptor] = []
    for number in range(count):
        owner, digest = place(number)
        if number % (LAYERS + 1) < LAYERS:
            layers.append(Descriptor(digest, LAYER, 1_000_000 + number))
            yield InventoryContent(layers[-1], owner)
        else:
            manifest = Descriptor(digest, MANIFEST, 2_000)
            tag = Tag(f"v{number}")
            yield InventoryContent(manifest, owner, tuple(layers), (tag,))
            layers = []


def inventories(count: int, regions: list[Region]) -> Iterator[Event]:
    """Yield what makes *count* contents be in all of *regions*, page by page."""
    found = images(count)
    number = 0
    while page := tuple(islice(found, PAGE)):
        for region in regions:
            fact = InventoryTaken(TimeNs(time.time_ns()), contents=page)
            yield Event(Identifier(f"page-{number}"), region, fact)
            number += 1


async def fill(client: PlacementClient, regions: list[Region], count: int) -> None:
    """Publish *count* contents in each of *regions*, and wait until they are folded."""
    events = inventories(count, regions)
    token = ""
    while batch := list(islice(events, PAGES)):
        answer = await client.publish_events([encode_event(each) for each in batch])
        token = answer.token
    async with asyncio.timeout(FOLD_SECONDS_MAX):
        while not await _folded(client, token):  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(LOOK_SECONDS)


async def _folded(client: PlacementClient, token: str) -> bool:
    """Say whether all that *token* stands for is folded."""
    owner, digest = place(0)
    try:
        await client.resolve_reference(owner, digest, token=token, fail=True)
    except PlacementCallError as error:
        if error.reason not in BEHIND:
            raise
        return False
    return True


def open_stream(channel: grpc.aio.Channel, method: str, request: bytes = PACKED) -> Any:  # noqa: ANN401 - a call
    """Return a stream of undecoded responses."""
    opened: Any = channel.unary_stream(method)
    return opened(request)
