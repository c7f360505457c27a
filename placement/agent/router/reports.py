"""What a router tells the log: what arrived here, what it took, and who used it."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from placement.agent.feeds.clients import client_kind
from placement.agent.feeds.translation import FeedSettings
from placement.agent.registry.manifests import Manifest
from placement.agent.reporting import Report
from placement.agent.router.flights import Landed
from placement.agent.router.places import Wanted
from placement.agent.router.settings import RouterSettings
from placement.core.errors import PlacementError
from placement.core.event import (
    ContentPulled,
    ContentReplicated,
    DurationNs,
    Event,
    Fact,
    Identifier,
    TimeNs,
    TransferMeasured,
    TransferOutcome,
)
from placement.core.oci import Descriptor
from placement.core.topology import Region

WAITING_MAX: Final = 10_000
"""Reports that are being kept; more are counted and dropped: pulls go first."""

log = structlog.get_logger(__name__)


class Reports:
    """Makes events of what happened, and lets nobody wait for them."""

    def __init__(
        self,
        settings: RouterSettings,
        report: Report,
        clock: Callable[[], int],
        counts: Counter[str],
    ) -> None:
        """Tell *report*, with the times of *clock*."""
        self._settings = settings
        self._report = report
        self._clock = clock
        self._counts = counts
        self._feed = FeedSettings(region=settings.region, publisher=settings.publisher)
        self._tasks: set[asyncio.Task[None]] = set()
        self._told = 0

    async def landed(self, landed: Landed) -> None:
        """Tell that a blob is in our registry now, and how long its way took."""
        size, source = landed.spool.size_bytes, landed.source
        facts: list[Fact] = [self._replicated(landed.wanted, size, source)]
        if landed.source_count == 1 and size and landed.duration_ns:
            facts.append(
                TransferMeasured(
                    source_region=source,
                    transferred_bytes=size,
                    transfer_duration_ns=DurationNs(landed.duration_ns),
                    outcome=TransferOutcome.COMPLETED,
                    digest=landed.wanted.digest,
                )
            )
        await self._tell(facts)

    async def stored(self, wanted: Wanted, manifest: Manifest, source: Region) -> None:
        """Tell that a manifest is in our registry now."""
        fact = ContentReplicated(
            (manifest.descriptor,),
            wanted.repository,
            source,
            verified=True,
            references=manifest.references,
        )
        await self._tell([fact])

    def pulled(
        self, wanted: Wanted, source: Region, transferred_bytes: int, user_agent: str
    ) -> None:
        """Tell that a client here used what came from elsewhere; do not wait."""
        if len(self._tasks) >= WAITING_MAX:
            self._counts["pull_unreported"] += 1
            return
        fact = ContentPulled(
            wanted.digest,
            wanted.repository,
            client_region=self._settings.region,
            source_region=source,
            transferred_bytes=transferred_bytes,
            client_kind=client_kind(user_agent, self._feed),
        )
        task = asyncio.create_task(self._tell([fact]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for what is being told."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _replicated(
        self, wanted: Wanted, size_bytes: int, source: Region
    ) -> ContentReplicated:
        content = Descriptor(wanted.digest, "", size_bytes)
        return ContentReplicated((content,), wanted.repository, source, verified=True)

    async def _tell(self, facts: list[Fact]) -> None:
        now_ns = TimeNs(self._clock())
        events = []
        for fact in facts:
            self._told += 1
            named = f"{self._settings.region} {now_ns} {self._told} {fact!r}"
            mark = hashlib.sha256(named.encode()).hexdigest()[:32]
            events.append(
                Event(
                    Identifier(f"router-{mark}"),
                    self._settings.region,
                    fact,
                    now_ns,
                    self._settings.publisher,
                )
            )
        try:
            await self._report(events)
        except PlacementError as error:
            self._counts["unreported"] += len(events)
            log.warning("router_unreported", reason=error.reason, error=str(error))
