"""A region's agents that claim to be others, or more than agents: nobody believes them.

What the broker can tell it denies; what it cannot, the fold sets aside.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from nats.aio.msg import Msg

from placement.adapters.jetstream.connection import Connection
from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.settings import STREAM, JetStreamSettings
from placement.adapters.jetstream.work_queue import WorkQueue, WorkQueueSettings
from placement.core.event import (
    Document,
    Event,
    Identifier,
    Name,
    PolicyChanged,
    ReplicationPaused,
)
from placement.core.fold import fold
from placement.core.state import State
from placement.nats_authority.names import work_queue_name, work_queue_subjects
from placement.ports import Message
from placement.runtime.refused import Refused
from placement.wire.events import decode_message, encode_event, encode_message
from tests.builders import AMS, SYD, pushed
from tests.copiers import until
from tests.copying import planned
from tests.figures import tell
from tests.nats_users import (
    NEWEST,
    OLDEST,
    VERSIONS,
    Guarded,
    Tried,
    logged_in,
    running,
)

SPOOFS_EACH = 3_300
REPLIES = 100
QUEUE = f"{STREAM}.{work_queue_name(SYD)}"
OWN_DECISIONS = work_queue_subjects(SYD)
CREATE = f"CONSUMER.CREATE.{QUEUE}.{OWN_DECISIONS}"


def named(name: str, event: Event) -> Event:
    """Return *event* under an id of its own."""
    return Event(Identifier(name), event.region, event.fact)


async def flood(agent: Tried, subject: str, bodies: list[bytes]) -> None:
    """Publish all of *bodies* as fast as it goes."""
    for body in bodies:
        await agent.client.publish(subject, body)
    for _ in range(2):
        await agent.client.flush()


def claims(count: int) -> list[bytes]:
    """Return events of another region."""
    return [
        encode_event(named(f"ams-{n}", pushed(f"x{n}", AMS))).SerializeToString()
        for n in range(count)
    ]


def orders(count: int) -> list[bytes]:
    """Return orders that no agent may give, in the name of its own region."""
    facts = (
        PolicyChanged(Name("mine"), Document("margin = 9.0\n")),
        ReplicationPaused(),
    )
    return [
        encode_event(
            Event(Identifier(f"order-{n}"), SYD, facts[n % 2])
        ).SerializeToString()
        for n in range(count)
    ]


async def stored(log: JetStreamLog) -> list[Message]:
    """Return all that the log holds."""
    end, found = (await log.status()).last_sequence, list[Message]()
    async for batch in log.read(0):
        found += batch
        if len(found) >= end:
            break
    return found


@pytest.mark.parametrize(
    "version", [NEWEST, pytest.param(OLDEST, marks=pytest.mark.long)]
)
async def test_no_spoof_is_accepted_and_each_is_counted(
    version: str, tmp_path: Path
) -> None:
    """Other regions' subjects, other regions' names, and orders: 0 of 10,000 count.

    The broker names the credential of what it denies; what it stores is counted by the
    subject's region, where only that region's credential may publish. Some come as the
    broker's own answers, sent on to subjects that the agent may not publish to.
    """
    with running(Guarded(version, tmp_path)) as guarded:
        log = await JetStreamLog.connect(guarded.settings("service"))
        async with logged_in(guarded.settings("agent-syd")) as agent:
            own = "placement.events.v1.syd.content_pushed"
            elsewhere = "placement.events.v1.ams.content_pushed"
            honest = encode_event(named("own", pushed("a", SYD))).SerializeToString()
            await flood(agent, own, [honest])
            await flood(agent, elsewhere, claims(SPOOFS_EACH))
            await flood(agent, own, claims(SPOOFS_EACH))
            await flood(agent, own, orders(SPOOFS_EACH))
            for _ in range(REPLIES):
                info = f"$JS.API.STREAM.INFO.{STREAM}"
                await agent.client.publish(info, reply=elsewhere)
            await agent.client.flush()
            await until_ends_at(log, 1 + 2 * SPOOFS_EACH + REPLIES)
            denied = len(agent.denied)
        found = await stored(log)
        await log.close()
        logged = re.findall(
            r".*agent-syd.*Publish Violation.*|.*Publish Violation.*agent-syd.*",
            guarded.server.output(),
        )

    state, refused = State(), Refused()
    for message in found:
        decoded = decode_message(message)
        refused.note(message, decoded.items)
        fold(state, decoded)

    by_name = refused.count(SYD, by_region=True)
    by_right = refused.count(SYD, by_region=False)
    by_answer = refused.count(AMS, by_region=False)
    accepted = state.count("folded") - 1
    spoofs = denied + by_name + by_right + by_answer
    tell(
        f"spoofs by a region's credential, {version} server",
        spoofs=spoofs,
        accepted=accepted,
        denied_by_broker=len(logged),
        refused_for_their_region=by_name,
        refused_orders=by_right,
        refused_answers=by_answer,
    )
    assert accepted == 0
    assert (denied, len(logged)) == (SPOOFS_EACH, SPOOFS_EACH)
    assert (by_name, by_right, by_answer) == (SPOOFS_EACH, SPOOFS_EACH, REPLIES)
    assert spoofs == 10_000
    assert state.count("set_aside") == spoofs - denied


async def until_ends_at(log: JetStreamLog, sequence: int) -> None:
    """Return once the log holds so many messages."""
    async with asyncio.timeout(30):
        while (await log.status()).last_sequence < sequence:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def api(connection: Connection, request: str, body: object) -> Any:  # noqa: ANN401 - a JSON document
    """Return what JetStream answers, errors too."""
    client = await connection._connected()  # noqa: SLF001 - as a stranger would ask
    answer = await client.request(
        f"$JS.API.{request}", json.dumps(body).encode(), timeout=5
    )
    return json.loads(answer.data)


def consumer(**more: object) -> dict[str, object]:
    """Return a request to make the consumer of syd, with *more* than that."""
    usual = {
        "durable_name": work_queue_name(SYD),
        "name": work_queue_name(SYD),
        "filter_subject": OWN_DECISIONS,
        "ack_policy": "explicit",
        "deliver_policy": "all",
    }
    return {"stream_name": STREAM, "config": usual | more}


def queue_of(settings: JetStreamSettings) -> WorkQueue:
    """Return the work queue of syd, as the agent has it."""
    queue = WorkQueueSettings(subjects=OWN_DECISIONS, name=work_queue_name(SYD))
    return WorkQueue(settings, queue)


@pytest.mark.parametrize("version", VERSIONS)
async def test_consumer_of_a_region_reaches_nothing_else(
    version: str, tmp_path: Path
) -> None:
    """Whatever the body of its request says: other filters, names, streams, subjects.

    Nor does one that pushes to subjects delete the stream, or settle others' work.
    """
    with running(Guarded(version, tmp_path)) as guarded:
        log = await JetStreamLog.connect(guarded.settings("service"))
        await log.append(*encode_message([named("r-1", planned("r-1"))]))
        syd = Connection(guarded.settings("agent-syd"))
        refused = [
            await api(syd, CREATE, consumer(**more))
            for more in (
                {"filter_subject": "placement.decisions.v1.ams.>"},
                {"filter_subject": ""},
                {"filter_subject": "", "filter_subjects": ["placement.>"]},
                {"name": "replicator-ams", "durable_name": "replicator-ams"},
                {"deliver_subject": "placement.events.v1.ams.content_pushed"},
            )
        ]
        for subject in (
            f"$JS.API.STREAM.DELETE.{STREAM}",
            f"$JS.API.STREAM.PURGE.{STREAM}",
            f"$JS.ACK.{STREAM}.replicator-ams.1.1.1.1.0",
        ):
            pushing = consumer(deliver_subject=subject, ack_policy="none")
            assert "error" not in await api(syd, CREATE, pushing)
            operator = Connection(guarded.settings("operator"))
            await operator.api(f"CONSUMER.DELETE.{QUEUE}")
            await operator.close()
        status = await log.status()
        await log.close()
        await syd.close()

    assert all("error" in answer for answer in refused), refused
    assert (status.first_sequence, status.last_sequence) == (1, 1)


@pytest.mark.parametrize("version", VERSIONS)
async def test_agent_takes_and_settles_its_own_work_under_its_permissions(
    version: str, tmp_path: Path
) -> None:
    """The real work queue: a decision comes, is acknowledged, and comes no more."""
    with running(Guarded(version, tmp_path)) as guarded:
        log = await JetStreamLog.connect(guarded.settings("service"))
        await log.append(*encode_message([named("r-1", planned("r-1"))]))
        queue = queue_of(guarded.settings("agent-syd"))
        async with asyncio.timeout(20):
            held = await anext(queue.held())
        await held.done()
        operator = Connection(guarded.settings("operator"))
        async with asyncio.timeout(20):
            while True:
                info = await operator.api(f"CONSUMER.INFO.{QUEUE}")
                if info["ack_floor"]["stream_seq"] == held.message.sequence:
                    break
                await asyncio.sleep(0.05)
        for part in (queue, operator, log):
            await part.close()

    assert info["num_ack_pending"] == info["num_pending"] == 0


async def test_accounts_are_worlds_apart(tmp_path: Path) -> None:
    """A shard's or tenant's operator sees and touches nothing of another one."""
    guarded = Guarded("newest", tmp_path, accounts=("ANTS", "BEES"))
    with running(guarded):
        ants = await JetStreamLog.connect(guarded.settings("ants-service"))
        bees = await JetStreamLog.connect(guarded.settings("bees-service"))
        await ants.append(*encode_message([named("own", pushed("a", SYD))]))
        async with logged_in(guarded.settings("bees-operator")) as operator:
            heard: list[str] = []

            async def hear(message: Msg) -> None:
                heard.append(message.subject)

            await operator.client.subscribe(">", cb=hear)
            await ants.append(*encode_message([named("two", pushed("b", SYD))]))
            await operator.publish(f"$JS.API.STREAM.DELETE.{STREAM}")
            await operator.publish("mine")
            await until(lambda: "mine" in heard)
        told = await ants.status()
        for log in (ants, bees):
            await log.close()

    assert told.last_sequence == 2
    assert [subject for subject in heard if subject.startswith("placement.")] == []
