"""Watching a view: who may, when they are told, and when they have to go."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from placement.core.errors import PlacementError
from placement.core.packing.selection import SharedChunks
from placement.core.watched import Item, Watchable
from placement.runtime.view import View
from placement.runtime.watcher import (
    Frame,
    Watcher,
    WatchSettings,
    parse_watch_token,
)


class WatchLimitError(PlacementError):
    """The service has as many watchers as it takes."""

    reason = "WATCH_LIMIT"

    def __init__(self, watch_count_max: int) -> None:
        """Keep the limit for the caller."""
        super().__init__(
            f"{watch_count_max} watches are open, which is the most",
            watch_count_max=str(watch_count_max),
        )


class WatchHub:
    """Lets a limited number of watchers follow one view."""

    def __init__(self, view: View, settings: WatchSettings | None = None) -> None:
        """Follow *view*, within the limits of *settings*."""
        self._view = view
        self._settings = settings or WatchSettings()
        self._line = (view.generation, view.epoch)
        self._floor = 0
        self._turn = asyncio.Lock()
        """Of all watchers one reads at a time, and answers come before the next."""
        self.chunks = SharedChunks()
        """Of snapshots in columns, for all watchers who read the same one."""
        self._chunked: WeakSet[Watcher[Any]] = WeakSet()
        """Who is being told chunks."""
        self._open_count = 0
        self._stopped = False

    @property
    def open_count(self) -> int:
        """Return how many watches are open."""
        return self._open_count

    @property
    def stopped(self) -> bool:
        """Whether every watch is to end."""
        return self._stopped

    def stop(self) -> None:
        """Let every watch end soon; its watcher goes on elsewhere with its token."""
        self._stopped = True

    @contextmanager
    def seat(self) -> Iterator[None]:
        """Give one watch its place among all of them; raises WatchLimitError."""
        if self._open_count >= self._settings.watch_count_max:
            raise WatchLimitError(self._settings.watch_count_max)
        self._open_count += 1
        try:
            yield
        finally:
            self._open_count -= 1

    async def watch(
        self, interest: Watchable[Item], resume_token: str = ""
    ) -> AsyncGenerator[tuple[Item | Frame, ...], None]:
        """Yield batches of what happens to what *interest* means, until stopped.

        Close it (``contextlib.aclosing``) when done. Raises TokenInvalidError and
        WatchLimitError when it is first asked.
        """
        resume = parse_watch_token(resume_token) if resume_token else None
        with self.seat():
            clock = asyncio.get_running_loop().time
            if resume is not None and resume.sequence < self._look():
                resume = resume.void()
            watcher = Watcher(self._view, interest, resume, self._settings, clock)
            while not self._stopped:
                began_s = clock()
                async with self._turn:
                    self._look()
                    batch = watcher.step()
                    await asyncio.sleep(self._pause_s(watcher))
                if batch:
                    yield batch
                if watcher.idle:
                    await self._rest(watcher, began_s, clock)

    def _pause_s(self, watcher: Watcher[Any]) -> float:
        """Return for how long others are let in after a step, before the next one."""
        if watcher.idle or not watcher.chunked:
            self._chunked.discard(watcher)
            return 0 if watcher.idle else self._settings.pause_s
        self._chunked.add(watcher)
        return self._settings.crowd_pause_s if len(self._chunked) > 1 else 0

    def _look(self) -> int:
        """Return before which sequence no token goes on.

        The same log may have been folded in another way meanwhile: what a token stands
        for that was handed out before is then unknown.
        """
        line = (self._view.generation, self._view.epoch)
        if line != self._line:
            again = line[1] == self._line[1] != ""
            self._floor = self._view.state.sequence + 1 if again else 0
            self._line = line
        return self._floor

    async def _rest(
        self, watcher: Watcher[Item], began_s: float, clock: Callable[[], float]
    ) -> None:
        """Wait until there may be something to tell."""
        settings = self._settings
        pause_s = began_s + settings.round_interval_s - clock()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        try:
            async with asyncio.timeout(settings.look_interval_s):
                await self._view.changed(watcher.position)
        except TimeoutError:
            return
