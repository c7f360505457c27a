"""JetStreamLog against real servers: outages, and what servers forget."""

import asyncio
import dataclasses
import time
from pathlib import Path

import pytest

from placement.adapters.jetstream.connection import Connection
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.pull import PullConsumer, delivery
from placement.adapters.jetstream.stream import time_ns
from placement.ports import (
    LogReplacedError,
    LogUnavailableError,
)
from tests.contract.event_logs import (
    SUBJECT,
    append_until_stored,
    fill,
    fill_fast,
    reading,
)
from tests.nats_server import NatsServer, jetstream, newest_server

RESUME_SECONDS_MAX = 3.0


async def test_messages_carry_cloudevents_attributes(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """Whoever reads the stream with another client finds the usual attributes."""
    await nats_log.append(SUBJECT, b"x", "event-1")

    async with jetstream(nats) as manager:
        found = await manager.get_msg("PLACEMENT_V1", 1)

    assert found.headers == {
        "Nats-Msg-Id": "event-1",
        "Nats-Expected-Stream": "PLACEMENT_V1",
        "ce-specversion": "1.0",
        "ce-id": "event-1",
        "ce-source": "placement",
        "ce-type": "placement.events.v1.content_pushed",
    }


async def test_log_that_is_not_connected_yet_waits_for_its_server(
    nats: NatsServer,
) -> None:
    """A service may begin while its broker is down: reading begins when it is there."""
    nats.stop()
    settings = dataclasses.replace(nats.settings, connect_timeout_seconds=0.5)
    log = JetStreamLog(settings)
    with pytest.raises(LogUnavailableError):
        await log.status()

    async with reading(log, 0) as reader:
        pending = asyncio.create_task(reader.batch(10))
        await asyncio.to_thread(nats.start)
        assert len(await pending) == 0

    await log.close()


async def test_killed_broker_loses_nothing_that_was_acknowledged(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """Three kills amid appends: a reader sees each acknowledged message once."""
    acknowledged: set[int] = set()

    async def publish() -> None:
        for number in range(600):
            appended = await append_until_stored(nats_log, f"m{number}")
            acknowledged.add(appended.sequence)

    async def disturb() -> None:
        for _ in range(3):
            await asyncio.sleep(0.3)  # at some point amid the appends
            await asyncio.to_thread(nats.kill)
            await asyncio.to_thread(nats.start)

    async with reading(nats_log, 0) as reader, asyncio.TaskGroup() as tasks:
        tasks.create_task(publish())
        tasks.create_task(disturb())
        messages = await reader.take(600, deadline_seconds=40)

    assert [message.sequence for message in messages] == list(range(1, 601))
    assert acknowledged == set(range(1, 601))


async def test_reading_goes_on_within_three_seconds_of_a_kill(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """A server that is back at once costs the reader little."""
    await fill(nats_log, 1)
    async with reading(nats_log, 0) as reader:
        await reader.take(1)
        nats.kill()
        nats.start()
        back = time.monotonic()
        async with jetstream(nats) as manager:
            await manager.publish(SUBJECT, b"x")

        await reader.take(1)

    assert time.monotonic() - back < RESUME_SECONDS_MAX


async def test_paused_broker_confirms_nothing(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """A connection that is open and dead yields no claim that nothing is newer."""
    async with reading(nats_log, 0) as reader:
        await reader.until_up_to_date()
        nats.pause()
        with pytest.raises(LogUnavailableError):
            await nats_log.status()
        pending = asyncio.create_task(reader.batch(10))
        await asyncio.sleep(2.5)  # longer than an idle log is silent
        assert not pending.done()

        nats.go_on()

        assert len(await pending) == 0


async def test_deleted_consumer_is_made_anew(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """An operator who tidies consumers away costs the reader a moment."""
    await fill(nats_log, 3)
    async with reading(nats_log, 0) as reader, jetstream(nats) as manager:
        await reader.take(3)
        for consumer in await manager.consumers_info("PLACEMENT_V1"):
            await manager.delete_consumer("PLACEMENT_V1", consumer.name)

        await fill(nats_log, 3, "later")

        later = await reader.take(3, deadline_seconds=RESUME_SECONDS_MAX)
    assert [message.sequence for message in later] == [4, 5, 6]


async def test_consumer_that_nobody_makes_holds_nothing_up(
    nats_log: JetStreamLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster may give it to a server that is gone, or have no leader to make it.

    It is asked for again, soon at first; over a slow link an answer has its time, too.
    Meanwhile messages are read one by one, and the end of the log is known.
    """
    create, waited_s, made = PullConsumer.create, list[float](), asyncio.Event()

    async def given_to_the_dead(
        connection: Connection, stream: str, first: int, seconds_max: float
    ) -> PullConsumer:
        waited_s.append(seconds_max)
        if len(waited_s) < 6:
            await asyncio.sleep(seconds_max)
            message = "no answer"
            raise LogUnavailableError(message)
        made.set()
        return await create(connection, stream, first, seconds_max)

    monkeypatch.setattr(PullConsumer, "create", given_to_the_dead)
    await fill(nats_log, 3)
    async with reading(nats_log, 0) as reader:
        early = await reader.take(3)
        await reader.until_up_to_date()
        await fill(nats_log, 3, "later")
        later = await reader.take(3, deadline_seconds=RESUME_SECONDS_MAX)
        assert not made.is_set()
        while not made.is_set():
            await reader.until_up_to_date()
        await fill(nats_log, 3, "last")
        last = await reader.take(3)

    read = [*early, *later, *last]
    assert [message.sequence for message in read] == list(range(1, 10))
    assert waited_s == [0.5, 1.0, 2.0, 2.0, 2.0, 2.0]


async def test_reader_leaves_no_consumer_behind(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """A reader that ends takes its consumer with it."""
    async with reading(nats_log, 0) as reader:
        await reader.until_up_to_date()

    async with jetstream(nats) as manager:
        assert await manager.consumers_info("PLACEMENT_V1") == []


async def test_deleted_stream_is_noticed(
    nats: NatsServer, nats_log: JetStreamLog
) -> None:
    """A stream that is gone for good is not taken for an outage."""
    await fill(nats_log, 3)
    async with reading(nats_log, 0) as reader:
        await reader.take(3)
        async with jetstream(nats) as manager:
            await manager.delete_stream("PLACEMENT_V1")

        with pytest.raises(LogReplacedError, match="deleted"):
            await reader.until_it_fails()


async def test_reader_holds_little_ahead(nats_log: JetStreamLog) -> None:
    """A reader that does not take leaves the messages with the nats."""
    for number in range(64):
        await nats_log.append(SUBJECT, b"x" * (512 << 10), f"large{number}")

    async with reading(nats_log, 0) as reader:
        first = await reader.take_some()
        await asyncio.sleep(0.5)  # time in which it could fetch everything
        held = await reader.take_some()
        rest = await reader.take(64 - len(first) - len(held))

    assert len(first) <= 8
    assert len(held) <= 8
    assert rest[-1].sequence == 64


async def test_readers_begin_while_messages_stream_in(nats_log: JetStreamLog) -> None:
    """A reader from the middle of a growing log misses nothing at the seam."""
    await fill_fast(nats_log, 1_000)
    async with reading(nats_log, 500) as reader, asyncio.TaskGroup() as tasks:
        tasks.create_task(fill(nats_log, 500, "later"))
        messages = await reader.take(1_000)

    assert [message.sequence for message in messages] == list(range(501, 1_501))


async def test_server_that_takes_small_requests_alone_is_asked_so(
    tmp_path: Path,
) -> None:
    """An operator may bound how many messages one request asks for."""
    server = NatsServer(newest_server(), tmp_path / "nats")
    server.limits = "max_request_batch: 10"
    server.start()
    try:
        log = await JetStreamLog.connect(server.settings)
        await fill(log, 64)
        async with reading(log, 0) as reader:
            assert len(await reader.take(64)) == 64
        await log.close()
    finally:
        server.stop()


@pytest.mark.parametrize(
    "reply", [b"", b"$JS.ACK.S.c.1.x.3.4.5", b"a.b.c.d.e.2.g.99.i", b"$JS.ACK.1.2"]
)
def test_reply_of_no_delivery_is_told_from_one(reply: bytes) -> None:
    """Whoever may publish to an inbox cannot begin a reply as the server does."""
    with pytest.raises(ValueError, match=r"invalid|no delivery"):
        delivery(reply)


def test_delivery_reads_both_forms_of_the_reply() -> None:
    """Servers from 2.15 on may put a domain and an account before the stream."""
    old = b"$JS.ACK.S.c.1.22.3.1795458358369063990.4"
    new = b"$JS.ACK._.hash.S.c.1.22.3.1795458358369063990.4.random"

    assert delivery(old) == delivery(new) == (22, 1795458358369063990)


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:00.5Z", 500_000_000),
        ("1970-01-01T01:00:00.000000001+01:00", 1),
        ("2026-11-23T18:25:58.370007843Z", 1_795_458_358_370_007_843),
    ],
)
def test_times_are_exact(text: str, expected_ns: int) -> None:
    """No nanosecond is lost between the stream's time and ours."""
    assert time_ns(text) == expected_ns
