"""One trace from a registry's webhook to the decision that follows from it, and on."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from placement import tracing
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.work_queue import WorkQueue, WorkQueueSettings
from placement.adapters.memory_spool import MemorySpool
from placement.agent.feeds.catalogue import feeds
from placement.agent.feeds.translation import FeedSettings
from placement.agent.outlets import LogOutlet
from placement.agent.receiver import (
    Receiver,
    ReceiverSettings,
    receiver_app,
)
from placement.agent.replicator.account import Account
from placement.agent.replicator.duties import Copy, NothingKnown
from placement.agent.replicator.flights import Crew, Flight, Request
from placement.agent.replicator.queue_decisions import QueueDecisions
from placement.agent.replicator.telling import Teller
from placement.agent.sender import Sender
from placement.agent.spooled import spooled_report
from placement.agent.translators import at_once
from placement.core.event import Identifier, Name, ReplicationSubject
from placement.core.oci import Digest, Repository
from placement.runtime.planner import Planner
from placement.runtime.publisher import Publisher
from placement.spooling import SpoolLimits
from placement.telemetry.logs import with_trace
from placement.telemetry.traces import OtelTracer
from placement.v1.event_service_pb2 import PublishEventsRequest
from tests.builders import IAD, SYD, TOPOLOGY
from tests.e2e.test_broker_kills import push
from tests.nats_server import NatsServer, newest_server
from tests.planning import QUICK, PlanningRun, asked
from tests.projecting import Host
from tests.serving import serving

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
REPOSITORY = Repository("acme/traced")
LAYER = f"sha256:{7:064x}"
PUSH = {
    "id": "push-1",
    "action": "push",
    "target": {
        "mediaType": "application/octet-stream",
        "digest": LAYER,
        "size": 400_000_000,
        "repository": REPOSITORY,
    },
}
PATIENCE_S = 20.0


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Where the spans of this process go; nothing that nobody sampled is traced."""
    kept = InMemorySpanExporter()
    tracer = OtelTracer(kept, 0.0, "tests", at_once=True)
    tracing.use(tracer)
    yield kept
    tracing.use(None)
    tracer.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    await asyncio.to_thread(broker.start)
    yield broker
    broker.kill()


@asynccontextmanager
async def planning_on(log: JetStreamLog) -> AsyncIterator[PlanningRun]:
    """Run a service that folds and plans over *log* within the block."""
    async with Host().running(log) as run:
        publisher = Publisher(log, run.view)
        planner = Planner(run.view, TOPOLOGY, publisher, time.time_ns, QUICK)
        task = asyncio.create_task(planner.run())
        try:
            yield PlanningRun(run, planner)
        finally:
            task.cancel()
            await asyncio.wait({task})


async def post(spool: MemorySpool, headers: dict[str, str]) -> None:
    """Post a push as Distribution does, with the context of whoever pushed."""
    settings = ReceiverSettings(region=IAD, feeds=("distribution",))
    receiver = Receiver(settings, spool.put, time.time_ns)
    transport = httpx.ASGITransport(receiver_app(receiver, dict))
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
        body = json.dumps({"events": [PUSH]}).encode()
        path = "/v1/notifications/distribution"
        answer = await client.post(path, content=body, headers=headers)
    assert answer.status_code == 200


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    """Return the spans of a name that ended, the oldest first."""
    return [span for span in exporter.get_finished_spans() if span.name == name]


def trace_of(span: ReadableSpan) -> str:
    """Return which trace a span is of."""
    return f"{span.context.trace_id:032x}"


async def first_copy(server: NatsServer) -> Copy:
    """Return the first copy that a replicator of syd is told to make."""
    settings = WorkQueueSettings(
        subjects="placement.decisions.v1.syd.>", name="replicator-syd"
    )
    queue = WorkQueue(server.settings, settings)
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            aclosing(QueueDecisions(queue, SYD).assigned()) as duties,
        ):
            async for assigned in duties:
                duty = assigned.duty
                await assigned.done()
                if isinstance(duty, Copy):
                    return duty
    finally:
        await queue.close()
    raise AssertionError


