"""What was noted a short while ago, and no more of it than fits."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Lately(Generic[Key]):
    """Keys that hold for some seconds after they were noted, so many at most."""

    def __init__(
        self, seconds: float, kept_max: int, clock_s: Callable[[], float]
    ) -> None:
        """Hold *kept_max* keys for *seconds* each; *clock_s* never goes back."""
        self._seconds = seconds
        self._kept_max = kept_max
        self._clock_s = clock_s
        self._noted_s: dict[Key, float] = {}

    @property
    def full(self) -> bool:
        """Whether another one would push one out that still holds."""
        if len(self._noted_s) < self._kept_max:
            return False
        return self.noted_s(next(iter(self._noted_s))) is not None

    def note(self, key: Key) -> None:
        """Let *key* hold from now on; the oldest one goes where there are too many."""
        self.forget(key)
        while len(self._noted_s) >= self._kept_max:
            del self._noted_s[next(iter(self._noted_s))]
        self._noted_s[key] = self._clock_s()

    def forget(self, key: Key) -> None:
        """Let *key* hold no more."""
        self._noted_s.pop(key, None)

    def noted_s(self, key: Key) -> float | None:
        """Return when *key* was noted; None: it was not, or does not hold any more."""
        noted_s = self._noted_s.get(key)
        if noted_s is None or self._clock_s() - noted_s >= self._seconds:
            return None
        return noted_s
