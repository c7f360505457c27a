"""Single events of many callers: stored together, and answered each for itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from placement.adapters.memory import MemoryEventLog
from placement.core.event import Event, Identifier
from placement.core.fold import fold
from placement.core.state import State
from placement.core.topology import Region
from placement.ports import Appended, Expected, LogUnavailableError
from placement.runtime import gathering
from placement.runtime.publisher import Outcome, Published, Publisher
from placement.runtime.view import View
from placement.wire.events import decode_message
from tests.builders import AMS, FRA, START_NS, pushed


def clock() -> int:
    """Return a time that stands still."""
    return START_NS


class SlowLog(MemoryEventLog):
    """A log that stores when it is told to."""

    def __init__(self) -> None:
        """Store nothing yet."""
        super().__init__(clock)
        self.open = asyncio.Event()
        self.under_way = 0

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Wait, and store."""
        self.under_way += 1
        try:
            await self.open.wait()
            return await super().append(subject, body, message_id, expected)
        finally:
            self.under_way -= 1

    async def bodies(self) -> list[list[str]]:
        """Return the ids of the events of each message."""
        found = []
        sequence = 1
        while (message := await self.message(sequence)) is not None:
            items = decode_message(message).items
            found.append([item.event.event_id for item in items])  # type: ignore[union-attr]  # none is set aside
            sequence += 1
        return found


@pytest.fixture
async def log() -> SlowLog:
    """Return a log that is not open yet."""
    return SlowLog()


@pytest.fixture
async def publisher(log: SlowLog) -> Publisher:
    """Return what publishes into it, and has folded nothing."""
    view = View(clock)
    view.replace(State(), "memory-1", restored=False)
    return Publisher(log, view)


def event(name: str, region: Region = AMS) -> Event:
    """Return an event of that id."""
    return replace(pushed("a", region), event_id=Identifier(name))


async def begun(
    publisher: Publisher, events: Sequence[Event]
) -> list[asyncio.Task[Published]]:
    """Return calls that publish *events*, one each, all of which have begun."""
    calls = [asyncio.create_task(publisher.publish([one])) for one in events]
    for _ in range(5):
        await asyncio.sleep(0)
    return calls


async def test_those_who_come_while_one_is_stored_go_together(
    log: SlowLog, publisher: Publisher
) -> None:
    """Two messages for all of them; each caller has its answer and a token."""
    calls = await begun(publisher, [event(f"e{n}") for n in range(64)])

    log.open.set()
    answers = await asyncio.gather(*calls)

    assert await log.bodies() == [["e0"], [f"e{n}" for n in range(1, 64)]]
    assert {answer.outcomes for answer in answers} == {(Outcome.STORED,)}
    assert [answer.sequence for answer in answers] == [1] + 63 * [2]
    assert len({answer.token for answer in answers}) == 2


async def test_who_is_alone_waits_for_nobody(
    log: SlowLog, publisher: Publisher
) -> None:
    """One call after another is one message each, under its own id: no detour."""
    log.open.set()

    first = await publisher.publish([event("e0")])
    second = await publisher.publish([event("e1")])
    again = await publisher.publish([event("e0")])

    assert await log.bodies() == [["e0"], ["e1"]]
    assert (first.sequence, second.sequence) == (1, 2)
    assert again.outcomes == (Outcome.DUPLICATE,)
    assert again.token == first.token


async def test_regions_do_not_wait_for_each_other(
    log: SlowLog, publisher: Publisher
) -> None:
    """Each region has its own message under way."""
    await begun(publisher, [event("a0"), event("a1"), event("f0", FRA)])

    assert log.under_way == 2


async def test_calls_with_several_events_stay_as_they_are(
    log: SlowLog, publisher: Publisher
) -> None:
    """A publisher that makes batches itself knows them again by their own ids."""
    single = await begun(publisher, [event("e0"), event("e1")])
    batch = [event("b0"), event("b1")]
    several = asyncio.create_task(publisher.publish(batch))
    await asyncio.sleep(0)

    log.open.set()
    await asyncio.gather(*single, several)

    assert sorted(await log.bodies()) == [["b0", "b1"], ["e0"], ["e1"]]


