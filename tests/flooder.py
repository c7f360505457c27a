"""A source that publishes contents that nobody knows, in a process of its own.

``python -m tests.flooder TARGET FIRST LAST`` goes on until LAST was sent, and then
until its input ends; it prints how many it sent and how many calls were refused.
Whatever it is told, it comes again at once.
"""

import asyncio
import json
import sys
from hashlib import sha256
from itertools import count
from typing import Any, Final

import grpc

from placement.client.errors import call_error
from placement.core.event import ContentPushed, Event, Identifier
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.topology import Region
from placement.v1 import event_service_pb2 as event_pb
from placement.v1.event_service_pb2_grpc import EventServiceStub
from placement.wire.events import encode_event

BATCH: Final = 500
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
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    refused = 0
    async with grpc.aio.insecure_channel(target) as channel:
        publish = EventServiceStub(channel).PublishEvents
        for number in count(first, BATCH):
            if number >= last and over.done():
                break
            refused += await is_refused(publish(batch(number), timeout=60))
    line = {"sent": number - first, "refused": refused}
    print(json.dumps(line))  # noqa: T201 - that is how it is told


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
