"""What every EventLog promises when its store is away, replaced or set back."""

import asyncio
import time

import pytest

from placement.ports import LogReplacedError, LogUnavailableError
from tests.contract.event_logs import (
    SUBJECT,
    Subject,
    append_until_stored,
    fill,
    reading,
)

SILENT_SECONDS = 4.0
RESUME_SECONDS_MAX = 3.0
FAIL_SECONDS_MAX = 1.0


async def test_id_is_remembered_through_a_restart(subject: Subject) -> None:
    """Within the window a repeat is known even to a server that was killed."""
    await fill(subject.log, 3)
    await subject.stop()
    await subject.start()

    again = await append_until_stored(subject.log, "m1")

    assert (again.sequence, again.duplicate) == (2, True)


async def test_epoch_outlives_a_restart(subject: Subject) -> None:
    """The same log has the same epoch after its server was killed."""
    before = await subject.log.append(SUBJECT, b"x", "m0")
    await subject.stop()
    await subject.start()

    async with reading(subject.log, 0) as reader:
        await reader.take(1)

    assert (await subject.log.status()).epoch == before.epoch


async def test_unreachable_log_says_so(subject: Subject) -> None:
    """Every call but read raises while the log is away, and soon."""
    await subject.stop()
    began = time.monotonic()

    with pytest.raises(LogUnavailableError):
        await subject.log.append(SUBJECT, b"x", "m0")
    with pytest.raises(LogUnavailableError):
        await subject.log.message(1)
    with pytest.raises(LogUnavailableError):
        await subject.log.status()
    assert time.monotonic() - began < FAIL_SECONDS_MAX


async def test_nothing_comes_from_an_unreachable_log(subject: Subject) -> None:
    """No empty batch claims that a log that is away has nothing newer."""
    async with reading(subject.log, 0) as reader:
        await reader.until_up_to_date()
        await subject.stop()

        with pytest.raises(TimeoutError):
            await reader.batch(SILENT_SECONDS)


async def test_reading_goes_on_after_an_outage(subject: Subject) -> None:
    """Within three seconds of the log's return the next message arrives."""
    await fill(subject.log, 3)
    async with reading(subject.log, 0) as reader:
        await reader.take(3)
        pending = asyncio.create_task(reader.take(1))
        await subject.stop()
        await asyncio.sleep(1.0)  # an outage has a length

        await subject.start()
        back = time.monotonic()
        await append_until_stored(subject.log, "m3")
        messages = await pending

    assert [message.sequence for message in messages] == [4]
    assert time.monotonic() - back < RESUME_SECONDS_MAX


async def test_replaced_log_is_noticed(subject: Subject) -> None:
    """A reader of a log that was made anew is told within five seconds."""
    await fill(subject.log, 3)
    async with reading(subject.log, 0) as reader:
        await reader.take(3)
        await reader.until_up_to_date()
        before = await subject.log.status()
        await subject.replace()

        with pytest.raises(LogReplacedError):
            await reader.until_it_fails()

    assert (await subject.log.status()).epoch != before.epoch


async def test_append_to_a_replaced_log_names_the_new_epoch(subject: Subject) -> None:
    """A token made of an append must never name an epoch that is gone."""
    before = await subject.log.append(SUBJECT, b"x", "m0")
    async with reading(subject.log, 0) as reader:
        await reader.take(1)
        await subject.replace()
        with pytest.raises(LogReplacedError):
            await reader.until_it_fails()

    after = await subject.log.append(SUBJECT, b"x", "m0")

    assert after.epoch != before.epoch
    assert (after.sequence, after.duplicate) == (1, False)


async def test_rewound_log_is_noticed(subject: Subject) -> None:
    """A reader that is ahead of a log put back from a backup is told so."""
    await fill(subject.log, 3)
    await subject.keep()
    await append_until_stored(subject.log, "m3")
    async with reading(subject.log, 0) as reader:
        await reader.take(4)
        await subject.put_back()

        with pytest.raises(LogReplacedError):
            await reader.until_it_fails()


async def test_rewound_log_that_has_grown_since_is_noticed(subject: Subject) -> None:
    """The sequence alone does not prove that a log is the one that was read."""
    await fill(subject.log, 3)
    await subject.keep()
    await append_until_stored(subject.log, "m3")
    async with reading(subject.log, 0) as reader:
        await reader.take(4)
        await subject.put_back()
        await append_until_stored(subject.log, "other3")
        await fill(subject.log, 3, "other after")

        with pytest.raises(LogReplacedError):
            await reader.until_it_fails()


async def test_position_after_the_end_is_of_another_log(subject: Subject) -> None:
    """A reader cannot begin where the log has not been."""
    await fill(subject.log, 3)

    async with reading(subject.log, 4) as reader:
        with pytest.raises(LogReplacedError):
            await reader.until_it_fails()


async def test_reader_of_another_epoch_is_told_at_once(subject: Subject) -> None:
    """Who asked for the name before must not read a log that was made anew since."""
    await fill(subject.log, 3)
    before = (await subject.log.status()).epoch
    await subject.replace()
    await append_until_stored(subject.log, "anew")

    async with reading(subject.log, 0, before) as reader:
        with pytest.raises(LogReplacedError):
            await reader.until_it_fails()
    assert reader.sizes == []


async def test_closed_log_ends_its_readers(subject: Subject) -> None:
    """After close nothing hangs: readers and callers are told."""
    async with reading(subject.log, 0) as reader:
        await reader.until_up_to_date()

        await subject.log.close()

        with pytest.raises(LogUnavailableError):
            await reader.until_it_fails()
    with pytest.raises(LogUnavailableError):
        await subject.log.status()
