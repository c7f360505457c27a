"""From where to where an export tells: the bounds that were said, run after run."""

from pathlib import Path

import pytest

from placement.core.errors import InputError
from placement.core.event import Event, Identifier, MachineStarted
from placement.export.bounds import parse_bound
from tests.builders import SECOND_NS, START_NS, SYD, WEB, A
from tests.exporting import TimedLog, exported, manifest_of, rows_of


async def stored(log: TimedLog, first: int, last: int) -> TimedLog:
    """Store starts in *log*, one each second from *first* to *last*."""
    return await log.tell(
        (START_NS + number * SECOND_NS, started(number))
        for number in range(first, last + 1)
    )


def started(number: int) -> Event:
    """Return the start of a machine of its own."""
    name = Identifier(f"m-{number}")
    return Event(Identifier(f"s-{number}"), SYD, MachineStarted(A, WEB, name))


async def test_log_after_a_break_is_told_from_its_start(tmp_path: Path) -> None:
    """Where to begin was said of the log before: the new one counts anew."""
    log = await stored(TimedLog(), 1, 30)
    await exported(log, tmp_path, since=(20, 0))
    log.replace()
    await stored(log, 101, 115)

    again = await exported(log, tmp_path)

    assert again.messages == 15
    told = [(row["epoch"], row["sequence"]) for row in rows_of(tmp_path, "starts")]
    one, other = range(20, 31), range(1, 16)
    assert told == [*((1, each) for each in one), *((2, each) for each in other)]


async def test_log_of_which_nothing_is_told_is_known(tmp_path: Path) -> None:
    """What came of its decisions rests on it, and the next run goes on in it."""
    log = await stored(TimedLog(), 1, 10)
    await exported(log, tmp_path, since=(20, 0))
    before = manifest_of(tmp_path)
    await stored(log, 11, 25)
    await exported(log, tmp_path)
    after = manifest_of(tmp_path)

    assert [each.epoch for each in before.outcome_versions] == [1]
    assert [(each.number, each.last_sequence) for each in before.epochs] == [(1, 0)]
    assert [(each.number, each.last_sequence) for each in after.epochs] == [(1, 25)]
    assert [row["sequence"] for row in rows_of(tmp_path, "starts")] == [*range(20, 26)]


def time_of(number: int) -> tuple[int, int]:
    """Return the bound of the time at which a start was stored."""
    return 0, START_NS + number * SECOND_NS


async def test_since_a_time_goes_on_whatever_the_log_holds_now(tmp_path: Path) -> None:
    """It would mean another message once the log is trimmed, and once it is replaced.

    As it was said is as it was begun; so is the sequence that it meant then.
    """
    log = await stored(TimedLog(), 1, 30)
    since = time_of(11)
    await exported(log, tmp_path, since=since)
    log.trim(25)
    await stored(log, 31, 33)
    trimmed = await exported(log, tmp_path, since=since)
    log.replace()
    await stored(log, 101, 104)
    replaced = await exported(log, tmp_path, since=since)

    assert (trimmed.messages, replaced.messages) == (3, 4)
    assert (await exported(log, tmp_path, since=(11, 0))).messages == 0
    for other in ((12, 0), time_of(12)):
        with pytest.raises(InputError, match=r"--since.*began at 11"):
            await exported(log, tmp_path, since=other)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-30T12:00:00Z", 0),
        ("2026-11-30T12:00:00.25", 250_000_000),
        ("2026-11-30T13:00:00.999999+01:00", 999_999_000),
    ],
)
def test_fractions_of_seconds_count(text: str, nanoseconds: int) -> None:
    """Each to the microsecond, as the tables tell times."""
    whole = parse_bound("2026-11-30T12:00:00Z", "--since")

    assert parse_bound(text, "--since") == (0, whole[1] + nanoseconds)
