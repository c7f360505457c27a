"""How long things took, counted in buckets: what histograms are made of."""

from bisect import bisect_left
from itertools import accumulate


class Timings:
    """Counts what took at most each limit; to add one costs half a microsecond."""

    __slots__ = ("_counts", "_limits_ns", "_total_ns", "limits_seconds")

    def __init__(self, limits_seconds: tuple[float, ...]) -> None:
        """Begin with none; the limits rise, and what is above all of them is beyond."""
        self.limits_seconds = limits_seconds
        self._limits_ns = [round(limit * 1e9) for limit in limits_seconds]
        self._counts = [0] * (len(limits_seconds) + 1)
        self._total_ns = 0

    def add(self, took_ns: int) -> None:
        """Count one."""
        self._counts[bisect_left(self._limits_ns, took_ns)] += 1
        self._total_ns += took_ns

    @property
    def counts(self) -> tuple[int, ...]:
        """How many took at most each limit, and, last, how many there were."""
        return tuple(accumulate(self._counts))

    @property
    def seconds(self) -> float:
        """What all of them took together."""
        return self._total_ns / 1e9
