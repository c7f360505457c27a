"""How a figure is measured: on a core of its own, warmed up, in turn with its ceiling.

Machines are shared and change their pace from minute to minute, so contestants take
turns, A B A B, and each one's median is compared, not its best moment.
"""

import gc
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

from placement.bench.measured import Measured

ROUNDS: Final = 5
QUICK_ROUNDS: Final = 1


@dataclass(frozen=True, slots=True)
class Samples:
    """What the rounds of one contestant gave: at least one number."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The one in the middle."""
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most."""
        return min(self.values), max(self.values)

    def measured(
        self, suite: str, metric: str, unit: str, ceiling: "Samples | None" = None
    ) -> Measured:
        """Return the figure that these samples are, beside those of its *ceiling*."""
        highest = None if ceiling is None else ceiling.median
        return Measured(suite, metric, self.median, unit, highest, self.spread)


def in_turn(
    contestants: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: int = 1
) -> dict[str, Samples]:
    """Return the samples of *rounds* >= 1 rounds, in each of which everyone has a turn.

    A contestant does its work and returns its own number, such as things a second. The
    first *warm_up* rounds are not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(warm_up + rounds):
        for name, contestant in contestants.items():
            gc.collect()
            value = contestant()
            if number >= warm_up:
                found[name].append(value)
    return {name: Samples(tuple(values)) for name, values in found.items()}


async def in_turn_async(
    contestants: Mapping[str, Callable[[], Awaitable[float]]],
    rounds: int,
    *,
    warm_up: int = 1,
) -> dict[str, Samples]:
    """Return what ``in_turn`` does, of contestants that wait for something."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(warm_up + rounds):
        for name, contestant in contestants.items():
            gc.collect()
            value = await contestant()
            if number >= warm_up:
                found[name].append(value)
    return {name: Samples(tuple(values)) for name, values in found.items()}


def rate(count: int, work: Callable[[], object]) -> float:
    """Return how many things a second *work* does, which does *count* of them."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def cores() -> tuple[int, ...]:
    """Return the cores that this process may use, at least one."""
    return tuple(sorted(os.sched_getaffinity(0)))


def server_core() -> int:
    """Return the core for the other side: the first."""
    return cores()[0]


def own_core() -> int:
    """Return the core for whoever asks: the last; the same where there is but one."""
    return cores()[-1]


@contextmanager
def pinned(to: Collection[int]) -> Iterator[None]:
    """Keep this thread, and the processes that it starts meanwhile, on the cores *to*.

    Wherever it likes if there are none. Threads that run already stay where they are:
    pin first.
    """
    if not to:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
