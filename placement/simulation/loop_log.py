"""The log of a closed loop: messages in the order of recorded time, folded at once."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from placement.core.event import Event, Recorded, RecordedMessage
from placement.core.fold import fold
from placement.core.state import State

Happening = Callable[[int], Sequence[Event]]
"""What happens at a time, in nanoseconds, and tells what is stored of it."""


class SimulatedLog:
    """Stores and folds; *messages* holds them all where they are to be kept."""

    def __init__(self, *, keeps: bool = False) -> None:
        """Begin with an empty log and state."""
        self.state = State()
        self.messages: list[RecordedMessage] = []
        self._keeps = keeps
        self._sequence = 0

    def append(self, time_ns: int, events: Sequence[Event]) -> None:
        """Store *events* as one message, if there are any, and fold it."""
        if not events:
            return
        self._sequence += 1
        items = tuple(
            Recorded(self._sequence, position, time_ns, time_ns, event)
            for position, event in enumerate(events)
        )
        message = RecordedMessage(self._sequence, time_ns, b"", items)
        fold(self.state, message)
        if self._keeps:
            self.messages.append(message)


class Schedule:
    """What is going to happen, by time; of one time in the order of being told."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._waiting: list[tuple[int, int, Happening]] = []
        self._count = 0

    def at(self, time_ns: int, happening: Happening) -> None:
        """Let something happen at a time."""
        self._count += 1
        heappush(self._waiting, (time_ns, self._count, happening))

    @property
    def next_ns(self) -> int | None:
        """The time of what happens next; None if nothing does."""
        return self._waiting[0][0] if self._waiting else None

    def take(self, time_ns: int) -> list[Happening]:
        """Return what happens at *time_ns* or before."""
        found = []
        while self._waiting and self._waiting[0][0] <= time_ns:
            found.append(heappop(self._waiting)[2])
        return found
