"""An asyncio loop on virtual time: nothing waits, and a seed decides who goes first.

When nothing is ready, time jumps to the next timer. Callbacks that are ready together
run in an order that the seed draws; a task still runs after what woke it, and all that
was ready before a callback runs before what that callback makes ready, as in asyncio's
own loops. Callbacks that are no task's keep their order, since asyncio promises it.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass
from heapq import heappop, heappush
from random import Random
from typing import Any, Self, TypeVar

from tests.simulator.process import PROCESS, KilledError, Process

Result = TypeVar("Result")

STEPS_MAX = 2_000_000
"""A run that takes more callbacks than this goes round in circles."""


class StuckError(Exception):
    """Nothing can ever happen again, or it goes on for ever."""


@dataclass(slots=True)
class Entry:
    """A callback that is to run, in which context, and for which process."""

    handle: asyncio.Handle
    callback: Callable[..., object]
    arguments: tuple[Any, ...]
    context: Context
    process: Process | None


class VirtualLoop(asyncio.AbstractEventLoop):
    """Runs coroutines in virtual seconds, of which the first is 0."""

    def __init__(self, random: Random, tick_seconds: float = 0.0) -> None:
        """Draw orders from *random*; each look at the clock takes *tick_seconds*."""
        self._random = random
        self._tick_seconds = tick_seconds
        self._now = 0.0
        self._ready: list[Entry] = []
        self._timers: list[tuple[float, int, Entry]] = []
        self._timer_count = 0
        self._held: dict[Process, list[Entry]] = {}
        self._alarms: list[tuple[int, int, Callable[[], None]]] = []
        self._generators: list[AsyncGenerator[Any, Any]] = []
        self.steps = 0
        self.failures: list[str] = []
        """What went wrong in callbacks, where nobody awaited it."""

    @classmethod
    def drawing_from(cls, random: Random, tick_seconds: float = 0.0) -> Self:
        """Return a new loop; most of what asyncio's loops can do it refuses."""
        return cls(random, tick_seconds)

    # What the simulator asks.

    @property
    def now_seconds(self) -> float:
        """The virtual time, without a tick."""
        return self._now

    def now_ns(self) -> int:
        """The same in nanoseconds."""
        return round(self._now * 1_000_000_000)

    def after_steps(self, count: int, act: Callable[[], None]) -> None:
        """Call *act* between two callbacks, when *count* more of them have run."""
        heappush(self._alarms, (self.steps + count, len(self._alarms), act))

    def forget_alarms(self) -> None:
        """Let nothing happen between callbacks any more."""
        self._alarms.clear()

    def pause(self, process: Process) -> None:
        """Let nothing of *process* run, as SIGSTOP does."""
        process.paused = True
        process.pause_count += 1

    def resume(self, process: Process) -> None:
        """Let *process* go on with all that came due meanwhile."""
        process.paused = False
        self._ready += self._held.pop(process, [])

    def run_until_complete(self, main: Coroutine[Any, Any, Result]) -> Result:  # type: ignore[override]  # coroutines are all that we are given
        """Run *main* to its end; raises what it raises, and StuckError."""
        task = self.create_task(main)
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=self._generators.append)
        asyncio._set_running_loop(self)  # noqa: SLF001 - it is there for those who write loops
        try:
            while not task.done():
                self._turn()
            steps = self.steps
            self._end_the_rest(task)
            self.steps = steps  # what ends in which order then, nobody promises
        finally:
            asyncio._set_running_loop(None)  # noqa: SLF001 - it is there for those who write loops
            sys.set_asyncgen_hooks(*hooks)
        return task.result()

    def _end_the_rest(self, main: asyncio.Task[Any]) -> None:
        """Cancel what still runs, and close what nobody reads any more."""
        for process in list(self._held):
            self.resume(process)
        for task in asyncio.all_tasks(self):
            if task is not main:
                task.cancel()
        closing = self.create_task(self._close_generators())
        while self._ready or not closing.done():
            self._turn()

    async def _close_generators(self) -> None:
        while self._generators:
            await self._generators.pop().aclose()

    def _turn(self) -> None:
        """Run everything that is ready now, once; else jump to the next timer."""
        if not self._ready:
            self._jump()
        self._take_due()
        batch, self._ready = self._ready, []
        for entry in self._permuted(batch):
            process = entry.process
            if process is not None and process.paused:
                self._held.setdefault(process, []).append(entry)
                continue
            if not entry.handle.cancelled():
                self._run(entry)

    def _jump(self) -> None:
        while self._timers and self._timers[0][2].handle.cancelled():
            heappop(self._timers)
        if not self._timers:
            message = "nothing is ready, and no timer runs"
            raise StuckError(message)
        self._now = max(self._now, self._timers[0][0])

    def _take_due(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            self._ready.append(heappop(self._timers)[2])

    def _permuted(self, batch: list[Entry]) -> list[Entry]:
        """Return *batch* in a drawn order; what is no task's keeps its own."""
        if len(batch) < 2:
            return batch
        ours = [index for index, entry in enumerate(batch) if _is_task(entry.callback)]
        drawn = ours.copy()
        self._random.shuffle(drawn)
        ordered = list(batch)
        for place, index in zip(ours, drawn, strict=True):
            ordered[place] = batch[index]
        return ordered

    def _run(self, entry: Entry) -> None:
        self.steps += 1
        if self.steps > STEPS_MAX:
            message = f"{STEPS_MAX} callbacks ran without an end"
            raise StuckError(message)
        while self._alarms and self._alarms[0][0] <= self.steps:
            heappop(self._alarms)[2]()
        try:
            entry.context.run(entry.callback, *entry.arguments)
        except Exception as error:  # noqa: BLE001 - a loop reports it and goes on
            self.failures.append(f"{entry.callback!r} raised {error!r}")

    # What asyncio asks of a loop.

    def time(self) -> float:
        """Return the virtual time in seconds; looking takes a tick."""
        self._now += self._tick_seconds
        return self._now

    def call_soon(  # type: ignore[override]  # the stubs type the arguments by position
        self,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401 - asyncio's own signature
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Run *callback* in the next turn."""
        entry = self._entry(None, callback, args, context)
        self._ready.append(entry)
        return entry.handle

    def call_later(  # type: ignore[override]  # the stubs type the arguments by position
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401 - asyncio's own signature
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run *callback* in *delay* virtual seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # the stubs type the arguments by position
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401 - asyncio's own signature
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run *callback* when the virtual time is *when*."""
        entry = self._entry(when, callback, args, context)
        self._timer_count += 1
        heappush(self._timers, (when, self._timer_count, entry))
        assert isinstance(entry.handle, asyncio.TimerHandle)
        return entry.handle

    def _entry(
        self,
        when: float | None,
        callback: Callable[..., object],
        arguments: tuple[Any, ...],
        context: Context | None,
    ) -> Entry:
        chosen = copy_context() if context is None else context
        handle = (
            asyncio.Handle(callback, arguments, self, chosen)
            if when is None
            else asyncio.TimerHandle(when, callback, arguments, self, chosen)
        )
        return Entry(handle, callback, arguments, chosen, chosen.get(PROCESS))

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]  # the stubs name more than we are given
        self,
        coro: Coroutine[Any, Any, Result],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[Result]:
        """Return a task of this loop, known to the process that starts it."""
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        process = PROCESS.get() if context is None else context.get(PROCESS)
        if process is not None:
            process.tasks.append(task)
            if not process.alive:
                task.cancel()
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what went wrong."""
        error = context.get("exception")
        if isinstance(error, KilledError):
            return
        self.failures.append(f"{context.get('message')}: {error!r}")

    def get_debug(self) -> bool:
        """Say no."""
        return False

    def is_running(self) -> bool:
        """Say yes: nobody asks at other times."""
        return True

    def is_closed(self) -> bool:
        """Say no: there is nothing to close."""
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave it in the heap: its turn finds it cancelled."""


def _is_task(callback: Callable[..., object]) -> bool:
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)
