"""What was refused while folding, by the region that its subject names.

The broker lets each region's agents publish on that region's subjects alone, so whoever
sent what is refused there had that region's credential, whatever the event says.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from placement.core.errors import RegionInvalidError
from placement.core.event import Recorded, SetAside
from placement.core.topology import REGION_COUNT_MAX
from placement.ports import Message
from placement.wire.unread import message_region

NOWHERE: Final = ""
"""For subjects that name no region, and for regions beyond the first so many."""


class Refused:
    """Counts of one line, since it began: by region, and whether the region was it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: Counter[tuple[str, bool]] = Counter()
        self._regions = {NOWHERE}

    def note(
        self, message: Message, items: Iterable[Recorded | SetAside | None]
    ) -> None:
        """Count what of *message* could not be read."""
        refused = [item for item in items if isinstance(item, SetAside)]
        if not refused:
            return
        region: str = message_region(message) or NOWHERE
        if len(self._regions) <= REGION_COUNT_MAX:
            self._regions.add(region)
        elif region not in self._regions:
            region = NOWHERE
        for item in refused:
            self._counts[region, item.reason == RegionInvalidError.reason] += 1

    def count(self, region: str, *, by_region: bool) -> int:
        """Return how many were refused on subjects of *region*.

        *by_region*: because they name another region, or none; else for all else.
        """
        return self._counts[region, by_region]

    @property
    def total(self) -> int:
        """How many were refused at all."""
        return self._counts.total()
