"""An agent's sender as a region's user of `placement nats-config`, on real servers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.settings import STREAM
from placement.adapters.memory_spool import MemorySpool
from placement.agent.outlets import LogOutlet
from placement.agent.sender import Sender
from placement.agent.spooled import EVENTS, spooled_report
from placement.agent.translators import from_bundle
from placement.core.event import Event, Identifier
from placement.core.topology import Region
from placement.ports import LogForbiddenError, LogUnavailableError, Message
from placement.spooling import Position, SpoolLimits
from placement.wire.events import decode_message, encode_message
from tests.builders import AMS, START_NS, SYD, pushed
from tests.nats_users import VERSIONS, Guarded, running

ROUNDS = 3
READ_ONE = f"$JS.API.STREAM.MSG.GET.{STREAM}"


@pytest.fixture(params=VERSIONS)
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guarded]:
    """A server that knows its users, of its own for each test."""
    with running(Guarded(request.param, tmp_path / "guarded")) as found:
        yield found


@pytest.fixture
async def service(guarded: Guarded) -> AsyncIterator[JetStreamLog]:
    """The log as a service reaches it, which makes the stream."""
    log = await JetStreamLog.connect(guarded.settings("service"))
    yield log
    await log.close()


class Agent:
    """A spool and a sender, as the user of a region."""

    def __init__(self, guarded: Guarded, region: Region = SYD) -> None:
        """Do not connect yet."""
        settings = replace(guarded.settings(f"agent-{region}"), max_bytes=None)
        self.log = JetStreamLog(settings)
        self.region = region
        self.spool = MemorySpool(lambda: START_NS, SpoolLimits())
        self.outlet = LogOutlet(self.log, region=region, reads=False)
        self.sender = self.another()
        self._report = spooled_report(self.spool, lambda: START_NS)

    def another(self) -> Sender:
        """Return what sends after a restart of the process."""
        feeds = {EVENTS: from_bundle}
        return Sender(self.spool, self.outlet, feeds, lambda: 0.0)

    async def take(self, *events: Event) -> None:
        """Spool *events*, and send until nothing waits; retry as ``run`` does."""
        await self._report(events)
        async with asyncio.timeout(30):
            while self.spool.figures.waiting_count:
                try:
                    await self.sender.send()
                except LogUnavailableError:
                    await asyncio.sleep(0.05)


@pytest.fixture
async def agent(guarded: Guarded, service: JetStreamLog) -> AsyncIterator[Agent]:
    """An agent of Sydney, where the stream is there."""
    del service
    agent = Agent(guarded)
    yield agent
    await agent.log.close()


def push(name: str, region: Region = SYD) -> Event:
    """Return a push of that name."""
    return replace(pushed(name, region), event_id=Identifier(f"push-{name}"))


async def stored(log: JetStreamLog) -> list[str]:
    """Return the names of all pushes in the log."""
    messages: list[Message] = []
    async with aclosing(log.read(0)) as batches:
        async for batch in batches:
            messages += batch
            if not batch:
                break
    return [
        item.event.event_id.removeprefix("push-")  # type: ignore[union-attr]  # none is set aside
        for message in messages
        for item in decode_message(message).items
    ]


async def test_rounds_go_on_and_a_repeat_is_harmless(
    guarded: Guarded, agent: Agent, service: JetStreamLog
) -> None:
    """Several rounds, looks between them, the same events again, and a restart."""
    for number in range(ROUNDS):
        await agent.take(push(f"v{number}"))
        await agent.sender.look()
    await agent.take(push(f"v{ROUNDS - 1}"))
    latest = agent.spool.figures.position
    await agent.take(push("v0"))  # a duplicate that later ones hide
    repeated = agent.spool.figures.position
    agent.sender = agent.another()
    await agent.take(push("last"))

    assert await stored(service) == ["v0", "v1", "v2", "last"]
    assert latest is not None
    assert repeated is not None
    assert latest.sequence == ROUNDS
    assert latest.mark
    assert (repeated.sequence, repeated.mark) == (ROUNDS, latest.mark)
    assert "Publish Violation" not in guarded.server.output()


async def test_who_hopes_to_read_more_is_denied_once(
    guarded: Guarded, agent: Agent, service: JetStreamLog
) -> None:
    """As an agent without a name does, where such have a region's rights."""
    agent.outlet = LogOutlet(agent.log, region=SYD)
    agent.sender = agent.another()
    for number in range(ROUNDS):
        await agent.take(push(f"v{number}"))
        await agent.sender.look()
    await agent.take(push("v0"))

    assert await stored(service) == ["v0", "v1", "v2"]
    denied = [line for line in guarded.server.output().splitlines() if READ_ONE in line]
    assert len(denied) == 1


