"""How long to wait before something is tried again: longer each time, and by chance."""

from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.2
LONGEST_SECONDS: Final = 30.0


class Pauses:
    """The pauses between attempts that fail one after the other.

    Each is drawn from the upper half of a span that doubles, so that many who lost the
    same service do not come back at once. *chance* draws from 0 to 1.
    """

    def __init__(
        self, chance: Callable[[], float], longest_s: float = LONGEST_SECONDS
    ) -> None:
        """Begin with the shortest."""
        self._chance = chance
        self._longest_s = longest_s
        self._span_s = FIRST_SECONDS
        self.count = 0
        """How many there were since the last success."""

    def next_s(self) -> float:
        """Return the next pause, in seconds."""
        span_s = min(self._span_s, self._longest_s)
        self._span_s = span_s * 2
        self.count += 1
        return span_s * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Begin with the shortest again: an attempt succeeded."""
        self._span_s = FIRST_SECONDS
        self.count = 0
