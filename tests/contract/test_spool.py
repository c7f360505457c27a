"""What every Spool promises, held against each that there is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from placement.adapters.memory_spool import MemorySpool
from placement.adapters.sqlite.spool import SqliteSpool
from placement.spooling import (
    ROUND_BYTES_MAX,
    Aside,
    Note,
    Position,
    Settled,
    Spool,
    SpoolFullError,
    SpoolLimits,
)

NOW_NS = 1_795_428_000_000_000_000
HOUR_NS = 3_600_000_000_000
LIMITS = SpoolLimits(
    waiting_bytes_max=10_000_000,
    kept_bytes_max=1_000,
    kept_ns_max=HOUR_NS,
    aside_count_max=3,
)

Reopen = Callable[[], Awaitable[Spool]]


@pytest.fixture(params=["memory", "sqlite"])
async def reopen(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Reopen]:
    """A function that ends a run and returns the spool as the next one finds it."""
    memory = MemorySpool(lambda: NOW_NS, LIMITS)
    runs: list[Spool] = []

    async def next_run() -> Spool:
        if runs:
            await runs[-1].close()
        path = tmp_path / "spool.sqlite"
        runs.append(
            memory
            if request.param == "memory"
            else await SqliteSpool.open(path, LIMITS, lambda: NOW_NS)
        )
        return runs[-1]

    yield next_run
    await runs[-1].close()


@pytest.fixture
async def spool(reopen: Reopen) -> Spool:
    """An empty spool."""
    return await reopen()


def note(body: bytes | str, received_ns: int = NOW_NS) -> Note:
    """Return a note whose body is *body*."""
    content = body.encode() if isinstance(body, str) else body
    return Note("distribution", content, received_ns, {"content-type": "x/y"})


async def bodies(spool: Spool, count_max: int = 100) -> list[str]:
    """Return what waits, in order."""
    return [entry.note.body.decode() for entry in await spool.waiting(count_max, 0)]


async def numbers(spool: Spool) -> Sequence[int]:
    """Return the numbers of what waits."""
    return [entry.number for entry in await spool.waiting(100, 0)]


async def test_what_was_put_waits_in_order_also_for_the_next_run(
    reopen: Reopen,
) -> None:
    """A note comes back as it was given, after all that came before it."""
    spool = await reopen()

    await spool.put([note("a"), note("b")])
    await spool.put([note("c")])
    spool = await reopen()

    assert await bodies(spool) == ["a", "b", "c"]
    assert [entry.note for entry in await spool.waiting(1, 0)] == [note("a")]
    assert all(entry.intact for entry in await spool.waiting(100, 0))
    figures = spool.figures
    assert (figures.waiting_count, figures.waiting_bytes) == (3, 3)
    assert figures.oldest_waiting_ns == NOW_NS


async def test_many_puts_at_once_are_all_there(spool: Spool) -> None:
    """Each caller gets its answer, and nobody's note is lost or doubled."""
    await asyncio.gather(*(spool.put([note(f"{n}")]) for n in range(500)))

    assert sorted(await bodies(spool, 1_000), key=int) == [f"{n}" for n in range(500)]
    assert spool.figures.waiting_count == 500


async def test_full_spool_takes_nothing_of_what_is_too_much(spool: Spool) -> None:
    """It refuses and keeps what it has; once that is sent there is room again."""
    megabyte = b"x" * 1_000_000
    for _ in range(9):
        await spool.put([note(megabyte)])

    with pytest.raises(SpoolFullError) as refused:
        await spool.put([note(megabyte), note("a")])
    await spool.put([note(megabyte)])
    with pytest.raises(SpoolFullError):
        await spool.put([note("a")])
    await spool.settle(Settled(await numbers(spool), Position("e", 1)))
    await spool.put([note("a")])

    assert "agent.spool.waiting_bytes_max" in str(refused.value)
    assert (await bodies(spool))[-1] == "a"


async def test_waiting_returns_at_most_so_many_and_so_much(spool: Spool) -> None:
    """A round is bounded by count and by bytes, and is never empty for its size."""
    megabyte = b"x" * 1_000_000
    for _ in range(10):
        await spool.put([note(megabyte)])

    assert len(await spool.waiting(3, 0)) == 3
    assert len(await spool.waiting(100, 0)) == ROUND_BYTES_MAX // 1_000_000


