"""A source that publishes contents that nobody knows, in a process of its own.

``python -m tests.flooder TARGET FIRST LAST`` makes them all, says so with a line, and
sends them; then it sends the last ones again until its input ends. It prints how many
it sent and how many calls were refused. Whatever it is told, it comes again at once.
"""

import asyncio
import json
import sys
from hashlib import sha256
from itertools import chain, cycle
from typing import Any, Final

import grpc

from placement.client.errors import call_error
from placement.core.event import ContentPushed, Event, Identifier
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.topology import Region
from placement.v1 import event_service_pb2 as event_pb
from placement.wire.events import encode_event

BATCH: Final = 500
LATE: Final = 10
"""So many batches, the last, are sent again while nobody says that it is enough."""
PUBLISH: Final = "/placement.v1.EventService/PublishEvents"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
REASONS: Final = frozenset({"CONTENT_LIMIT", "OVERLOADED"})


def batch(first: int) -> event_pb.PublishEventsRequest:
    """Return pushes of contents that nobody knows, each in a repository of its own."""
    events = []
    for number in range(first, first + BATCH):
        digest = Digest(f"sha256:{sha256(f'flood {number}'.encode()).hexdigest()}")
        content = Descriptor(digest, LAYER, 1)
        fact = ContentPushed(content, Repository(f"flood/r{number}"))
        event = Event(Identifier(f"flood-{number}"), Region("iad"), fact)
        events.append(encode_event(event))
    return event_pb.PublishEventsRequest(events=events)


async def is_refused(call: Any) -> bool:  # noqa: ANN401 - a call of a stub
    """Say whether a call was refused for what it brings; no other failure is right."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        reason = call_error(error).reason
        if reason in REASONS:
            return reason == "CONTENT_LIMIT"
        raise
    return False


async def run(target: str, first: int, last: int) -> None:
    """Publish, and say what came of it."""
    # Made beforehand: making them would take a core from those who are flooded.
    made = [batch(n).SerializeToString() for n in range(first, last, BATCH)]
    print("made", flush=True)  # noqa: T201 - that is how it is told
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    sent = refused = 0
    async with grpc.aio.insecure_channel(target) as channel:
        publish: Any = channel.unary_unary(PUBLISH)
        for body in chain(made, cycle(made[-LATE:])):
            if sent >= len(made) and over.done():
                break
            refused += await is_refused(publish(body, timeout=60))
            sent += 1
    line = {"sent": sent * BATCH, "refused": refused}
    print(json.dumps(line))  # noqa: T201 - that is how it is told


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
