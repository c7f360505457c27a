"""What every EventLog promises, in ``placement/ports.py``, kept by every adapter."""

import asyncio
import time

import pytest

from placement.adapters.log_message import BODY_BYTES_MAX
from placement.core.errors import LimitInvalidError
from placement.ports import (
    READ_BATCH_MESSAGES_MAX,
)
from tests.contract.event_logs import (
    SUBJECT,
    Subject,
    fill,
    fill_fast,
    reading,
)

IDLE_SECONDS_MAX = 2.0


async def test_sequences_count_from_one(subject: Subject) -> None:
    """Appends are numbered 1, 2, 3 in the order in which they were stored."""
    appended = [await subject.log.append(SUBJECT, b"x", f"m{n}") for n in range(3)]

    assert [each.sequence for each in appended] == [1, 2, 3]
    assert not any(each.duplicate for each in appended)
    assert {each.epoch for each in appended} == {(await subject.log.status()).epoch}


async def test_same_id_is_stored_once(subject: Subject) -> None:
    """A repeated append says where the first one went, and stores nothing."""
    await fill(subject.log, 3)

    again = await subject.log.append(SUBJECT, b"another body", "m1")

    assert (again.sequence, again.duplicate) == (2, True)
    assert (await subject.log.status()).last_sequence == 3


async def test_read_gives_back_what_was_appended(subject: Subject) -> None:
    """Subject, body, sequence and a store time that never falls come back."""
    before_ns = time.time_ns()
    await fill(subject.log, 5)

    async with reading(subject.log, 0) as reader:
        messages = await reader.take(5)

    assert [message.sequence for message in messages] == [1, 2, 3, 4, 5]
    assert [message.body for message in messages] == [
        f"m{number}".encode().ljust(8, b".") for number in range(5)
    ]
    assert {message.subject for message in messages} == {SUBJECT}
    times = [message.store_time_ns for message in messages]
    assert times == sorted(times)
    assert before_ns - 10**9 < times[0] <= times[-1] < time.time_ns() + 10**9


@pytest.mark.parametrize("after_sequence", [1, 4, 9])
async def test_read_begins_after_a_sequence(
    subject: Subject, after_sequence: int
) -> None:
    """A reader gets what follows its position, and nothing before it."""
    await fill(subject.log, 10)

    async with reading(subject.log, after_sequence) as reader:
        messages = await reader.take(10 - after_sequence)

    expected = list(range(after_sequence + 1, 11))
    assert [message.sequence for message in messages] == expected


async def test_read_after_the_last_says_at_once_that_nothing_is_newer(
    subject: Subject,
) -> None:
    """The first answer to a reader that is up to date is an empty batch."""
    await fill(subject.log, 2)

    async with reading(subject.log, 2) as reader:
        assert await reader.batch(IDLE_SECONDS_MAX) in ([], ())


async def test_read_of_an_empty_log_is_up_to_date(subject: Subject) -> None:
    """Position 0 of a log without messages is as far as anybody can be."""
    async with reading(subject.log, 0) as reader:
        assert len(await reader.batch(IDLE_SECONDS_MAX)) == 0


async def test_idle_log_is_confirmed_every_two_seconds(subject: Subject) -> None:
    """While nothing is new, an empty batch comes at least every two seconds."""
    async with reading(subject.log, 0) as reader:
        for _ in range(3):
            assert len(await reader.batch(IDLE_SECONDS_MAX)) == 0


async def test_reader_follows(subject: Subject) -> None:
    """What is appended later reaches a reader that waits."""
    async with reading(subject.log, 0) as reader:
        await reader.until_up_to_date()

        await fill(subject.log, 3)

        messages = await reader.take(3)
        assert [message.sequence for message in messages] == [1, 2, 3]


async def test_batches_are_bounded(subject: Subject) -> None:
    """No batch is larger than the limit that the port names."""
    count = 2 * READ_BATCH_MESSAGES_MAX + 100
    await fill_fast(subject.log, count)

    async with reading(subject.log, 0) as reader:
        messages = await reader.take(count)

    assert [message.sequence for message in messages] == list(range(1, count + 1))
    assert max(reader.sizes) <= READ_BATCH_MESSAGES_MAX


async def test_slow_reader_loses_nothing(subject: Subject) -> None:
    """A reader that pauses between batches gets every message, in order."""
    await fill_fast(subject.log, 2_000)

    async with reading(subject.log, 0) as reader:
        first = await reader.take_some()
        await fill(subject.log, 20, "later")
        rest = await reader.take(2_020 - len(first))

    sequences = [message.sequence for message in [*first, *rest]]
    assert sequences == list(range(1, 2_021))