async def test_waiting_goes_past_what_was_looked_at(spool: Spool) -> None:
    """Of what comes after an entry there may be none, which is said at once."""
    await spool.put([note("a"), note("b"), note("c")])
    first, second, third = await spool.waiting(3, 0)

    after = await spool.waiting(1, 0, first.number)
    none = await asyncio.wait_for(spool.waiting(3, 60, third.number), 5)

    assert [entry.number for entry in after] == [second.number]
    assert none == []


async def test_waiting_waits_for_the_first_and_no_longer(spool: Spool) -> None:
    """Who waits is told at once; with nothing there, patience ends."""
    waiting = asyncio.create_task(spool.waiting(10, 60))
    await asyncio.sleep(0.01)

    await spool.put([note("a")])
    found = await asyncio.wait_for(waiting, 5)
    await spool.settle(Settled(dropped=[found[0].number]))
    nothing = await asyncio.wait_for(spool.waiting(10, 0.01), 5)

    assert [entry.note.body for entry in found] == [b"a"]
    assert nothing == []


async def test_settled_entries_wait_no_more(reopen: Reopen) -> None:
    """What was sent is kept and counted, what was dropped is gone."""
    spool = await reopen()
    await spool.put([note("a"), note("b"), note("c")])
    first, second, _ = await numbers(spool)

    await spool.settle(Settled([first], Position("e", 7), [second]))
    await spool.settle(Settled([first], Position("e", 7)))  # a repeat
    spool = await reopen()

    assert await bodies(spool) == ["c"]
    figures = spool.figures
    assert (figures.waiting_count, figures.kept_count, figures.sent_count) == (1, 1, 1)
    assert figures.position == Position("e", 7)


async def test_numbers_are_never_used_twice(reopen: Reopen) -> None:
    """What was set aside or logged under a number stays that entry's own."""
    spool = await reopen()
    await spool.put([note("a")])
    [before] = await numbers(spool)

    await spool.settle(Settled(dropped=[before]))
    spool = await reopen()
    await spool.put([note("b")])

    assert before not in await numbers(spool)


async def test_asides_are_bounded_and_stay_counted(reopen: Reopen) -> None:
    """The oldest give way; that they were there is not forgotten."""
    spool = await reopen()
    asides = [Aside(note(f"{n}"), "MALFORMED", "x" * 10_000) for n in range(5)]

    await spool.settle(Settled(asides=asides))
    spool = await reopen()

    assert spool.figures.set_aside_count == 5


async def test_another_epoch_lets_all_that_is_kept_wait_again(spool: Spool) -> None:
    """In the order of old, before what came since; what is in the new log stays."""
    await spool.put([note("a"), note("b"), note("c"), note("d")])
    first, second, third, _ = await numbers(spool)
    await spool.settle(Settled([first, second], Position("old", 9)))
    await spool.settle(Settled([third], Position("new", 4)))

    found = await spool.resend(Position("new", 5))

    assert found == 2
    assert await bodies(spool) == ["a", "b", "d"]
    assert spool.figures.position == Position("new", 4)
    assert spool.figures.kept_count == 1


async def test_rewound_log_lets_what_it_lost_wait_again(spool: Spool) -> None:
    """From the lost sequence on; what is stored before it is not sent again."""
    await spool.put([note("a"), note("b"), note("c")])
    for sequence, number in enumerate(await numbers(spool), 1):
        await spool.settle(Settled([number], Position("e", sequence)))

    found = await spool.resend(Position("e", 2))

    assert found == 2
    assert await bodies(spool) == ["b", "c"]


async def test_what_was_sent_is_kept_within_bounds(spool: Spool) -> None:
    """By bytes and by age; what waits is not touched, however old it is."""
    old_ns = NOW_NS - 2 * HOUR_NS
    await spool.put([note(b"x" * 400) for _ in range(3)])
    await spool.put([note("old", old_ns), note("old, waiting", old_ns)])
    *sent, waiting = await numbers(spool)

    await spool.settle(Settled(sent, Position("e", 1)))
    await spool.settle(Settled())
    kept = spool.figures
    await spool.resend(Position("other", 1))

    assert (kept.kept_count, kept.kept_bytes) == (2, 800)
    assert waiting in await numbers(spool)
    assert "old" not in await bodies(spool)