async def test_repeat_of_what_was_gathered_is_a_duplicate(
    log: SlowLog, publisher: Publisher
) -> None:
    """Also before it is folded, and with the token of the message that holds it."""
    calls = await begun(publisher, [event("e0"), event("e1"), event("e2")])
    log.open.set()
    stored = (await asyncio.gather(*calls))[2]

    again = await publisher.publish([event("e2")])

    assert again.outcomes == (Outcome.DUPLICATE,)
    assert again.token == stored.token
    assert await log.bodies() == [["e0"], ["e1", "e2"]]


async def test_what_the_log_lost_is_stored_again(
    log: SlowLog, publisher: Publisher
) -> None:
    """Nothing is acknowledged by memory alone."""
    calls = await begun(publisher, [event("e0"), event("e1"), event("e2")])
    log.open.set()
    await asyncio.gather(*calls)
    log.rewind(1)

    again = await publisher.publish([event("e2")])

    assert again.outcomes == (Outcome.STORED,)
    assert await log.bodies() == [["e0"], ["e2"]]


async def test_same_event_at_the_same_time_is_stored_once(
    log: SlowLog, publisher: Publisher
) -> None:
    """Whether it is under way or waits; only the first caller is told STORED."""
    calls = await begun(publisher, [event(name) for name in ("e0", "e0", "e1", "e1")])

    log.open.set()
    answers = await asyncio.gather(*calls)

    told = [answer.outcomes[0] for answer in answers]
    assert told == [Outcome.STORED, Outcome.DUPLICATE] * 2
    assert await log.bodies() == [["e0"], ["e1"]]


async def test_all_who_wait_learn_that_the_log_is_away(
    log: SlowLog, publisher: Publisher
) -> None:
    """Each may publish again, and then it is stored."""
    calls = await begun(publisher, [event("e0"), event("e1"), event("e2")])
    log.stop()
    log.open.set()

    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(answer, LogUnavailableError) for answer in answers)
    log.resume()
    again = await asyncio.gather(*(publisher.publish([event("e1")]) for _ in "ab"))
    assert again[0].outcomes == (Outcome.STORED,)


async def test_caller_who_gives_up_stops_nobody_else(
    log: SlowLog, publisher: Publisher
) -> None:
    """Neither the first, whose message was under way, nor one of those who waited."""
    calls = await begun(publisher, [event(f"e{n}") for n in range(4)])
    twin = (await begun(publisher, [event("e0")]))[0]

    calls[0].cancel()
    calls[2].cancel()
    log.open.set()
    answers = await asyncio.gather(*calls, twin, return_exceptions=True)

    assert isinstance(answers[0], asyncio.CancelledError)
    assert isinstance(answers[2], asyncio.CancelledError)
    assert isinstance(answers[4], LogUnavailableError)
    assert await log.bodies() == [["e1", "e2", "e3"]]


async def test_more_than_a_message_may_hold_go_in_several(
    log: SlowLog, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order."""
    monkeypatch.setattr("placement.wire.events.BATCH_EVENTS_MAX", 3)
    calls = await begun(publisher, [event(f"e{n}") for n in range(8)])

    log.open.set()
    await asyncio.gather(*calls)

    names = [f"e{n}" for n in range(8)]
    assert await log.bodies() == [names[:1], names[1:4], names[4:7], names[7:]]


async def test_what_is_folded_need_not_be_remembered(
    log: SlowLog, publisher: Publisher
) -> None:
    """The fold knows it by then; so what is remembered has an end."""
    calls = await begun(publisher, [event(f"e{n}") for n in range(3)])
    log.open.set()
    await asyncio.gather(*calls)
    state = publisher._view.state  # noqa: SLF001 - what the projector would fold into
    for sequence in (1, 2):
        message = await log.message(sequence)
        assert message is not None
        fold(state, decode_message(message))

    log.open.clear()
    later = await begun(publisher, [event(f"f{n}") for n in range(3)])
    log.open.set()
    await asyncio.gather(*later)

    known = publisher._gathering  # noqa: SLF001 - nothing else tells what it remembers
    assert known.known(event("e1")) is None
    assert known.known(event("f1")) is not None


async def test_no_more_than_a_limit_is_remembered(
    log: SlowLog, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long nothing is folded."""
    monkeypatch.setattr(gathering, "KNOWN_IDS_MAX", 4)
    calls = await begun(publisher, [event(f"e{n}") for n in range(10)])
    log.open.set()
    await asyncio.gather(*calls)

    known = publisher._gathering  # noqa: SLF001 - nothing else tells what it remembers
    names = [f"e{n}" for n in range(10)]
    assert [name for name in names if known.known(event(name))] == names[-4:]