async def test_two_readers_do_not_disturb_each_other(subject: Subject) -> None:
    """Each reader has its own position."""
    await fill(subject.log, 10)

    async with reading(subject.log, 0) as one, reading(subject.log, 5) as other:
        assert len(await one.take(10)) == 10
        assert len(await other.take(5)) == 5


async def test_five_thousand_messages_arrive_in_order(subject: Subject) -> None:
    """A reader that begins amid the appends sees all of them, once each."""
    async with reading(subject.log, 0) as reader, asyncio.TaskGroup() as tasks:
        tasks.create_task(fill_fast(subject.log, 5_000))
        messages = await reader.take(5_000)

    assert [message.sequence for message in messages] == list(range(1, 5_001))
    assert len({message.body for message in messages}) == 5_000


async def test_large_bodies_come_back_whole(subject: Subject) -> None:
    """Sixteen bodies of 512 KiB, twice what is asked for ahead, arrive unharmed."""
    bodies = [bytes([number]) * (512 << 10) for number in range(16)]
    for number, body in enumerate(bodies):
        await subject.log.append(SUBJECT, body, f"large{number}")

    async with reading(subject.log, 0) as reader:
        messages = await reader.take(16)

    assert [message.body for message in messages] == bodies


async def test_largest_body_is_stored_and_one_byte_more_is_refused(
    subject: Subject,
) -> None:
    """The limit is exact, and its error names the field."""
    largest = await subject.log.append(SUBJECT, b"x" * BODY_BYTES_MAX, "largest")
    async with reading(subject.log, 0) as reader:
        read = await reader.take(1)

    with pytest.raises(LimitInvalidError) as refused:
        await subject.log.append(SUBJECT, b"x" * (BODY_BYTES_MAX + 1), "larger")

    assert largest.sequence == 1
    assert len(read[0].body) == BODY_BYTES_MAX
    assert refused.value.field == "body"


async def test_empty_body_is_a_message(subject: Subject) -> None:
    """A message may hold nothing."""
    await subject.log.append(SUBJECT, b"", "empty")

    async with reading(subject.log, 0) as reader:
        read = await reader.take(1)

    assert read[0].body == b""
    assert await subject.log.message(1) == read[0]


async def test_message_is_what_read_yields(subject: Subject) -> None:
    """One message looked up is the message that was read, to the nanosecond."""
    await fill(subject.log, 3)
    async with reading(subject.log, 0) as reader:
        messages = await reader.take(3)

    found = [await subject.log.message(sequence) for sequence in (1, 2, 3)]

    assert found == messages


@pytest.mark.parametrize("sequence", [0, 4])
async def test_message_outside_the_log_is_none(subject: Subject, sequence: int) -> None:
    """Before the first and after the last there is nothing."""
    await fill(subject.log, 3)

    assert await subject.log.message(sequence) is None


async def test_status_of_an_empty_log(subject: Subject) -> None:
    """An empty log begins one after its end."""
    status = await subject.log.status()

    assert (status.first_sequence, status.last_sequence) == (1, 0)


async def test_status_tells_how_far_the_log_reaches(subject: Subject) -> None:
    """First and last sequence are those of the messages."""
    await fill(subject.log, 3)

    status = await subject.log.status()

    assert (status.first_sequence, status.last_sequence) == (1, 3)


async def test_first_message_of_a_subject_is_found_from_a_sequence_on(
    subject: Subject,
) -> None:
    """A wildcard stands for one token; what comes before the sequence is no match."""
    decisions = "placement.decisions.v1.{}.event_quarantined"
    await fill(subject.log, 2)
    await subject.log.append(decisions.format("ams"), b"first", "q1")
    await fill(subject.log, 2, "later")
    await subject.log.append(decisions.format("fra"), b"second", "q2")

    every = decisions.format("*")
    found = [await subject.log.message(start, every) for start in (1, 3, 4, 7)]

    sequences = [None if each is None else each.sequence for each in found]
    assert sequences == [3, 3, 6, None]
    assert found[2] is not None
    assert found[2].body == b"second"
    assert await subject.log.message(4, "placement.decisions.v1.>") == found[2]
    assert await subject.log.message(1, "placement.decisions.v1.ams.tag_moved") is None
