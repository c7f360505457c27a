"""A projector over memory twins for tests: run, ended as a crash would, run again."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from placement.adapters.memory import (
    MemoryCheckpointStore,
    MemoryEventLog,
    MemoryRunRecords,
)
from placement.core.event import Event, Identifier
from placement.core.fingerprint import fingerprint
from placement.ports import EventLog, LogUnavailableError
from placement.runtime.projector import Projector, ProjectorSettings
from placement.runtime.publisher import Published, Publisher
from placement.runtime.replay import replay
from placement.runtime.view import ServingState, View
from tests.builders import IAD, pushed

WAIT_S = 20.0
QUICK = ProjectorSettings(checkpoint_interval_seconds=0.1)


def pushes(count: int, first: int = 0) -> list[Event]:
    """Return *count* pushes of other layers in one region, numbered from *first*."""
    return [
        replace(pushed(f"layer-{n}", IAD), event_id=Identifier(f"e{n}"))
        for n in range(first, first + count)
    ]


@dataclass
class Host:
    """What outlives a run of the service: its log, its checkpoint, its notes."""

    log: MemoryEventLog = field(
        default_factory=lambda: MemoryEventLog(time.time_ns, idle_seconds=0.05)
    )
    store: MemoryCheckpointStore = field(default_factory=MemoryCheckpointStore)
    records: MemoryRunRecords = field(default_factory=MemoryRunRecords)
    settings: ProjectorSettings = QUICK
    wait_s: float = WAIT_S
    """So long a run may take to get anywhere."""

    async def store_each(self, events: Iterable[Event]) -> None:
        """Store each of *events* in a message of its own."""
        publisher = Publisher(self.log, View(time.time_ns))
        for event in events:
            await publisher.publish([event])

    async def fingerprint(self) -> str:
        """Return what a fold of the log from its start gives."""
        return (await replay(self.log)).fingerprint

    @asynccontextmanager
    async def running(self, log: EventLog | None = None) -> AsyncIterator["Run"]:
        """Run the service within the block; at its end it saves, unless it crashed."""
        log, view = log or self.log, View(time.time_ns)
        ports = (log, self.store, view, time.time_ns)
        projector = Projector(*ports, self.settings, self.records)
        await projector.restore()
        task = asyncio.create_task(projector.run())
        run = Run(log, projector, view, task, self.wait_s)
        try:
            yield run
        finally:
            await run.end()


@dataclass
class Run:
    """One run of the service."""

    log: EventLog
    projector: Projector
    view: View
    task: asyncio.Task[None]
    wait_s: float
    crashed: bool = False

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the state that answers come from."""
        return fingerprint(self.view.state)

    @property
    def serving(self) -> ServingState:
        """How far answers may be trusted."""
        return self.view.serving_state()

    async def publish(self, events: Iterable[Event]) -> Published:
        """Publish through the service, as often as the log is out of reach."""
        wanted = list(events)
        async with asyncio.timeout(self.wait_s):
            while True:
                try:
                    return await Publisher(self.log, self.view).publish(wanted)
                except LogUnavailableError:
                    await asyncio.sleep(0.05)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once *condition* holds; raises what ended the run, or TimeoutError."""
        async with asyncio.timeout(self.wait_s):
            while not condition():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.002)

    async def until_live_at(self, sequence: int) -> None:
        """Return once answers are LIVE and rest on *sequence* or more."""
        await self.until(
            lambda: (
                self.view.state.sequence >= sequence
                and self.serving is ServingState.LIVE
            )
        )

    async def crash(self) -> None:
        """End it without a chance to save."""
        self.crashed = True
        await self.end()

    async def end(self) -> None:
        """End it; it saves first unless it crashed."""
        if not self.task.done():
            self.task.cancel()
        await asyncio.wait({self.task})
        if not self.crashed and self.task.cancelled():
            await self.projector.finish()
