"""How calls went: how many of each method ended in which way, and in what time."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final, NamedTuple

LIMITS_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 1.0, 10.0),
)
"""From an answer out of memory to a report; what took longer is beyond."""
_LIMITS_NS: Final = tuple(round(limit * 1e9) for limit in LIMITS_SECONDS)

OK: Final = 0
"""The code of a call that was answered; the others are gRPC's, too."""


class Took(NamedTuple):
    """How long the calls of one method took that ended in one way."""

    code: int
    counts: tuple[int, ...]
    """How many took at most each of LIMITS_SECONDS; the last: all."""
    seconds: float
    """Of all of them together."""


class MethodCalls:
    """What is counted of one method; it costs a call less than a microsecond."""

    __slots__ = ("_taken", "messages", "open_streams", "streams")

    def __init__(self, *, streams: bool) -> None:
        """Begin with none; *streams*: it answers with many messages."""
        self.streams = streams
        self.open_streams = 0
        self.messages = 0
        """Of streams, those that were sent."""
        self._taken: dict[int, list[int]] = {OK: _nothing()}

    def ended(self, code: int, took_ns: int) -> None:
        """Count a call that ended with *code* after *took_ns*."""
        taken = self._taken.get(code)
        if taken is None:
            taken = self._taken[code] = _nothing()
        taken[bisect_left(_LIMITS_NS, took_ns)] += 1
        taken[-1] += took_ns

    def took(self) -> Iterator[Took]:
        """Yield what was counted, by code; OK is always there."""
        for code, taken in sorted(self._taken.items()):
            yield Took(code, tuple(accumulate(taken[:-1])), taken[-1] / 1e9)


class Calls:
    """What is counted of each method; which methods there are is known beforehand."""

    def __init__(self) -> None:
        """Know no method yet."""
        self._methods: dict[str, MethodCalls] = {}

    def method(self, name: str, *, streams: bool = False) -> MethodCalls:
        """Return where the calls of a method are counted."""
        return self._methods.setdefault(name, MethodCalls(streams=streams))

    def __iter__(self) -> Iterator[tuple[str, MethodCalls]]:
        """Yield the methods by name."""
        return iter(sorted(self._methods.items()))


def _nothing() -> list[int]:
    """Return no call in each bucket, the last one without a limit, and no time."""
    return [0] * (len(_LIMITS_NS) + 2)
