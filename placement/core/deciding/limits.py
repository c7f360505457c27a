"""How much may be on its way, and how often it is tried: the table ``[limits]``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class Limits:
    """What new copies keep to, whatever they are worth; 0 means no limit."""

    link_bytes_per_hour: int = 0
    """Bytes of new copies from one region to another in an hour."""
    organization_bytes_per_day: int = 0
    """Bytes of new copies for one organization in a day."""
    region_copies_in_flight: int = 16
    """Copies on their way into one region; who waits for one is not held up by it."""
    region_bytes_in_flight: int = 0
    """Their bytes."""
    backfill_copies_in_flight: int = 4
    """Of the copies into one region, those that fill one that was added."""
    min_copies: int = 2
    """Complete copies that what runs or is pinned should have, and keeps."""
    decision_seconds: float = 3600.0
    """How long a decided copy may wait for somebody to start it."""
    retry_seconds: float = 60.0
    """How long to wait after a copy failed; twice as long after each further time."""
    retry_seconds_max: float = 86_400.0
    """The longest such wait."""
    links: Mapping[tuple[Region, Region], int] = field(default_factory=dict)
    """link_bytes_per_hour of single links, by source and target."""
    organizations: Mapping[str, int] = field(default_factory=dict)
    """organization_bytes_per_day of single organizations."""

    @property
    def decision_ns(self) -> int:
        """Return decision_seconds in nanoseconds."""
        return round(self.decision_seconds * 1e9)

    def link_bytes(self, source: Region, target: Region) -> int:
        """Return how many bytes an hour the link may carry; 0: no limit."""
        return self.links.get((source, target), self.link_bytes_per_hour)

    def organization_bytes(self, organization: str) -> int:
        """Return how many bytes a day are for the organization; 0: no limit."""
        return self.organizations.get(organization, self.organization_bytes_per_day)

    def retry_ns(self, failure_count: int) -> int:
        """Return how long to wait after the copy failed so often in a row.

        failure_count >= 1. The result is in nanoseconds.
        """
        # The power is bounded, for any count: more doublings always exceed the longest.
        doublings = min(failure_count - 1, 64)
        seconds = min(self.retry_seconds * 2.0**doublings, self.retry_seconds_max)
        return round(seconds * 1e9)
