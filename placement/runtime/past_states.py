"""Which past states are in memory, who reads them, and which one makes room.

At most so many, counting the one that is being folded. Of those that nobody reads the
one that was least recently asked for goes first; and each goes when nobody has asked
for it for long: it is as large as the live one.
"""

import asyncio
from collections import OrderedDict

from placement.core.state import State
from placement.runtime.past_folding import PastFold
from placement.runtime.view import ServingState, View

Point = tuple[int, int]
"""Of which generation of the live state, and up to which message."""


class PastView(View):
    """A state that stays as it is; its answers are of the log's time at its message."""

    def __init__(self, state: State, epoch: str) -> None:
        """Show *state*, folded from the log that is known as *epoch*."""
        super().__init__(lambda: state.store_time_ns)
        self.replace(state, epoch, restored=True)

    def _serving_state(self, staleness_ns: int) -> ServingState:
        del staleness_ns  # nothing of what it should have is missing
        return ServingState.PAST


class Entry:
    """A past state that is there, or will be when its fold is done."""

    task: asyncio.Task[None]

    def __init__(self, point: Point, fold: PastFold, caller: str) -> None:
        """Let *fold* make the state of *point*, as *caller* asked first."""
        self.point = point
        self.fold = fold
        self.caller = caller
        self.view: PastView | None = None
        self.users = 0
        """How many read it, or wait for it."""
        self.left_s = 0.0
        """When the last of them left."""


class Held:
    """One past state, for as long as somebody reads it."""

    def __init__(self, entry: Entry, states: "PastStates") -> None:
        """Keep *entry*, which counts its reader already, until ``release``."""
        assert entry.view is not None, "it is folded"
        self.view = entry.view
        self._entry: Entry | None = entry
        self._states = states

    def release(self) -> None:
        """Let it make room for others; a second time changes nothing."""
        if self._entry is not None:
            self._states.leave(self._entry)
            self._entry = None


class PastStates:
    """The past states of one service, and those that are on their way."""

    def __init__(self, states_max: int, idle_seconds: float) -> None:
        """Keep so many, each for so long after it was read last; 0: without an end."""
        self._states_max = states_max
        self._idle_s = idle_seconds
        self._entries: OrderedDict[Point, Entry] = OrderedDict()
        """The one that was asked for last is the last one."""
        self._left = asyncio.Event()
        self._dropping: asyncio.TimerHandle | None = None

    @property
    def count(self) -> int:
        """How many are in memory, whole."""
        return sum(each.view is not None for each in self._entries.values())

    @property
    def waiting(self) -> list[Entry]:
        """Those that are being folded, or wait for their turn."""
        return [each for each in self._entries.values() if each.view is None]

    def find(self, point: Point) -> Entry | None:
        """Return the state of *point*, if it is there or on its way."""
        entry = self._entries.get(point)
        if entry is not None:
            self._entries.move_to_end(point)
        return entry

    def add(self, entry: Entry) -> None:
        """Take up what is on its way."""
        self._entries[entry.point] = entry

    def discard(self, entry: Entry) -> None:
        """Forget what will not be there."""
        if self._entries.get(entry.point) is entry:
            del self._entries[entry.point]

    def ready(self, entry: Entry, view: PastView) -> None:
        """Let *view* be the state of *entry*."""
        entry.view = view
        if not entry.users:
            self._drop_later(entry)

    def leave(self, entry: Entry) -> None:
        """Note that one of those who read *entry*, or waited for it, has left."""
        entry.users -= 1
        if not entry.users and entry.view is not None:
            self._left.set()
            self._drop_later(entry)

    async def make_room(self) -> None:
        """Return once one more may be in memory; what nobody reads makes room."""
        while self.count >= self._states_max:
            oldest = next(iter(self._unread()), None)
            if oldest is not None:
                self.discard(oldest)
                continue
            self._left.clear()
            await self._left.wait()

    async def clear(self) -> None:
        """End what is on its way, and forget all."""
        if self._dropping is not None:
            self._dropping.cancel()
        tasks = [each.task for each in self._entries.values()]
        self._entries.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _unread(self) -> list[Entry]:
        return [e for e in self._entries.values() if e.view is not None and not e.users]

    def _drop_later(self, entry: Entry) -> None:
        """Drop *entry* when nobody has asked for it for long."""
        loop = asyncio.get_running_loop()
        entry.left_s = loop.time()
        if self._idle_s and self._dropping is None:
            self._dropping = loop.call_later(self._idle_s, self._drop_idle)

    def _drop_idle(self) -> None:
        """Drop what was not asked for lately, and come again when it is time."""
        self._dropping = None
        loop = asyncio.get_running_loop()
        waits_s = []
        for entry in self._unread():
            wait_s = entry.left_s + self._idle_s - loop.time()
            if wait_s > 0:
                waits_s.append(wait_s)
            else:
                self.discard(entry)
        if waits_s:
            self._dropping = loop.call_later(min(waits_s), self._drop_idle)
