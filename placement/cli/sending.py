"""Events in requests that the service takes."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

from placement.client import PlacementClient
from placement.core.event import Event
from placement.wire.events import encode_event
from placement.wire.json import Plain, plain

BATCH_EVENTS_MAX: Final = 512
BATCH_BYTES_MAX: Final = 3 << 20

Mark = TypeVar("Mark")


def batched(
    events: Iterable[tuple[Mark, Event]],
) -> Iterator[tuple[list[Mark], list[Any]]]:
    """Yield the marks and encoded events of one request after the other."""
    marks: list[Mark] = []
    batch: list[Any] = []
    size = 0
    for mark, event in events:
        encoded = encode_event(event)
        length = encoded.ByteSize()
        full = len(batch) == BATCH_EVENTS_MAX or size + length > BATCH_BYTES_MAX
        if batch and full:
            yield marks, batch
            marks, batch, size = [], [], 0
        marks.append(mark)
        batch.append(encoded)
        size += length
    if batch:
        yield marks, batch


async def send(client: PlacementClient, batch: list[Any]) -> Plain:
    """Return what became of *batch*."""
    return plain(await client.publish_events(batch))
