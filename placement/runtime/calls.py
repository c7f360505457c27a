"""How calls went: how many of each method ended in which way, and in what time."""

from collections.abc import Iterator
from typing import Final

from placement.timings import Timings

LIMITS_SECONDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025),
    *(0.05, 0.1, 0.25, 1.0, 10.0),
)
"""From an answer out of memory to a report; what took longer is beyond."""
OK: Final = 0
INTERNAL: Final = 13
"""The codes of a call that was answered, and of one that failed by a bug: each method
has both from the start, since the first of a series is no increase to Prometheus."""


class MethodCalls:
    """What is counted of one method."""

    __slots__ = ("messages", "open_streams", "streams", "took")

    def __init__(self, *, streams: bool) -> None:
        """Begin with none; *streams*: it answers with many messages."""
        self.streams = streams
        self.open_streams = 0
        self.messages = 0
        """Of streams, those that were sent."""
        self.took = {code: Timings(LIMITS_SECONDS) for code in (OK, INTERNAL)}
        """How long calls took, by the code that they ended with."""

    def ended(self, code: int, took_ns: int) -> None:
        """Count a call that ended with *code* after *took_ns*."""
        took = self.took.get(code)
        if took is None:
            took = self.took[code] = Timings(LIMITS_SECONDS)
        took.add(took_ns)


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
