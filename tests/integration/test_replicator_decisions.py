"""Where decisions come from: JetStream as a work queue, or WatchReplications."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import count

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.work_queue import WorkQueue, WorkQueueSettings
from placement.agent.replicator.duties import Assigned, Copy, Removal, Withdrawal
from placement.agent.replicator.local_lookup import LocalLookup
from placement.agent.replicator.queue_decisions import QueueDecisions
from placement.agent.replicator.watched_decisions import WatchedDecisions
from placement.client import LocalPlacements, PlacementClient
from placement.core.event import (
    Event,
    EvictionPlanned,
    ReplicationCancelled,
    ReplicationFailed,
    ReplicationStarted,
)
from placement.core.facts.values import Identifier, Text, TimeNs
from placement.ports import LogUnavailableError
from placement.wire.events import encode_message
from tests.builders import AMS, API, HOUR_NS, IAD, START_NS, SYD, WEB, A, event, pushed
from tests.copying import LAYERS, planned, released, subject
from tests.nats_server import NatsServer
from tests.serving import serving

PATIENCE_S = 15.0
ACK_WAIT_S = 1.0
NUMBERS = count()


def queue_of(nats: NatsServer, ack_wait_seconds: float = ACK_WAIT_S) -> WorkQueue:
    """Return the work queue of syd."""
    settings = WorkQueueSettings(
        subjects="placement.decisions.v1.syd.>",
        name="replicator-syd",
        ack_wait_seconds=ack_wait_seconds,
    )
    return WorkQueue(nats.settings, settings)


@asynccontextmanager
async def hearing(
    decisions: QueueDecisions | WatchedDecisions,
) -> AsyncIterator["asyncio.Queue[Assigned]"]:
    """Put what is assigned into a queue, within the block."""
    heard: asyncio.Queue[Assigned] = asyncio.Queue()

    async def listen() -> None:
        async with aclosing(decisions.assigned()) as assigned:
            async for one in assigned:
                heard.put_nowait(one)

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LogUnavailableError):
            await task


async def next_of(heard: "asyncio.Queue[Assigned]") -> Assigned:
    """Return the next duty."""
    async with asyncio.timeout(PATIENCE_S):
        return await heard.get()


async def store(log: JetStreamLog, *events: Event) -> None:
    """Store *events* in one message, each under a name of its own."""
    named = [Event(Identifier(f"e-{next(NUMBERS)}"), SYD, one.fact) for one in events]
    await log.append(*encode_message(named))


async def test_queue_tells_copies_removals_and_what_is_called_off(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """Each decision becomes a duty, those of one message too; orders become none."""
    removal = EvictionPlanned(
        Identifier("gone"), WEB, A, SYD, Text("superseded"), expire_time_ns=TimeNs(9)
    )
    await store(nats_log, planned("r-1", expire_ns=7), event(SYD, removal))
    await store(nats_log, event(SYD, ReplicationCancelled(subject("r-1"))))
    queue = queue_of(nats)

    async with hearing(QueueDecisions(queue, SYD)) as heard:
        copy, gone, off = [await next_of(heard) for _ in range(3)]

    assert isinstance(copy.duty, Copy)
    assert (copy.duty.subject, copy.duty.source_region) == (subject("r-1"), AMS)
    assert (copy.duty.priority, copy.duty.attempt) == (2, 1)
    assert copy.duty.expire_time_ns == 7
    assert isinstance(gone.duty, Removal)
    assert (gone.duty.digest, gone.duty.expire_time_ns) == (A, 9)
    assert off.duty == Withdrawal("r-1")
    await queue.close()


async def test_message_comes_again_until_all_of_it_is_done(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """A message is settled when its last duty is, and comes again if one has to."""
    await store(nats_log, planned("r-1", "a"), planned("r-2", "b"))
    queue = queue_of(nats)

    async with hearing(QueueDecisions(queue, SYD)) as heard:
        first, second = await next_of(heard), await next_of(heard)
        await second.again(0.1)
        await asyncio.sleep(3 * ACK_WAIT_S)
        assert heard.empty(), "what is in hand does not come again"
        await first.done()
        again = [await next_of(heard) for _ in range(2)]
        assert [one.duty.own_id for one in again] == ["r-1", "r-2"]
        assert {getattr(one.duty, "attempt", 0) for one in again} == {2}
        for one in again:
            await one.done()
        await asyncio.sleep(2 * ACK_WAIT_S)
        assert heard.empty()
    await queue.close()


async def test_who_is_gone_lets_go_of_what_it_held(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """Work in hand comes again, to whoever comes next; what is done does not."""
    await store(nats_log, planned("r-1", "a"))
    await store(nats_log, planned("r-2", "b"))
    first = queue_of(nats)
    async with hearing(QueueDecisions(first, SYD)) as heard:
        done, _held = await next_of(heard), await next_of(heard)
        await done.done()
    await first.close()

    second = queue_of(nats)
    async with hearing(QueueDecisions(second, SYD)) as heard:
        again = await next_of(heard)

    assert again.duty.own_id == "r-2"
    assert isinstance(again.duty, Copy)
    assert again.duty.attempt == 2
    await second.close()


async def test_queue_takes_over_what_was_set_otherwise(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """Another time to wait for acks goes on where the old one was."""
    await store(nats_log, planned("r-1", "a"))
    first = queue_of(nats)
    async with hearing(QueueDecisions(first, SYD)) as heard:
        await (await next_of(heard)).done()
    await first.close()
    await store(nats_log, planned("r-2", "b"))

    second = queue_of(nats, ack_wait_seconds=7.0)
    async with hearing(QueueDecisions(second, SYD)) as heard:
        assert (await next_of(heard)).duty.own_id == "r-2"
    await second.close()


async def test_queue_outlives_its_server(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """While there is no server nothing comes, and then it goes on."""
    queue = queue_of(nats)
    decisions = QueueDecisions(queue, SYD)
    await store(nats_log, planned("r-1", "a"))
    async with hearing(decisions) as heard:
        await (await next_of(heard)).done()
    nats.kill()
    with pytest.raises(LogUnavailableError):
        await asyncio.wait_for(anext(decisions.assigned()), PATIENCE_S)
    nats.start()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(LogUnavailableError):
                await store(nats_log, planned("r-2", "b"))
                break
            await asyncio.sleep(0.1)

    found = ""
    async with asyncio.timeout(PATIENCE_S):
        while found != "r-2":  # r-1 may come again: its end was not kept
            with suppress(LogUnavailableError):
                async with aclosing(decisions.assigned()) as assigned:
                    one = await anext(assigned)
                    found = one.duty.own_id
                    await one.done()
            await asyncio.sleep(0.1)
    await queue.close()


async def test_service_tells_what_is_open_and_what_is_closed() -> None:
    """Open decisions come by priority, each once, and what ends is called off."""
    async with serving() as service, PlacementClient(service.target) as client:
        await service.stage.happen(
            *released(),
            planned("later", "b", trigger=1, priority=3),
            planned("first", "a", trigger=1, priority=1, expire_ns=START_NS + HOUR_NS),
        )
        decisions = WatchedDecisions(client, SYD, removals=True)
        async with hearing(decisions) as heard:
            first, later = await next_of(heard), await next_of(heard)
            started = ReplicationStarted(subject("first"), AMS, 1)
            await service.stage.happen(event(SYD, started))
            failed = ReplicationFailed(subject("later", "b"), attempt=1)
            await service.stage.happen(event(SYD, failed))
            off = await next_of(heard)

        assert isinstance(first.duty, Copy)
        assert first.duty.own_id == "first"
        assert (first.duty.attempt, first.duty.priority) == (1, 1)
        assert first.duty.media_type.endswith("manifest.v1+json")
        assert later.duty.own_id == "later"
        assert off.duty == Withdrawal("later")


async def test_duty_of_a_service_comes_again_as_its_next_attempt() -> None:
    """What is to come again is handed out after its delay, unless it was closed."""
    async with serving() as service, PlacementClient(service.target) as client:
        await service.stage.happen(*released(), planned("r-1"), planned("r-2", "b"))
        decisions = WatchedDecisions(client, SYD, removals=False)
        async with hearing(decisions) as heard:
            first, second = await next_of(heard), await next_of(heard)
            await first.again(0.2)
            await second.again(1.0)
            again = await next_of(heard)
            cancelled = ReplicationCancelled(subject(second.duty.own_id, "b"))
            await service.stage.happen(event(SYD, cancelled))
            off = await next_of(heard)
            await asyncio.sleep(1.2)

            assert isinstance(again.duty, Copy)
            assert (again.duty.own_id, again.duty.attempt) == (first.duty.own_id, 2)
            assert off.duty == Withdrawal(second.duty.own_id)
            assert heard.empty()


async def test_local_replica_knows_sources_and_mounts() -> None:
    """The best source comes first, home last; mounts are of our own registry."""
    layer = LAYERS[-1].digest
    size_bytes = LAYERS[-1].size_bytes
    async with serving() as service:
        await service.stage.happen(
            *released(),
            pushed("layer", SYD, API, size_bytes=size_bytes),
        )
        async with await LocalPlacements.start(service.target) as local:
            lookup = LocalLookup(local, SYD)

            assert lookup.sources(WEB, layer)[0] == AMS
            assert lookup.sources(WEB, layer)[-1] == IAD
            assert lookup.mountable(layer) == (API,)
            assert LocalLookup(local, AMS).mountable(layer) == (WEB,)
            assert lookup.mountable(A) == ()
