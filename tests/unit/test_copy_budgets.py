"""How fast copies may take bytes, and who is let in first; on made-up clocks."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from placement.agent.replicator.budgets import BURST_SECONDS, Bucket, Budgets, Gate
from placement.agent.replicator.progress import Progress
from placement.core.topology import Region

IAD, FRA = Region("iad"), Region("fra")


@given(
    st.floats(1, 1e9),
    st.lists(st.tuples(st.integers(1, 1 << 20), st.floats(0, 10)), max_size=50),
)
def test_bucket_never_gives_more_than_its_rate_and_one_burst(
    rate: float, takings: list[tuple[int, float]]
) -> None:
    """Whoever waits as told never has more than the rate, a burst and one taking."""
    bucket, now_s, taken, last = Bucket(rate, 0), 0.0, 0, 0

    for size_bytes, idle_s in takings:
        now_s += idle_s
        now_s += bucket.wait_s(now_s)
        bucket.take(size_bytes, now_s)
        taken, last = taken + size_bytes, size_bytes

        before = taken - last
        assert before <= rate * (now_s + BURST_SECONDS) * (1 + 1e-9) + 1


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_gate_lets_in_by_rank_and_then_by_arrival(ranks: list[int]) -> None:
    """Whoever waits is let in by rank; who came first of a rank goes first."""

    async def order() -> list[tuple[int, int]]:
        now_s = [0.0]
        gate = Gate(Bucket(1e6, 0.0), lambda: now_s[0])
        admitted: list[tuple[int, int]] = []
        await gate.admitted(int(1e6 * BURST_SECONDS) + 1000, Progress(0))  # empties it

        async def wait(rank: int, position: int) -> None:
            await gate.admitted(10, Progress(rank))
            admitted.append((rank, position))

        waiting = [asyncio.ensure_future(wait(r, at)) for at, r in enumerate(ranks)]
        await asyncio.sleep(0)
        now_s[0] = 1.0
        await asyncio.gather(*waiting)
        return admitted

    assert asyncio.run(order()) == sorted(zip(ranks, range(len(ranks)), strict=True))


async def test_cancelled_waiter_is_passed_over() -> None:
    """Who gave up takes nothing and stops nobody."""
    clock = asyncio.get_running_loop().time
    gate = Gate(Bucket(1e6, clock()), clock)
    await gate.admitted(300_000, Progress(1))
    gives_up = asyncio.create_task(gate.admitted(10**9, Progress(0)))
    stays = asyncio.create_task(gate.admitted(10, Progress(1)))
    await asyncio.sleep(0)

    gives_up.cancel()

    assert await asyncio.wait_for(stays, 5)


async def test_region_without_a_budget_is_not_held_back() -> None:
    """Only what is limited waits, and it says so."""
    budgets = Budgets({IAD: 1000, FRA: 0}, asyncio.get_running_loop().time)

    assert not await budgets.admitted(FRA, 10**9, Progress(4))
    assert not await budgets.admitted(IAD, 260, Progress(4))
    assert await budgets.admitted(IAD, 1, Progress(4))


async def test_rank_may_be_lowered_by_who_begins_to_wait() -> None:
    """Whoever was last in line is first as soon as somebody waits for it."""
    clock = asyncio.get_running_loop().time
    gate = Gate(Bucket(1e6, clock()), clock)
    await gate.admitted(300_000, Progress(1))
    slow = Progress(4)
    admitted: list[str] = []

    async def wait(name: str, who: Progress) -> None:
        await gate.admitted(10_000, who)
        admitted.append(name)

    waiting = [wait("decided", Progress(1)), wait("raised", slow)]
    tasks = [asyncio.create_task(one) for one in waiting]
    await asyncio.sleep(0)
    slow.rank = 0
    await asyncio.gather(*tasks)

    assert admitted == ["raised", "decided"]
