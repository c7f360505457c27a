"""What a region keeps: the table ``[keep]`` of a policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from placement.core.topology import Region

DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Keep:
    """How long content stays that nothing runs any more; days are of event time."""

    previous_versions: int = 1
    """Versions of an app before the current one that stay in a region."""
    grace_days: float = 6.0
    """A version that ran stays so long after another one replaced it there."""
    recent_versions: int = 3
    """So many before the current one stay longer than that, while there is room."""
    recent_days: float = 45.0
    """How long those stay after they were replaced."""
    unused_days: float = 30.0
    """A predicted copy that nobody started stays so long."""
    pull_days: float = 5.0
    """What was pulled or started in a region stays so long after that."""
    storage_bytes: Mapping[Region, int] = field(default_factory=dict)
    """What a region may hold before the least valuable goes; absent: no limit."""

    @property
    def grace_ns(self) -> int:
        """Return grace_days in nanoseconds."""
        return round(self.grace_days * DAY_NS)

    @property
    def recent_ns(self) -> int:
        """Return recent_days in nanoseconds."""
        return round(self.recent_days * DAY_NS)

    @property
    def unused_ns(self) -> int:
        """Return unused_days in nanoseconds."""
        return round(self.unused_days * DAY_NS)

    @property
    def pull_ns(self) -> int:
        """Return pull_days in nanoseconds."""
        return round(self.pull_days * DAY_NS)

    def budget_bytes(self, region: Region) -> int | None:
        """Return what *region* may hold; None where there is no limit."""
        return self.storage_bytes.get(region)
