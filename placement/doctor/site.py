"""What checks look at: the configuration, and answers that several of them need."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from placement import stores
from placement.client import ClientTls, PlacementClient
from placement.config import Config, load_topology
from placement.core.topology import Topology, parse_region
from placement.inspections import BrokerSeen
from placement.nats_authority.names import Role, agent_inbox, role_inbox
from placement.wire.json import plain

CALL_SECONDS: Final = 3.0
"""For one question to a service, a registry or a page."""

Found = TypeVar("Found")


@dataclass
class Site:
    """One installation as its configuration describes it, looked at once."""

    config: Config
    target: str
    """The service, HOST:PORT."""
    config_file: Path | None = None
    tls: ClientTls | None = None
    clock: Callable[[], int] = time.time_ns
    """Nanoseconds since 1970, by our clock."""
    agent: bool = False
    """Whether an agent's things are looked at, by an agent's rights."""
    _asked: dict[str, asyncio.Task[Any]] = field(default_factory=dict)

    @property
    def topology(self) -> Topology:
        """The catalogue; raises ConfigError."""
        return load_topology(self.config)

    @property
    def inbox(self) -> str:
        """Where NATS answers the user of the configuration."""
        if self.agent:
            return agent_inbox(parse_region(self.config.agent.region, "agent.region"))
        return role_inbox(Role.SERVICE)

    async def broker(self) -> tuple[BrokerSeen, int, int]:
        """Return how the broker is, and our clock before and after it was asked.

        Raises LogUnavailableError, LogConfigurationError and InputError.
        """
        return await self._once("broker", self._broker)

    async def service(self) -> tuple[dict[str, Any], int, int]:
        """Return what the service says of itself, and our clock around that.

        Raises PlacementCallError, and InputError for files that cannot be read.
        """
        return await self._once("service", self._service)

    async def close(self) -> None:
        """Leave nothing running."""
        for task in self._asked.values():
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def _broker(self) -> tuple[BrokerSeen, int, int]:
        async with stores.inspecting_broker(self.config, self.inbox) as inspection:
            await inspection.look()  # connects, so that the clocks tell of one call
            before = self.clock()
            seen = await inspection.look()
            return seen, before, self.clock()

    async def _service(self) -> tuple[dict[str, Any], int, int]:
        async with PlacementClient(
            self.target, timeout_s=CALL_SECONDS, tls=self.tls
        ) as client:
            before = self.clock()
            info = plain(await client.get_service_info())
            return info, before, self.clock()

    async def _once(
        self, name: str, ask: Callable[[], Coroutine[Any, Any, Found]]
    ) -> Found:
        """Return what *ask* answers, asked once for all who want to know."""
        if name not in self._asked:
            self._asked[name] = asyncio.create_task(ask())
        found: Found = await asyncio.shield(self._asked[name])
        return found
