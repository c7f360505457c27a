"""Content of our own registry whose bytes were found right a short while ago.

To work a digest out again for each who pulls costs as much as the rest of the sending.
So clients that verify what they get themselves, as all that run images do, are given
what is proven as it is. A client that comes again for the same content may have found
it damaged: then it is verified on its way, as if nothing had been proven.
"""

import time
from collections.abc import Callable
from typing import Final

from placement.agent.lately import Lately
from placement.core.oci import Digest, Repository

PROVEN_SECONDS: Final = 600.0
AGAIN_SECONDS: Final = 120.0
"""Who comes again within so long may do so because what it got was damaged."""
KEPT: Final = 1 << 14
GIVEN_KEPT: Final = 1 << 17
"""Where so many were given something of late, nobody else is until some are over."""


class Proven:
    """Remembers, for a while, what was verified and who was given it since."""

    def __init__(self, clock_s: Callable[[], float] | None = None) -> None:
        """Know nothing; *clock_s* never goes back, and is the process's own if none."""
        self.clock_s = clock_s or time.monotonic
        self._proven = Lately[tuple[Repository, Digest]](
            PROVEN_SECONDS, KEPT, self.clock_s
        )
        self._damaged = Lately[Digest](PROVEN_SECONDS, KEPT, self.clock_s)
        self._given = Lately[tuple[str, Repository, Digest]](
            AGAIN_SECONDS, GIVEN_KEPT, self.clock_s
        )

    def stored(self, repository: Repository, digest: Digest) -> None:
        """Know that verified bytes were just stored.

        That proves nothing where bytes of *digest* were damaged of late: a registry
        that has a file of that name keeps it, and drops what is uploaded.
        """
        if self._damaged.noted_s(digest) is None:
            self._proven.note((repository, digest))

    def read(self, repository: Repository, digest: Digest, began_s: float) -> None:
        """Know that what our registry gave, from *began_s* on, was right."""
        damaged_s = self._damaged.noted_s(digest)
        if damaged_s is None or began_s > damaged_s:
            self._proven.note((repository, digest))

    def damaged(self, repository: Repository, digest: Digest) -> None:
        """Know that our registry gave other bytes than those of *digest*."""
        self._proven.forget((repository, digest))
        self._damaged.note(digest)

    def spares(self, repository: Repository, digest: Digest, address: str) -> bool:
        """Say whether the client at *address* may be given *digest* as it is.

        It may not if it was within AGAIN_SECONDS, unless it was proven again since.
        """
        proven_s = self._proven.noted_s((repository, digest))
        damaged_s = self._damaged.noted_s(digest)  # wherever: it may be the same file
        if proven_s is None or (damaged_s is not None and damaged_s >= proven_s):
            return False
        given = address, repository, digest
        given_s = self._given.noted_s(given)
        if (given_s is not None and given_s >= proven_s) or self._given.full:
            return False
        self._given.note(given)
        return True
