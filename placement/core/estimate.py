"""Seconds: how long a transfer between two regions is expected to take.

Cold-start model of policy.md §2.1, fitted on 1,734 real object fetches between 17 cloud
regions: ``seconds = 0.37 + 11.3 * RTT + bytes / min(80 MB/s, 3.2 MB / RTT)``.
"""

from typing import Final, NamedTuple

from placement.core.counts import DAY_NS

START_UP_NS: Final = 370_000_000
START_UP_ROUND_TRIPS: Final = 11.3
BANDWIDTH_MAX: Final = 80e6
"""Bytes per second that one client gets at the most."""
WINDOW_BYTES: Final = 3.2e6
"""Bytes in flight at the most: what limits far transfers."""
COLD_SPREAD: Final = 1.5
"""p90 over p50 where nothing was measured; an assumption, stated as such."""
LONGEST_NS: Final = 36_500 * DAY_NS
"""What would take longer is said to take this: protobuf's durations end, too."""


class Duration(NamedTuple):
    """An expected duration: half of the cases below *p50_ns*, nine of ten below p90."""

    p50_ns: int
    p90_ns: int
