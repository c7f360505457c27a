"""The replicas of a run, and those who look after them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from placement.runtime.view import ServingState
from placement.wire.events import message_hash
from tests.simulator.history import Position, position_of
from tests.simulator.replica import Replica
from tests.simulator.world import World

ROUND_SECONDS = 0.5
START = Position(0, b"")
OPERATOR_SECONDS = 8.0
"""An operator restarts a replica whose epoch has been broken for so long."""


class Actor(Protocol):
    """Somebody who uses the service; the package says how to add one."""

    async def run(self, cluster: "Cluster") -> None:
        """Act until cancelled."""

    def settled(self, cluster: "Cluster") -> bool:
        """Say whether nothing is left to do, so that a run may end."""


@dataclass(eq=False)
class Cluster:
    """Replicas, in whatever state, and a world around them."""

    world: World
    replicas: list[Replica]
    others: list[Callable[[str, str], None]] = field(default_factory=list)
    """Makes others crash, by name and why, when they come to a fault point."""
    _broken_since: dict[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Let replicas die at fault points."""
        self.world.points.crash = self._crash

    def _crash(self, name: str, why: str) -> None:
        for replica in self.replicas:
            if replica.name == name:
                replica.crash(why)
        for crash in self.others:
            crash(name, why)

    def any_replica(self) -> Replica:
        """Return one of the replicas, up or down."""
        return self.world.random.choice(self.replicas)

    async def supervise(self) -> None:
        """Start what is down, and restart what an operator would, for ever."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            now = self.world.loop.now_seconds
            for replica in self.replicas:
                if replica.service is None:
                    self._broken_since.pop(replica.name, None)
                    if now >= replica.start_seconds:
                        replica.start()
                elif self._is_broken_for_long(replica, now):
                    await replica.stop("an operator accepts the new log")

    def _is_broken_for_long(self, replica: Replica, now: float) -> bool:
        service = replica.service
        assert service is not None, "it is up"
        broken = service.view.serving_state() is ServingState.EPOCH_BROKEN
        if not broken or service.process.paused:
            self._broken_since.pop(replica.name, None)
            return False
        since = self._broken_since.setdefault(replica.name, now)
        return now - since > OPERATOR_SECONDS

    def converged(self) -> bool:
        """Say whether every replica is LIVE at the log's end."""
        messages = self.world.log.life.messages
        end = START
        if messages:
            end = Position(len(messages), message_hash(messages[-1]))
        for replica in self.replicas:
            service = replica.service
            if service is None or service.process.paused:
                return False
            view = service.view
            if position_of(view.state) != end:
                return False
            if view.serving_state() is not ServingState.LIVE:
                return False
        return True