async def test_webhook_is_followed_to_the_copy(
    server: NatsServer, exporter: InMemorySpanExporter
) -> None:
    """Spool, log, fold: one trace; the decision is of its own, linked to its cause."""
    spool = MemorySpool(time.time_ns, SpoolLimits())
    log = await JetStreamLog.connect(server.settings)
    agent_log = JetStreamLog(server.settings)
    known = feeds(FeedSettings(region=IAD, publisher=Name("tests")))
    translations = {name: at_once(feed) for name, feed in known.items()}
    sender = Sender(spool, LogOutlet(agent_log), translations, random.random)

    async with planning_on(log) as planning:
        await planning.publish(asked("v1", [SYD], REPOSITORY))
        await post(spool, {"traceparent": TRACEPARENT})
        await sender.send()
        await planning.run.until(lambda: bool(planning.decisions()))
        copy = await first_copy(server)
    await agent_log.close()
    await log.close()

    (publish,) = named(exporter, "publish")
    (fold,) = named(exporter, "fold")[:1]
    decide = named(exporter, "decide")[0]
    assert trace_of(publish) == trace_of(fold) == TRACE_ID
    appended = [
        span for span in named(exporter, "append") if trace_of(span) == TRACE_ID
    ]
    assert len(appended) == 1
    assert fold.parent is not None
    assert fold.parent.span_id == appended[0].context.span_id
    assert decide.parent is None
    (link,) = decide.links
    assert f"{link.context.trace_id:032x}" == TRACE_ID
    assert link.context.span_id == fold.context.span_id
    assert trace_of(decide) != TRACE_ID
    ids = tracing.ids_of(copy.trace)
    assert ids is not None
    assert ids.trace_id == trace_of(decide)


class Handed:
    """One duty in the hands of a replicator."""

    def __init__(self, duty: Copy) -> None:
        """Hand *duty* out."""
        self.duty = duty
        self.settled = False

    async def done(self) -> None:
        """Note that it is settled."""
        self.settled = True

    async def again(self, delay_seconds: float) -> None:
        """Fail: nothing goes wrong here."""
        raise AssertionError(delay_seconds)


class NothingToMove:
    """A copier that finds everything in place."""

    async def copy(self, wanted: object) -> tuple[()]:
        """Return no manifest."""
        del wanted
        return ()


async def test_copy_goes_on_with_the_decisions_trace(
    exporter: InMemorySpanExporter,
) -> None:
    """Its span is the decision's child, and what it reports comes with its context."""
    spool = MemorySpool(time.time_ns, SpoolLimits())
    report = spooled_report(spool, time.time_ns)
    copier: Any = NothingToMove()
    teller = Teller(SYD, report, time.time_ns)
    crew = Crew(SYD, {}, NothingKnown(), copier, teller, random.random, Account())
    subject = ReplicationSubject(Identifier("copy-1"), REPOSITORY, Digest(LAYER), SYD)
    handed = Handed(Copy(subject, IAD, trace=TRACEPARENT))

    await Flight(crew, (REPOSITORY, Digest(LAYER)), 1, [Request(handed)]).fly()
    notes = [entry.note for entry in await spool.waiting(10, 0)]

    (span,) = named(exporter, "copy")
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == TRACEPARENT[36:52]
    assert handed.settled
    assert len(notes) == 2
    for note in notes:
        ids = tracing.ids_of(note.headers["traceparent"])
        assert ids == (TRACE_ID, f"{span.context.span_id:016x}")


async def test_call_is_traced_by_its_metadata(exporter: InMemorySpanExporter) -> None:
    """The call's span is the publisher's child, and what it publishes is of that."""
    async with serving() as service:
        request = PublishEventsRequest(events=[push("traced")])
        metadata = (("traceparent", TRACEPARENT),)
        await service.events.PublishEvents(request, metadata=metadata)
        await service.events.PublishEvents(request)

    (call,) = named(exporter, "placement.v1.EventService/PublishEvents")
    (publish,) = named(exporter, "publish")
    assert call.parent is not None
    assert f"{call.parent.span_id:016x}" == TRACEPARENT[36:52]
    assert publish.parent is not None
    assert publish.parent.span_id == call.context.span_id


async def test_what_nobody_sampled_is_not_traced(
    server: NatsServer, exporter: InMemorySpanExporter
) -> None:
    """A context that is not sampled, or none at all, or nonsense: no span is made."""
    spool = MemorySpool(time.time_ns, SpoolLimits())
    log = await JetStreamLog.connect(server.settings)
    known = feeds(FeedSettings(region=IAD, publisher=Name("tests")))
    sender = Sender(
        spool,
        LogOutlet(log),
        {name: at_once(feed) for name, feed in known.items()},
        random.random,
    )
    for written in (f"{TRACEPARENT[:-2]}00", "nonsense", "00-" + "0" * 52, "x" * 9_000):
        await post(spool, {"traceparent": written})
    await post(spool, {})

    await sender.send()
    message = await log.message(1)
    await log.close()

    assert exporter.get_finished_spans() == ()
    assert message is not None
    assert message.trace == ""


def test_log_lines_name_their_span(exporter: InMemorySpanExporter) -> None:
    """Within a span each line says of which trace it is; outside it says nothing."""
    with tracing.span("publish", parent=TRACEPARENT):
        inside = with_trace(None, "info", {"event": "events_published"})
    outside = with_trace(None, "info", {"event": "events_published"})

    (span,) = exporter.get_finished_spans()
    assert inside["trace_id"] == TRACE_ID
    assert inside["span_id"] == f"{span.context.span_id:016x}"
    assert outside == {"event": "events_published"}
