"""What the publisher answers when the log becomes another one while it stores."""

from dataclasses import replace

import pytest

from placement.adapters.memory import MemoryEventLog
from placement.core.event import (
    Event,
    Fact,
    Identifier,
    Name,
    Recorded,
    ReplicationPaused,
    TickPassed,
)
from placement.core.fold import fold
from placement.core.state import State
from placement.ports import Appended, Expected, LogUnavailableError, Message
from placement.runtime.publisher import Outcome, Publisher
from placement.runtime.tokens import body_mark, message_mark
from placement.runtime.view import View
from placement.wire.events import decode_message, encode_message
from tests.builders import AMS, FRA, START_NS, pushed


def named(event: Event, event_id: str) -> Event:
    """Return *event* under an id of its own."""
    return replace(event, event_id=Identifier(event_id))


FIRST = named(pushed("a", AMS), "first")
SECOND = named(pushed("b", FRA), "second")


def clock() -> int:
    """Return a time that stands still."""
    return START_NS


class FickleLog(MemoryEventLog):
    """A log that is replaced after its first append."""

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Store, and be gone."""
        appended = await super().append(subject, body, message_id, expected)
        self.replace()
        return appended


def view_of(epoch: str) -> View:
    """Return a view in *epoch* that has folded nothing."""
    view = View(clock)
    view.replace(State(), epoch, restored=False)
    return view


async def test_event_folded_in_another_log_is_not_taken_for_stored() -> None:
    """What was folded before a log was replaced is in no message of the new one."""
    log, view = MemoryEventLog(clock), view_of("memory-1")
    publisher = Publisher(log, view)
    await publisher.publish([FIRST])
    message = await log.message(1)
    assert message is not None
    fold(view.state, decode_message(message))
    log.replace()

    with pytest.raises(LogUnavailableError, match="publish the events again"):
        await publisher.publish([FIRST, SECOND])


class RewoundLog(MemoryEventLog):
    """A log that is rewound after it said where an event is, and grows again."""

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Say that it is stored; what is repeated is lost, and another one there."""
        appended = await super().append(subject, body, message_id, expected)
        if appended.duplicate:
            self.rewind(0)
            other = replace(SECOND, region=FIRST.region)
            await super().append(*encode_message([other]))
        return appended


async def test_event_lost_after_its_duplicate_was_told_is_not_acknowledged() -> None:
    """The message that is there now is another one: no token may stand for it."""
    publisher = Publisher(RewoundLog(clock), view_of("memory-1"))
    await publisher.publish([FIRST])

    with pytest.raises(LogUnavailableError, match="publish the events again"):
        await publisher.publish([FIRST])


async def test_answer_covers_one_log_only() -> None:
    """Two regions are two messages: both must be in the log that the answer names."""
    publisher = Publisher(FickleLog(clock), view_of("memory-1"))

    with pytest.raises(LogUnavailableError, match="publish the events again"):
        await publisher.publish([FIRST, SECOND])


async def test_token_stands_for_the_very_message() -> None:
    """By its body as it was stored first, and by its hash once it is folded."""
    log, view = MemoryEventLog(clock), view_of("memory-1")
    publisher = Publisher(log, view)

    stored = await publisher.publish([FIRST])
    again = await publisher.publish([replace(FIRST, app=Name("told"))])
    message = await log.message(1)
    assert message is not None
    fold(view.state, decode_message(message))
    folded = await publisher.publish([FIRST])
    nothing = await publisher.publish([])

    assert stored.mark == body_mark(message.body)
    assert again.outcomes == (Outcome.DUPLICATE,)
    assert again.token == stored.token
    assert folded.mark == message_mark(view.state.message_hash)
    assert folded.token == view.basis().token
    assert not nothing.token


async def test_events_for_a_new_log_are_stored_in_it() -> None:
    """A log that was replaced before anything was stored takes all of the call."""
    log = MemoryEventLog(clock)
    log.replace()

    published = await Publisher(log, view_of("memory-1")).publish([FIRST, SECOND])

    assert published.outcomes == (Outcome.STORED, Outcome.STORED)
    assert (published.epoch, published.sequence) == ("memory-2", 2)


async def taken_first(log: MemoryEventLog, message_id: str) -> None:
    """Store an event of Amsterdam under an id that somebody else's will have."""
    subject, body, _ = encode_message([named(pushed("a", AMS), "harmless")])
    await log.append(subject, body, message_id)


@pytest.mark.parametrize(
    "fact", [TickPassed(7), ReplicationPaused()], ids=["tick", "order"]
)
async def test_message_id_that_another_took_first_keeps_nothing_out(fact: Fact) -> None:
    """A log stores an id once, on any subject; those of ticks are no secret."""
    log, view = MemoryEventLog(clock), view_of("memory-1")
    publisher = Publisher(log, view)
    told = Event(Identifier("known-before"), AMS, fact)
    await taken_first(log, "decisions.ams.known-before")

    published = await publisher.publish([told])

    assert published.outcomes == (Outcome.STORED,)
    message = await log.message(published.sequence)
    assert message is not None
    assert [item.event for item in items_of(message)] == [told]


async def test_decision_is_stored_whoever_took_its_message_id_first() -> None:
    """Else whoever guesses its id voids it for as long as the log remembers ids."""
    log, view = MemoryEventLog(clock), view_of("memory-1")
    decision = Event(Identifier("r-1"), FRA, ReplicationPaused())
    await taken_first(log, "decisions.fra.r-1")

    sequence = await Publisher(log, view).decisions.append([decision], 0)

    message = await log.message(sequence)
    assert message is not None
    assert [item.event for item in items_of(message)] == [decision]


async def test_same_id_in_two_regions_is_two_events() -> None:
    """Each region's publishers choose ids of their own."""
    log = MemoryEventLog(clock)
    publisher = Publisher(log, view_of("memory-1"))
    other = replace(FIRST, region=AMS if FIRST.region == FRA else FRA)

    together = await publisher.publish([FIRST, other])
    again = await publisher.publish([other])

    assert together.outcomes == (Outcome.STORED, Outcome.STORED)
    assert again.outcomes == (Outcome.DUPLICATE,)


def items_of(message: Message) -> list[Recorded]:
    """Return the events of *message* that are not set aside."""
    items = decode_message(message).items
    return [item for item in items if isinstance(item, Recorded)]
