"""What every EventLog promises of an append that expects something of the log."""

import asyncio

import pytest

from placement.ports import Appended, EventLog, Expected, LogMovedError
from tests.contract.event_logs import SUBJECT, Subject, append_until_stored, fill

DECISIONS = "placement.decisions.v1.>"
PLANNED = "placement.decisions.v1.{}.replication_planned"
ORDER = "placement.decisions.v1.ams.replication_paused"
ROUND_COUNT = 40
APPENDER_COUNT = 3


async def decide(
    log: EventLog, sequence: int, message_id: str, region: str = "ams"
) -> Appended:
    """Append a decision that rests on *sequence* as the last one."""
    expected = Expected(DECISIONS, sequence)
    subject = PLANNED.format(region)
    return await log.append(subject, b"decision", message_id, expected)


async def refused(log: EventLog, sequence: int, message_id: str) -> LogMovedError:
    """Return the refusal of a decision that rests on *sequence*."""
    with pytest.raises(LogMovedError) as refusal:
        await decide(log, sequence, message_id)
    return refusal.value


async def test_append_is_stored_when_what_it_expects_holds(subject: Subject) -> None:
    """From none at all to each one's own predecessor, whatever its last tokens are."""
    first = await decide(subject.log, 0, "d1")
    second = await decide(subject.log, 1, "d2", "fra")
    third = await decide(subject.log, 2, "d3")

    assert [each.sequence for each in (first, second, third)] == [1, 2, 3]
    assert not any(each.duplicate for each in (first, second, third))


async def test_append_is_refused_when_another_was_stored_since(
    subject: Subject,
) -> None:
    """What expects nothing moves the log, too; the refusal says where to."""
    await decide(subject.log, 0, "d1")
    await subject.log.append(ORDER, b"pause", "o1")

    refusal = await refused(subject.log, 1, "d2")

    assert refusal.last_sequence == 2
    assert refusal.reason == "LOG_MOVED"
    assert (await subject.log.status()).last_sequence == 2


async def test_other_subjects_do_not_matter(subject: Subject) -> None:
    """Events between two decisions leave the second what it was."""
    await fill(subject.log, 2)
    first = await decide(subject.log, 0, "d1")
    await fill(subject.log, 2, "later")

    second = await decide(subject.log, first.sequence, "d2")

    assert (first.sequence, second.sequence) == (3, 6)


async def test_star_stands_for_one_token(subject: Subject) -> None:
    """A pattern within a fact or a region is as good as one of them all."""
    paused = Expected("placement.decisions.v1.*.replication_paused", 0)
    in_fra = Expected("placement.decisions.v1.fra.*", 0)
    await decide(subject.log, 0, "d1")

    order = await subject.log.append(ORDER, b"pause", "o1", paused)
    plan = await subject.log.append(PLANNED.format("fra"), b"plan", "d2", in_fra)
    with pytest.raises(LogMovedError) as refusal:
        await subject.log.append(ORDER, b"pause", "o2", paused)

    assert (order.sequence, plan.sequence) == (2, 3)
    assert refusal.value.last_sequence == 2


async def test_none_is_expected_as_zero(subject: Subject) -> None:
    """Zero is refused once there is one, and one that never was is refused always."""
    await fill(subject.log, 1)
    before = await refused(subject.log, 1, "d0")
    await decide(subject.log, 0, "d1")

    after = await refused(subject.log, 0, "d2")
    ahead = await refused(subject.log, 9, "d2")

    assert before.last_sequence == 0
    assert (after.last_sequence, ahead.last_sequence) == (2, 2)


async def test_repeat_that_expects_the_same_is_a_duplicate(subject: Subject) -> None:
    """Who missed the answer repeats the append, though what it expected is no more."""
    await fill(subject.log, 1)
    await decide(subject.log, 0, "d1")
    at_once = await decide(subject.log, 0, "d1")
    await decide(subject.log, 2, "d2")
    await fill(subject.log, 1, "later")

    repeated = await decide(subject.log, 0, "d1")
    second = await decide(subject.log, 2, "d2")

    assert (at_once.sequence, at_once.duplicate) == (2, True)
    assert (repeated.sequence, repeated.duplicate) == (2, True)
    assert (second.sequence, second.duplicate) == (3, True)
    assert (await subject.log.status()).last_sequence == 4


async def test_repeat_that_expects_what_holds_is_a_duplicate(subject: Subject) -> None:
    """A decision made again, by newer knowledge, is not stored again."""
    await decide(subject.log, 0, "d1")
    await decide(subject.log, 1, "d2")

    again = await decide(subject.log, 2, "d1")

    assert (again.sequence, again.duplicate) == (1, True)
    assert (await subject.log.status()).last_sequence == 2


async def test_other_message_of_the_same_expectation_is_no_duplicate(
    subject: Subject,
) -> None:
    """Only its own id tells a repeat from a rival."""
    await decide(subject.log, 0, "d1")

    refusal = await refused(subject.log, 0, "d2")

    assert refusal.last_sequence == 1


async def test_what_was_refused_is_stored_later_under_the_same_id(
    subject: Subject,
) -> None:
    """A refusal leaves nothing behind that a better founded append could trip over."""
    await decide(subject.log, 0, "d1")
    await refused(subject.log, 0, "d2")

    later = await decide(subject.log, 1, "d2")

    assert (later.sequence, later.duplicate) == (2, False)


async def test_of_concurrent_appends_exactly_one_is_stored(subject: Subject) -> None:
    """In each round all expect the same: one wins, and the others are told so."""
    if not subject.atomic:
        pytest.skip(
            "a nats-server before 2.11 cannot compare and store in one step: of two "
            "who append at once it may store both, and the fold drops the second"
        )
    last = 0
    for number in range(ROUND_COUNT):
        answers = await asyncio.gather(
            *(
                decide(subject.log, last, f"d{number}-{rival}", f"r{rival}")
                for rival in range(APPENDER_COUNT)
            ),
            return_exceptions=True,
        )

        stored = [answer for answer in answers if isinstance(answer, Appended)]
        moved = [answer for answer in answers if isinstance(answer, LogMovedError)]
        assert (len(stored), len(moved)) == (1, APPENDER_COUNT - 1)
        assert {each.last_sequence for each in moved} <= {0, stored[0].sequence}
        last = stored[0].sequence

    assert (await subject.log.status()).last_sequence == ROUND_COUNT


async def test_expectation_outlives_a_restart(subject: Subject) -> None:
    """A server that was killed still knows what its last decision is."""
    await decide(subject.log, 0, "d1")
    await subject.stop()
    await subject.start()
    await append_until_stored(subject.log, "event")

    refusal = await refused(subject.log, 0, "d2")
    second = await decide(subject.log, 1, "d2")

    assert refusal.last_sequence == 1
    assert second.sequence == 3


async def test_append_without_expectation_is_stored_as_ever(subject: Subject) -> None:
    """Whoever expects nothing is refused nothing."""
    await decide(subject.log, 0, "d1")

    event = await subject.log.append(SUBJECT, b"x", "event")
    order = await subject.log.append(ORDER, b"pause", "o1")

    assert (event.sequence, order.sequence) == (2, 3)
