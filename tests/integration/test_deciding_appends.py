"""Several who decide at once, on real servers: no decision without what came before."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from placement.adapters.jetstream.log import JetStreamLog
from placement.ports import EventLog, Expected, LogMovedError, LogUnavailableError
from placement.wire.events import DECISIONS_SUBJECTS, subject_of
from tests.contract.event_logs import fill, reading
from tests.nats_cluster import NatsCluster, running_cluster
from tests.nats_server import NatsServer, newest_server

DECIDER_COUNT = 3
DECISION_COUNT = 60
"""Each decider has so many stored."""
ATTEMPTS_MAX = 2_000
ORDER_COUNT = 40
EVENT_COUNT = 200
CLUSTER_SECONDS_MAX = 30.0


class Decider:
    """Appends decisions, each resting on the last one that it knows of."""

    def __init__(self, log: EventLog, number: int) -> None:
        """Append to *log* as the decider of that *number*."""
        self._log = log
        self._number = number
        self.refused_count = 0

    async def decide(self, count: int, fact: str = "replication_planned") -> None:
        """Have *count* decisions stored; a body says what its decision rests on."""
        subject = subject_of(f"r{self._number}", fact)
        last, stored = 0, 0
        for attempt in range(ATTEMPTS_MAX):
            message_id = f"{self._number}-{stored}"
            expected = Expected(DECISIONS_SUBJECTS, last)
            try:
                appended = await self._log.append(
                    subject, str(last).encode(), message_id, expected
                )
            except LogMovedError as moved:
                self.refused_count += 1
                last = moved.last_sequence or last
                await asyncio.sleep(0.001 * (attempt % 5))
                continue
            last, stored = appended.sequence, stored + 1
            if stored == count:
                return
        raise AssertionError((self._number, stored))


async def bases(log: EventLog, count: int) -> tuple[list[int], list[int]]:
    """Return what each of *count* decisions rests on, and what came before it."""
    told, found, last, seen = [], [], 0, 0
    sequence = 1
    while seen < count:
        message = await log.message(sequence, DECISIONS_SUBJECTS)
        assert message is not None, (seen, count)
        if message.body.isdigit():
            told.append(int(message.body))
            found.append(last)
        seen += 1
        last = message.sequence
        sequence = last + 1
    assert await log.message(sequence, DECISIONS_SUBJECTS) is None
    return told, found


async def order(log: EventLog) -> None:
    """Append orders that expect nothing, amid all the rest."""
    for number in range(ORDER_COUNT):
        subject = subject_of("ams", "replication_paused")
        await log.append(subject, b"order", f"order-{number}")
        await asyncio.sleep(0.002)  # so that there are decisions in between


@asynccontextmanager
async def logs_of(servers: Sequence[NatsServer]) -> AsyncIterator[list[JetStreamLog]]:
    """Yield logs for as many deciders and one more, each over its own connection."""
    urls = [server.url for server in servers]
    async with AsyncExitStack() as stack:
        logs: list[JetStreamLog] = []
        for number in range(DECIDER_COUNT + 1):
            mine = urls[number % len(urls)]
            settings = replace(
                servers[0].settings, servers=(mine,), replicas=len(servers)
            )
            log = await connected(JetStreamLog(settings))
            stack.push_async_callback(log.close)
            logs.append(log)
        yield logs


async def connected(log: JetStreamLog) -> JetStreamLog:
    """Return the log once its stream is there; a cluster elects its leaders first."""
    async with asyncio.timeout(CLUSTER_SECONDS_MAX):
        while True:
            try:
                await log.status()
            except LogUnavailableError:
                await asyncio.sleep(0.2)
            else:
                return log


async def test_no_decision_rests_on_less_than_was_stored(nats: NatsServer) -> None:
    """Three deciders, orders that expect nothing, and events, on one server."""
    async with logs_of([nats]) as (*logs, other):
        deciders = [Decider(log, number) for number, log in enumerate(logs)]

        async with asyncio.TaskGroup() as tasks:
            for decider in deciders:
                tasks.create_task(decider.decide(DECISION_COUNT))
            tasks.create_task(order(other))
            tasks.create_task(fill(other, EVENT_COUNT))

        total = DECIDER_COUNT * DECISION_COUNT
        told, found = await bases(other, total + ORDER_COUNT)
        async with reading(other, 0) as reader:
            await reader.take(total + ORDER_COUNT + EVENT_COUNT)
    assert len(told) == total
    assert told == found
    assert sum(decider.refused_count for decider in deciders) > 0


async def test_replicated_stream_stores_no_decision_on_less_either(
    tmp_path: Path,
) -> None:
    """Three servers, a decider at each; orders expect the same as decisions do."""
    cluster = NatsCluster(newest_server(), tmp_path)
    async with running_cluster(cluster), logs_of(cluster.servers) as (*logs, other):
        deciders = [Decider(log, number) for number, log in enumerate(logs)]
        orders = Decider(other, DECIDER_COUNT)

        async with asyncio.TaskGroup() as tasks:
            for decider in deciders:
                tasks.create_task(decider.decide(DECISION_COUNT))
            tasks.create_task(orders.decide(ORDER_COUNT, "replication_paused"))

        total = DECIDER_COUNT * DECISION_COUNT + ORDER_COUNT
        told, found = await bases(other, total)
    assert told == found
    assert sum(decider.refused_count for decider in deciders) > 0
