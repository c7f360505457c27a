"""The inventory of one registry: a scan now, or one every interval for ever."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from placement.agent.inventory.asking import Asker
from placement.agent.inventory.known import Known
from placement.agent.inventory.manifests import ManifestCache
from placement.agent.inventory.pace import Pace
from placement.agent.inventory.pages import Edition, Pages
from placement.agent.inventory.position import Position, PositionFile
from placement.agent.inventory.repository import Means
from placement.agent.inventory.scan import Scan
from placement.agent.inventory.settings import InventorySettings
from placement.agent.pauses import Pauses
from placement.agent.registry.client import Registry
from placement.agent.reporting import Report
from placement.agent.serving import Serving
from placement.core.errors import PlacementError
from placement.core.topology import Region
from placement.ports import Clock

RETRY_SECONDS_MAX: Final = 600.0
"""Between attempts to go on with a scan that stopped."""
SECOND_NS: Final = 1_000_000_000
GIVES_WAY_SHARE: Final = 0.25
"""Of the interval, from a scan's beginning; then it has its whole pace."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan came to, counted from its beginning, over all restarts."""

    region: Region
    position: Position
    request_count: int
    """Since the last restart."""
    seconds: float
    """The same."""

    def said(self) -> dict[str, object]:
        """Return it for a log line, and for JSON."""
        position = self.position
        return {
            "region": self.region,
            "scan_time_ns": position.scan_time_ns,
            "complete": position.complete,
            "repository_count": position.repository_count,
            "tag_count": position.tag_count,
            "content_count": position.content_count,
            "content_bytes": position.content_bytes,
            "absence_count": position.absence_count,
            "removed_tag_count": position.removed_tag_count,
            "failed_count": position.failed_count,
            "page_count": position.page_count,
            "request_count": self.request_count,
            "seconds": round(self.seconds, 3),
        }


class Inventory:
    """Reads a registry as a whole and reports what it holds."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it depends on
        self,
        settings: InventorySettings,
        registry: Registry,
        report: Report,
        known: Known,
        clock: Clock,
        chance: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        serving: Serving | None = None,
    ) -> None:
        """Read *registry*; what is *known* of it and was not seen is looked for.

        More slowly while *serving* anybody from it, for a quarter of the interval.
        """
        self._settings = settings
        self._registry = registry
        self._report = report
        self._known = known
        self._clock = clock
        self._chance = chance
        self._sleep = sleep
        self._pace = Pace(settings.requests_per_second, time.monotonic, sleep, serving)
        self._manifests = ManifestCache()
        self._file = PositionFile(settings.position_file, settings.region)
        self.outcomes: Counter[str] = Counter()
        """How scans ended since the start: complete, incomplete, failed."""
        self.found: Found | None = None
        """What the last one that came to its end found."""
        self.complete_ns = 0
        """When the last complete one began; 0: none is known."""

    async def run(self) -> None:
        """Scan once every interval, for ever; one that fails goes on where it was."""
        pauses = Pauses(self._chance, RETRY_SECONDS_MAX)
        before = self._file.read()
        if before is not None and before.complete:
            self.complete_ns = before.scan_time_ns
        while True:
            await self._sleep(self._wait_s())
            try:
                await self.scan()
            except PlacementError as error:
                self.outcomes["failed"] += 1
                pause_s = pauses.next_s()
                log.warning(
                    "inventory_failed",
                    region=self._settings.region,
                    reason=error.reason,
                    error=str(error),
                    again_in_s=round(pause_s, 1),
                )
                await self._sleep(pause_s)
            else:
                pauses.reset()

    async def scan(self) -> Found:
        """Read the whole registry, or the rest of it after an interruption.

        Raises RegistryError when the registry fails, and PlacementError when nothing
        can be reported; the next call then goes on from there.
        """
        began_s = time.monotonic()
        position = self._unfinished() or Position(self._clock())
        await self._file.keep(position)
        self._pace.give_way(self._patience_s(position))
        asker = Asker(
            self._pace, self._chance, self._settings.request_seconds, self._sleep
        )
        edition = Edition(
            self._settings.region, position.scan_time_ns, self._settings.publisher
        )
        pages = Pages(edition, self._report, position.page_count)
        means = Means(
            self._registry,
            self._known,
            asker,
            self._manifests,
            pages,
            self._settings.check_blobs,
        )
        await Scan(means, self._file, position).read()
        found = Found(
            region=self._settings.region,
            position=position,
            request_count=asker.request_count,
            seconds=time.monotonic() - began_s,
        )
        self.found = found
        self.outcomes["complete" if position.complete else "incomplete"] += 1
        if position.complete:
            self.complete_ns = position.scan_time_ns
        log.info("inventory_taken", **found.said())
        return found

    def _patience_s(self, position: Position) -> float:
        """Return how long a scan gives way to clients: it has to come to its end."""
        age_ns = self._clock() - position.scan_time_ns
        return (self._settings.interval_ns * GIVES_WAY_SHARE - age_ns) / SECOND_NS

    def _unfinished(self) -> Position | None:
        """Return the position of a scan to go on with: not older than the interval."""
        position = self._file.read()
        if position is None or position.finished:
            return None
        age_ns = self._clock() - position.scan_time_ns
        return position if 0 <= age_ns < self._settings.interval_ns else None

    def _wait_s(self) -> float:
        """Return how long to wait for the next scan, or until one goes on."""
        position = self._file.read()
        if position is None or not position.finished:
            return 0.0
        due_ns = position.scan_time_ns + self._settings.interval_ns
        return (
            max(0, min(due_ns - self._clock(), self._settings.interval_ns)) / SECOND_NS
        )
