"""The world of a run: its loop, its clock, its log, its chance, and its history."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from placement.faults import FaultPoint
from tests.builders import START_NS
from tests.simulator.history import History
from tests.simulator.log import LogFaults, SimulatedLog
from tests.simulator.loop import VirtualLoop
from tests.simulator.process import PROCESS

SECOND_NS = 1_000_000_000
LATENCY_SECONDS_MAX = 0.05
TICK_SECONDS = [8.0, 20.0, 200.0]


class LostError(Exception):
    """A call, or its answer, went nowhere; whether it was heard nobody knows."""


class Points:
    """The product's fault points: how often each was reached, and who dies there."""

    def __init__(self) -> None:
        """Let nobody die."""
        self.reached: Counter[FaultPoint] = Counter()
        self.crash: Callable[[str, str], None] | None = None
        """Makes a replica crash, by its name and why."""
        self._waiting: list[tuple[FaultPoint, str]] = []

    def crash_at(self, point: FaultPoint, replica: str) -> None:
        """Let *replica* die when it reaches *point*."""
        self._waiting.append((point, replica))

    def forget(self, point: FaultPoint, replica: str) -> None:
        """Let it live, if it has not died there."""
        if (point, replica) in self._waiting:
            self._waiting.remove((point, replica))

    def reach(self, point: FaultPoint) -> None:
        """Count, and kill the process that comes here if it is to die."""
        self.reached[point] += 1
        process = PROCESS.get()
        if process is None or not process.alive or self.crash is None:
            return
        replica = process.name.rpartition(".")[0]
        if (point, replica) in self._waiting:
            self._waiting.remove((point, replica))
            self.crash(replica, f"at {point}")
            process.require_alive()


@dataclass
class Network:
    """How calls travel between actors and replicas."""

    loss: float = 0.0
    """The chance that one way of a call is lost."""


class World:
    """Everything that the parts of a run share."""

    def __init__(self, seed: int, loop: VirtualLoop, random: Random) -> None:
        """Begin empty, at START_NS."""
        self.seed = seed
        self.loop = loop
        self.random = random
        self.history = History()
        self.network = Network()
        self.poisoned = False
        """Whether the log holds a message at which this version's fold fails."""
        self.may_rewind = False
        """Whether the log may lose its end in this run."""
        self.mending: list[Callable[[], None]] = []
        """What ends the faults of those who have some, when no more are to come."""
        self.mended = False
        """Whether no more faults come."""
        self.points = Points()
        self.log = SimulatedLog(self.now_ns, random, LogFaults())
        self.tick_seconds = random.choice(TICK_SECONDS)
        """How often planners let time pass; rarely: what is put off has to be kept."""

    def now_ns(self) -> int:
        """Return the time, in nanoseconds since 1970."""
        return START_NS + round(self.loop.now_seconds * SECOND_NS)

    def note(self, text: str) -> None:
        """Write down what the world did, for people."""
        self.history.notes.append(f"{self.loop.now_seconds:8.3f} s  {text}")

    def fail(self, text: str) -> None:
        """Write down what must never be."""
        self.history.failures.append(text)

    async def travel(self) -> None:
        """Take the way of one message; raises LostError."""
        await asyncio.sleep(self.random.random() * LATENCY_SECONDS_MAX)
        if self.random.random() < self.network.loss:
            raise LostError