@pytest.mark.parametrize("looks", [True, False])
async def test_store_set_back_is_noticed_though_others_filled_it_up(
    guarded: Guarded,
    agent: Agent,
    service: JetStreamLog,
    looks: bool,  # noqa: FBT001 - two ways to notice
) -> None:
    """What the log lost is sent again, also if the agent has news before it looks."""
    await agent.take(push("kept"))
    guarded.server.stop()
    guarded.server.keep_store()
    await asyncio.to_thread(guarded.server.start)
    for name in ("lost1", "lost2"):
        await agent.take(push(name))
    guarded.server.kill()
    guarded.server.put_store_back()
    await asyncio.to_thread(guarded.server.start)
    await _filled(service)

    with capture_logs() as lines:
        if looks:
            await _looked(agent)
            await agent.take()
        else:
            await agent.take(push("news"))
            await agent.take()

    assert {"kept", "lost1", "lost2"} <= set(await stored(service))
    assert [one["event"] for one in lines].count("entries_resent") == 1


async def test_others_of_the_region_make_no_loss(
    agent: Agent, service: JetStreamLog
) -> None:
    """What hides ours is no sign of anything."""
    await agent.take(push("ours"))
    await service.append(*encode_message([push("theirs")]))

    with capture_logs() as lines:
        await agent.sender.look()
        await agent.take(push("more"))

    assert await stored(service) == ["ours", "theirs", "more"]
    assert not [one for one in lines if one["event"] == "entries_resent"]


async def test_users_of_an_older_configuration_go_on(
    agent: Agent, service: JetStreamLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may not see their last message either, and are denied that once."""
    asked = []

    async def denied(subject: str) -> Message | None:
        asked.append(subject)
        message = "permissions violation"
        raise LogForbiddenError(message)

    monkeypatch.setattr(agent.log, "last", denied)
    for number in range(ROUNDS):
        await agent.take(push(f"v{number}"))
        await agent.sender.look()

    assert await stored(service) == ["v0", "v1", "v2"]
    assert asked == ["placement.events.v1.syd.>"]


async def test_event_of_another_region_is_set_aside_and_the_others_go_on(
    agent: Agent, service: JetStreamLog
) -> None:
    """It may never be stored: what came before and after it is."""
    with capture_logs():
        await agent.take(push("a"), push("theirs", AMS), push("b"))
        await agent.take(push("c"))

    assert await stored(service) == ["a", "b", "c"]
    [aside] = agent.spool.asides
    assert aside.reason == "REGION_FORBIDDEN"
    assert (await from_bundle(aside.note)).events[0].event_id == "push-theirs"


async def test_nothing_is_given_up_while_there_is_no_stream(guarded: Guarded) -> None:
    """An agent may not make it: that is denied, and says nothing of the event."""
    agent = Agent(guarded)

    with pytest.raises(LogForbiddenError, match="create"):
        await agent.outlet.publish([push("theirs", AMS)])

    await agent.log.close()


async def test_own_event_that_is_denied_waits_for_an_operator(
    guarded: Guarded, service: JetStreamLog
) -> None:
    """The wrong credential is no fault of the events: none of them is given up."""
    agent = Agent(guarded, AMS)
    outlet = LogOutlet(agent.log, region=SYD)

    with pytest.raises(LogForbiddenError, match="violation"):
        await outlet.publish([push("a", SYD)])

    assert await stored(service) == []
    await agent.log.close()


async def test_denial_says_nothing_of_the_server(
    agent: Agent, service: JetStreamLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes at once, and no other server is tried for it."""
    await service.append(*encode_message([push("a")]))
    await agent.log.status()
    doubts = []

    async def doubted() -> None:
        doubts.append(1)

    connection = agent.log._connection  # noqa: SLF001 - what decides that is in there
    monkeypatch.setattr(connection, "doubted", doubted)

    for _ in range(2):
        with pytest.raises(LogForbiddenError):
            async with asyncio.timeout(1.5):  # an answer is waited for for two
                await agent.log.message(1)

    assert doubts == []


async def test_last_message_is_that_of_the_subject(
    guarded: Guarded, agent: Agent, service: JetStreamLog
) -> None:
    """Where it is, when it was stored, and its bytes; nothing of another region."""
    subject, body, message_id = encode_message([push("a")])
    await service.append(subject, body, message_id)
    await service.append(*encode_message([push("b", AMS)]))

    found = await agent.log.last("placement.events.v1.syd.>")
    at = await service.message(1)
    with pytest.raises(LogForbiddenError):
        await agent.log.last("placement.events.v1.>")
    other = Agent(guarded, Region("scl"))
    none = await other.log.last("placement.events.v1.scl.>")
    await other.log.close()

    assert found == at == Message(1, at.store_time_ns if at else 0, subject, body)
    assert none is None


async def _filled(service: JetStreamLog) -> None:
    """Let another region store more than the log lost."""
    for number in range(5):
        while True:
            try:
                await service.append(*encode_message([push(f"o{number}", AMS)]))
                break
            except LogUnavailableError:
                await asyncio.sleep(0.05)


async def _looked(agent: Agent) -> None:
    """Look once the server can be reached again."""
    assert isinstance(agent.spool.figures.position, Position)
    async with asyncio.timeout(30):
        while True:
            try:
                await agent.sender.look()
                break
            except LogUnavailableError:
                await asyncio.sleep(0.05)
