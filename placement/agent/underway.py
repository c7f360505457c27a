"""Which content is on its way into the agent's registry just now, whoever brings it.

The replicator and the mirror share it, so that nothing crosses an ocean twice at once:
who finds that a content is on its way waits until it is there, or until it is not.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from placement.agent.proven import Proven
from placement.core.oci import Digest

Hurry = Callable[[], None]
"""Says that somebody waits for a content: it goes before all that is only foreseen."""


Come = Callable[[], float]
"""Returns how much of a content has come, from 0 to 1."""


def no_hurry() -> None:
    """Do nothing: it is as quick as can be already."""


def nothing_yet() -> float:
    """Return 0: nobody knows of more."""
    return 0.0


@dataclass(frozen=True, slots=True)
class _Way:
    hurry: Hurry
    come: Come
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Underway:
    """Contents that somebody brings, each by one at a time."""

    def __init__(self) -> None:
        """Begin with nothing on its way."""
        self._ways: dict[Digest, _Way] = {}
        self.proven = Proven()
        """What has come of late, verified, and whatever else was found right."""

    def has(self, digest: Digest) -> bool:
        """Say whether somebody brings *digest* just now."""
        return digest in self._ways

    def come(self, digest: Digest) -> float:
        """Return how much of *digest* has come, from 0 to 1; 0: nobody brings it."""
        way = self._ways.get(digest)
        return 0.0 if way is None else way.come()

    def take(
        self, digest: Digest, hurry: Hurry = no_hurry, come: Come = nothing_yet
    ) -> bool:
        """Say whether the caller brings it from now on, until it calls ``leave``."""
        if digest in self._ways:
            return False
        self._ways[digest] = _Way(hurry, come)
        return True

    def leave(self, digest: Digest) -> None:
        """End what ``take`` began, well or ill; all who wait look for themselves."""
        self._ways.pop(digest).ended.set()

    async def settled(self, digest: Digest, *, urgent: bool = False) -> None:
        """Return once nobody brings *digest*; *urgent*: somebody waits for it."""
        while (way := self._ways.get(digest)) is not None:
            if urgent:
                way.hurry()
            await way.ended.wait()

    @asynccontextmanager
    async def held(
        self, digest: Digest, hurry: Hurry = no_hurry, come: Come = nothing_yet
    ) -> AsyncIterator[None]:
        """Bring *digest* within the block, after whoever brings it now."""
        while not self.take(digest, hurry, come):
            await self.settled(digest)
        try:
            yield
        finally:
            self.leave(digest)
