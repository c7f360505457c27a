"""What a reader found, told to the log: digests resolved, and repeated until stored."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import structlog

from placement.agent.feeds.translation import Translation
from placement.agent.reporting import Report
from placement.agent.starts.memory import Memory
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Find, Found, settled
from placement.agent.starts.streams import Backoff, Chance
from placement.core.errors import PlacementError
from placement.core.event import Event, Identifier, MachineStarted
from placement.core.oci import Digest

DIGESTS_MAX: Final = 65_536
LOGGED_MAX: Final = 10

log = structlog.get_logger(__name__)


class Teller:
    """Tells what readers find; what was not stored is told again, for ever.

    Remembers the digest that each machine started with: its tag may move while it runs.
    """

    def __init__(
        self, settings: StartSettings, report: Report, find: Find, chance: Chance
    ) -> None:
        """Report by *report*, and ask *find* for the digests of tags."""
        self.settings = settings
        self.find = find
        self.chance = chance
        self.counts: Counter[str] = Counter()
        self.digests: Memory[Identifier, Digest] = Memory(DIGESTS_MAX)
        self._report = report

    async def tell(self, found: Found) -> None:
        """Return once all of *found* that are events are stored."""
        if found == Found():
            return
        translation = await settled(found, self.find, self.settings)
        self._count(translation)
        await self.report(translation.events)

    async def report(self, events: Sequence[Event]) -> None:
        """Return once *events* are stored."""
        if not events:
            return
        for event in events:
            fact = event.fact
            if isinstance(fact, MachineStarted):
                self.digests.put(fact.machine_id, fact.digest)
        backoff = Backoff(self.chance)
        while True:
            try:
                await self._report(events)
            except PlacementError as error:
                log.warning("starts_unstored", events=len(events), reason=error.reason)
                await backoff.wait()
            else:
                self.counts["events"] += len(events)
                return

    def _count(self, translation: Translation) -> None:
        for item in translation.ignored:
            self.counts[str(item.reason)] += 1
        self.counts["malformed"] += len(translation.malformed)
        for fault in translation.malformed[:LOGGED_MAX]:
            log.warning("start_malformed", field=fault.field, value=fault.value)
