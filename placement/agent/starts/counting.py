"""Counts all machines that run, from time to time: what no page names is gone.

A region has one count, so one counter lists all schedulers of the agent. The count's
time is before the first listing; its last page is complete only if every listing was
whole and every tag was answered.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from placement.agent.feeds.cloud_events import hashed_id
from placement.agent.starts.images import Image
from placement.agent.starts.streams import Sleep
from placement.agent.starts.telling import Teller
from placement.core.errors import PlacementError
from placement.core.event import (
    Event,
    Identifier,
    MachineGroup,
    MachinesCounted,
    TimeNs,
)
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region

PAGE_MACHINES_MAX: Final = 512
JITTER: Final = 0.1

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine that runs."""

    machine_id: Identifier
    region: Region
    image: Image


Lister = Callable[[], AsyncIterator[Machine]]
"""Yields every machine of one scheduler that runs; raises PlacementError."""


@dataclass(slots=True)
class _Page:
    """The machines of one region that were not yet told."""

    number: int = 0
    count: int = 0
    groups: dict[tuple[Repository, Digest], list[Identifier]] = field(
        default_factory=dict
    )
    whole: bool = True


class MachineCounter:
    """Counts the machines of *listers*, region by region."""

    def __init__(
        self,
        listers: Sequence[Lister],
        teller: Teller,
        now_ns: Callable[[], int],
        interval_seconds: float,
    ) -> None:
        """Count every *interval_seconds*, a little more or less."""
        self._listers = listers
        self._teller = teller
        self._now_ns = now_ns
        self._interval_seconds = interval_seconds
        settings = teller.settings
        self._regions = {settings.region, *settings.regions.values()}

    async def run(self, sleep: Sleep = asyncio.sleep) -> None:
        """Count until cancelled; a count that fails is left to the next."""
        while True:
            try:
                await self.count()
            except PlacementError as error:
                log.warning("machines_uncounted", error=str(error))
            jitter = JITTER * (2 * self._teller.chance() - 1)
            await sleep(self._interval_seconds * (1 + jitter))

    async def count(self) -> None:
        """Count once; raises PlacementError, and then nothing is taken for gone."""
        scan_ns = TimeNs(self._now_ns())
        pages = {region: _Page() for region in self._regions}
        asked: dict[tuple[Repository, Tag], Digest | None] = {}
        for lister in self._listers:
            async for machine in lister():
                if not self._teller.settings.minds(machine.image):
                    continue
                page = pages.setdefault(machine.region, _Page())
                digest = await self._digest(machine, page, asked)
                if digest is None:
                    continue
                key = (machine.image.repository, digest)
                page.groups.setdefault(key, []).append(machine.machine_id)
                page.count += 1
                if page.count == PAGE_MACHINES_MAX:
                    await self._told(machine.region, page, scan_ns, complete=False)
        self._regions |= set(pages)
        for region, page in sorted(pages.items()):
            await self._told(region, page, scan_ns, complete=page.whole)

    async def _digest(
        self,
        machine: Machine,
        page: _Page,
        asked: dict[tuple[Repository, Tag], Digest | None],
    ) -> Digest | None:
        """Return what the machine started with, else what its tag is now.

        An unanswered question leaves the region's count incomplete.
        """
        image = machine.image
        digest = image.digest or self._teller.digests.get(machine.machine_id)
        if digest is not None or image.tag is None:
            return digest
        key = (image.repository, image.tag)
        if key not in asked:
            try:
                asked[key] = await self._teller.find(*key)
            except PlacementError:
                page.whole = False
                return None
        return asked[key]

    async def _told(
        self, region: Region, page: _Page, scan_ns: TimeNs, *, complete: bool
    ) -> None:
        groups = tuple(
            MachineGroup(repository, digest, tuple(ids))
            for (repository, digest), ids in page.groups.items()
        )
        fact = MachinesCounted(scan_ns, complete=complete, groups=groups)
        event_id = hashed_id("count", region, scan_ns, page.number)
        time_ns = TimeNs(self._now_ns())
        publisher = self._teller.settings.publisher
        await self._teller.report([Event(event_id, region, fact, time_ns, publisher)])
        page.number += 1
        page.count = 0
        page.groups.clear()
