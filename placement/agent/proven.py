"""Content of our own registry whose bytes were found right a short while ago.

To work a digest out again for each who pulls costs as much as the rest of the sending.
So clients that verify what they get themselves, as all that run images do, are given
what is proven as it is. A client that comes again for the same content may have found
it damaged: then it is verified on its way as if nothing had been proven.
"""

import time
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from placement.core.oci import Digest

PROVEN_SECONDS: Final = 600.0
AGAIN_SECONDS: Final = 120.0
"""Who comes again within so long may do so because what it got was damaged."""
KEPT: Final = 1 << 14

Key = TypeVar("Key", bound=Hashable)


class Proven:
    """Remembers, for a while, what was verified and who was given it since."""

    def __init__(self, clock_s: Callable[[], float] | None = None) -> None:
        """Know nothing; *clock_s* never goes back, and is the process's own if none."""
        clock_s = clock_s or time.monotonic
        self._proven = _Lately[Digest](PROVEN_SECONDS, clock_s)
        self._given = _Lately[tuple[str, Digest]](AGAIN_SECONDS, clock_s)

    def note(self, digest: Digest) -> None:
        """Know that all bytes of *digest* were just verified, and are stored."""
        self._proven.note(digest)

    def forget(self, digest: Digest) -> None:
        """Know that bytes of *digest* are damaged."""
        self._proven.forget(digest)

    def spares(self, digest: Digest, address: str) -> bool:
        """Say whether the client at *address* may be given *digest* as it is.

        It is not, the next time that it comes within AGAIN_SECONDS.
        """
        if not self._proven.holds(digest):
            return False
        given = address, digest
        if self._given.holds(given):
            self._given.forget(given)
            return False
        self._given.note(given)
        return True


class _Lately(Generic[Key]):
    """Keys that hold for some seconds after they were noted, KEPT at most."""

    def __init__(self, seconds: float, clock_s: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock_s = clock_s
        self._ends_s: dict[Key, float] = {}

    def note(self, key: Key) -> None:
        self.forget(key)
        while len(self._ends_s) >= KEPT:
            del self._ends_s[next(iter(self._ends_s))]
        self._ends_s[key] = self._clock_s() + self._seconds

    def forget(self, key: Key) -> None:
        self._ends_s.pop(key, None)

    def holds(self, key: Key) -> bool:
        return self._ends_s.get(key, 0.0) > self._clock_s()
