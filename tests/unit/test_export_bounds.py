"""From where to where an export tells: the bounds that were said, run after run."""

from pathlib import Path

from placement.core.event import Event, Identifier, MachineStarted
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
