"""Which registries are worth a client's time: the suspects are asked by us first."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import structlog

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import RegistryError
from placement.core.topology import Region

PROBE_FIRST_SECONDS: Final = 1.0
PROBE_LAST_SECONDS: Final = 15.0
PROBE_ANSWER_SECONDS: Final = 2.0
BUSY_SECONDS: Final = 0.5
FORGIVEN_SECONDS: Final = 60.0
"""A registry that was well for so long is suspected as if for the first time."""

log = structlog.get_logger(__name__)


class Health:
    """Suspects registries that did not answer in time until they answer a probe.

    Clients then pay for a registry that hangs once, and not with every request. Waits
    between probes double, and begin longer for who is suspected again and again.
    """

    def __init__(
        self,
        registries: Mapping[Region, Registry],
        chance: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        """Suspect nobody; *chance* spreads the probes of many routers.

        *clock* is in seconds.
        """
        self._registries = registries
        self._chance = chance
        self._clock = clock
        self._probes: dict[Region, asyncio.Task[None]] = {}
        self._waits: dict[Region, tuple[float, float]] = {}
        """How long the last suspicion waited, and when it ended."""
        self._heard: dict[Region, float] = {}

    def well(self, region: Region) -> bool:
        """Say whether *region* is not under suspicion."""
        return region not in self._probes

    def hear(self, region: Region) -> None:
        """Know that *region* gave something just now."""
        self._heard[region] = self._clock()

    def busy(self, region: Region) -> bool:
        """Say whether *region* answers others: then it is slow, and does not hang."""
        return self._clock() - self._heard.get(region, -BUSY_SECONDS) < BUSY_SECONDS

    def suspect(
        self, region: Region, why: str, cause: BaseException | None = None
    ) -> None:
        """Ask *region* by ourselves before another client has to."""
        if region in self._probes:
            return
        error = None if cause is None else str(cause) or repr(cause)
        log.warning("registry_suspected", region=region, reason=why, error=error)
        wait_s, ended = self._waits.get(region, (0.0, 0.0))
        if not wait_s or self._clock() - ended > FORGIVEN_SECONDS:
            wait_s = PROBE_FIRST_SECONDS / 2
        probe = asyncio.create_task(self._probe(region, wait_s))
        self._probes[region] = probe

    async def _probe(self, region: Region, wait_s: float) -> None:
        while True:
            wait_s = min(2 * wait_s, PROBE_LAST_SECONDS)
            await asyncio.sleep(wait_s * (0.5 + self._chance() / 2))
            with suppress(RegistryError, TimeoutError):
                async with asyncio.timeout(PROBE_ANSWER_SECONDS):
                    # By nobody's name: whether we may log in is another question.
                    await self._registries[region].passing(None).reachable()
                self._waits[region] = (wait_s, self._clock())
                del self._probes[region]
                log.info("registry_trusted", region=region)
                return

    async def close(self) -> None:
        """Stop asking."""
        probes = list(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
