"""A service replica: the real projector, view, publisher and watch hub, on its disk.

A run of it is a process, which dies with all its memory; the disk stays.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import TypeVar

from placement.core.errors import PlacementError
from placement.core.fingerprint import fingerprint
from placement.ports import Clock
from placement.runtime.planner import Planner, PlannerSettings
from placement.runtime.projector import Projector, ProjectorSettings
from placement.runtime.publisher import Publisher
from placement.runtime.quarantine import FoldFailedError
from placement.runtime.view import ServingState, View
from placement.runtime.watch import WatchHub
from placement.runtime.watcher import WatchSettings
from tests.simulator.disk import Disk
from tests.simulator.history import Ended, Probed, position_of
from tests.simulator.log import LogConnection
from tests.simulator.process import KilledError, Process
from tests.simulator.records import DiskRunRecords
from tests.simulator.store import DiskCheckpointStore
from tests.simulator.workload import TOPOLOGY
from tests.simulator.world import LostError, World

Result = TypeVar("Result")

START_SECONDS_MAX = 2.0
"""A supervisor starts a dead replica again within so long."""
STOP_SECONDS_MAX = 5.0
"""Who does not stop in so long is killed."""
WATCHING = WatchSettings(
    bookmark_interval_s=5.0, look_interval_s=1.0, round_interval_s=0.2
)


@dataclass(eq=False)
class Service:
    """One run of a replica: everything in it is memory."""

    process: Process
    connection: LogConnection
    view: View
    projector: Projector
    publisher: Publisher
    hub: WatchHub
    planner: Planner
    serving: asyncio.Task[None] | None = field(default=None, init=False)


class Replica:
    """A place where the service runs, again and again."""

    def __init__(self, world: World, name: str, skew_ns: int) -> None:
        """Be down; its clock is wrong by *skew_ns*."""
        self.name = name
        self.disk = Disk(world.random)
        self._records = DiskRunRecords(self.disk.faults)
        self.service: Service | None = None
        self.cut_off = False
        self.start_seconds = 0.0
        """When a supervisor starts it again."""
        self._world = world
        self._skew_ns = skew_ns
        self._run_count = 0
        interval = world.random.choice([1.0, 3.0, 8.0])
        count = world.random.choice([3, 10, 20_000])
        self._settings = ProjectorSettings(interval, count)
        self._planning = PlannerSettings(name, world.tick_seconds)

    @property
    def clock(self) -> Clock:
        """Its own idea of the time."""
        return lambda: self._world.now_ns() + self._skew_ns

    @property
    def life(self) -> Process | None:
        """The process that runs now."""
        return None if self.service is None else self.service.process

    def start(self) -> None:
        """Run the service from what is on the disk; if it runs already, go on."""
        if self.service is not None:
            return
        self._run_count += 1
        process = Process(f"{self.name}.{self._run_count}")
        self.service = self._made(process)
        self.service.serving = process.spawn(self._serve(self.service))
        process.spawn(self._plan(self.service))

    def _made(self, process: Process) -> Service:
        connection = LogConnection(self._world.log)
        connection.cut_off = self.cut_off
        view = View(self.clock)
        store = DiskCheckpointStore(self.disk)
        publisher = Publisher(connection, view)
        return Service(
            process,
            connection,
            view,
            Projector(
                connection, store, view, self.clock, self._settings, self._records
            ),
            publisher,
            WatchHub(view, WATCHING),
            Planner(view, TOPOLOGY, publisher, self.clock, self._planning),
        )

    async def _plan(self, service: Service) -> None:
        """Decide until the process ends."""
        with suppress(KilledError):
            await service.planner.run()

    async def _serve(self, service: Service) -> None:
        """Do what ``app`` does: answer from the checkpoint, fold, end with the log."""
        why = "ended"
        try:
            await service.projector.restore()
            await service.projector.run()
        except FoldFailedError as error:
            why = str(error)
            if not self._world.poisoned:
                self._world.fail(f"{service.process.name}: {error}")
        except PlacementError as error:
            why = str(error)
        except BaseExceptionGroup as group:
            why = self._expected(group)
        if service.process.alive:
            self._world.note(f"{service.process.name} ends by itself: {why}")
            self._down()
            process = service.process
            self._world.loop.call_soon(process.kill, context=Context())

    def _expected(self, group: BaseExceptionGroup[BaseException]) -> str:
        """Return why a run ended; anything but the product's own errors is a bug."""
        _, bugs = group.split(PlacementError)
        if bugs is not None:
            self._world.fail(f"{self.name} died of {bugs.exceptions!r}")
        return repr(group.exceptions)

    def crash(self, why: str, *, power: bool = False) -> None:
        """Lose all memory; when the *power* fails, also what was not synced."""
        service = self.service
        if service is None:
            return
        self._world.note(f"{service.process.name} crashes: {why}")
        self._down()
        service.process.kill()
        self._world.loop.resume(service.process)
        if power:
            self.disk.crash()
            self._records.lose_power(self._world.random)

    def _down(self) -> None:
        self.service = None
        seconds = self._world.random.random() * START_SECONDS_MAX
        self.start_seconds = self._world.loop.now_seconds + seconds

    async def stop(self, why: str) -> None:
        """End the run as a signal does: stop folding, save, exit."""
        service = self.service
        if service is None or service.serving is None:
            return
        self._world.note(f"{service.process.name} is stopped: {why}")
        self._down()
        service.serving.cancel()
        await asyncio.wait({service.serving})
        finishing = service.process.spawn(service.projector.finish())
        await asyncio.wait({finishing}, timeout=STOP_SECONDS_MAX)
        service.process.kill()

    def cut(self, *, off: bool) -> None:
        """Cut the way to the log, or mend it."""
        self.cut_off = off
        if self.service is not None:
            self.service.connection.cut_off = off

    # What others see of it.

    async def ask(
        self, handler: Callable[[Service], Awaitable[Result]], seconds_max: float
    ) -> Result:
        """Call *handler* over the network; raises LostError without an answer."""
        await self._world.travel()
        service = self.service
        if service is None:
            raise LostError(self.name)
        task = service.process.spawn(_answer(handler, service))
        await asyncio.wait({task}, timeout=seconds_max)
        if not task.done():
            task.cancel()
            raise LostError(self.name)
        if task.cancelled() or self.service is not service:
            raise LostError(self.name)
        await self._world.travel()
        return task.result()

    def probe(self) -> None:
        """Note what the whole state is like."""
        if self.service is None:
            return
        state, epoch = self.service.view.state, self.service.view.epoch
        seconds = self._world.loop.now_seconds
        self._world.history.probed.append(
            Probed(self.name, epoch, position_of(state), fingerprint(state), seconds)
        )

    def ended(self) -> Ended:
        """Return how it is now."""
        if self.service is None:
            none = position_of(View(self.clock).state)
            return Ended(self.name, ServingState.REBUILDING, "", none, "", "down")
        view = self.service.view
        return Ended(
            self.name,
            view.serving_state(),
            view.epoch,
            position_of(view.state),
            fingerprint(view.state),
            view.trouble,
        )


async def _answer(
    handler: Callable[[Service], Awaitable[Result]], service: Service
) -> Result:
    return await handler(service)
