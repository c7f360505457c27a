"""A replicator without gRPC: it takes decisions from JetStream as a work queue."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

import nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from placement.v1.events_pb2 import (
    ContentReplicated,
    Descriptor,
    Event,
    EventBatch,
    ReplicationCompleted,
    ReplicationPlanned,
)

Copy = Callable[[ReplicationPlanned], Awaitable[Sequence[Descriptor]]]
"""Makes one copy, and returns what the region has by it.

It looks at what is there first: a decision comes again if its ack was lost.
"""


async def replicate(url: str, region: str, copy: Copy) -> None:
    """Carry out what is decided for *region* (``*``: for all), one by one, for ever."""
    client = await nats.connect(url)
    stream = client.jetstream()
    queue = await stream.pull_subscribe(
        f"placement.decisions.v1.{region}.>",
        durable=f"replicator-{region}".replace("*", "all"),
        stream="PLACEMENT_V1",
        config=ConsumerConfig(
            ack_policy=AckPolicy.EXPLICIT, ack_wait=60, max_ack_pending=1
        ),
    )
    try:
        while True:
            try:
                (message,) = await queue.fetch(1, timeout=5)
            except TimeoutError:
                continue
            for event in events_in(message):
                if event.WhichOneof("fact") == "replication_planned":
                    await carry_out(stream, event.replication_planned, copy)
            await message.ack()
    finally:
        await client.close()


def events_in(message: Msg) -> Iterator[Event]:
    """Yield the events of a message: one, or a batch of them."""
    if message.subject.endswith(".batch"):
        yield from EventBatch.FromString(message.data).events
    else:
        yield Event.FromString(message.data)


async def carry_out(
    stream: JetStreamContext, planned: ReplicationPlanned, copy: Copy
) -> None:
    """Make a copy unless it is too late, and say that it is there."""
    if planned.expire_time.ToNanoseconds() < time.time_ns():
        return
    subject = planned.subject
    contents = await copy(planned)
    region, own_id = subject.target_region, subject.replication_id
    there = ContentReplicated(contents=contents, repository=subject.repository)
    done = ReplicationCompleted(
        subject=subject, transferred_bytes=planned.transfer_bytes, attempt=1
    )
    told = [
        Event(event_id=f"{own_id}-there", region=region, content_replicated=there),
        Event(event_id=f"{own_id}-done", region=region, replication_completed=done),
    ]
    await stream.publish(
        f"placement.events.v1.{region}.batch",
        EventBatch(events=told).SerializeToString(),
        headers={"Nats-Msg-Id": f"{own_id}-told"},
    )
