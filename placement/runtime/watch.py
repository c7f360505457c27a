"""Watching a view: who may, when they are told, and when they have to go."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
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

RETRY_MS: Final = 200
RETRY_SLOTS: Final = 100
RETRY_STEP_MS: Final = 20
"""Those who find no room for a snapshot come again one after another, within 2.2 s."""


class WatchLimitError(PlacementError):
    """The service has as many watchers as it takes."""

    reason = "WATCH_LIMIT"

    def __init__(self, watch_count_max: int) -> None:
        """Keep the limit for the caller."""
        super().__init__(
            f"{watch_count_max} watches are open, which is the most",
            watch_count_max=str(watch_count_max),
        )


class SnapshotLimitError(PlacementError):
    """As many watchers are told a snapshot as the service takes at once."""

    reason = "SNAPSHOT_LIMIT"

    def __init__(self, snapshot_count_max: int, retry_delay_ms: int) -> None:
        """Keep the limit, and when to come again, for the caller."""
        super().__init__(
            f"{snapshot_count_max} watchers are told a snapshot, which is the most",
            snapshot_count_max=str(snapshot_count_max),
        )
        self.retry_delay_ms = retry_delay_ms


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
        self._snapshots: dict[Watcher[Any], float] = {}
        """Who is told a snapshot, and when something of it was made last."""
        self._refused_count = 0

    @property
    def open_count(self) -> int:
        """Return how many watches are open."""
        return self._open_count

    @property
    def snapshot_count(self) -> int:
        """Return how many watchers are told a snapshot."""
        return len(self._snapshots)

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
            try:
                while not self._stopped:
                    began_s = clock()
                    async with self._turn:
                        self._look()
                        watcher.may_begin = self._has_room(watcher, began_s)
                        batch = watcher.step()
                        self._note(watcher, began_s)
                        await asyncio.sleep(self._pause_s(watcher))
                    if batch:
                        yield batch
                    if watcher.idle:
                        await self._rest(watcher, began_s, clock)
            finally:
                self._snapshots.pop(watcher, None)

    def _has_room(self, watcher: Watcher[Any], now_s: float) -> bool:
        """Say whether *watcher* may begin a snapshot now."""
        settings = self._settings
        if watcher in self._snapshots:
            return True
        moving = [
            step_s
            for step_s in self._snapshots.values()
            if now_s - step_s < settings.snapshot_still_s
        ]
        return len(moving) < settings.snapshot_count_max

    def _note(self, watcher: Watcher[Any], now_s: float) -> None:
        """Note whether *watcher* is told a snapshot after its step.

        Raises SnapshotLimitError for one that was told nothing yet and finds no room;
        others stay where they are until there is some.
        """
        if watcher.in_snapshot:
            self._snapshots[watcher] = now_s
            return
        self._snapshots.pop(watcher, None)
        if watcher.held_back and not watcher.begun:
            raise SnapshotLimitError(
                self._settings.snapshot_count_max, self._retry_delay_ms()
            )

    def _retry_delay_ms(self) -> int:
        """Return when one who finds no room is to come again: each a little later."""
        self._refused_count += 1
        return RETRY_MS + self._refused_count % RETRY_SLOTS * RETRY_STEP_MS

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
