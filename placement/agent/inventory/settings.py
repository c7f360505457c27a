"""How a registry is read as a whole, and how much of it is held at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from placement.core.event import Name
from placement.core.topology import Region

CONCURRENCY_MAX: Final = 8
"""Requests on their way to the registry at once."""
REQUEST_SECONDS_MAX: Final = 60.0
"""One request, its body included; a registry that hangs counts as unreachable."""
ATTEMPTS_MAX: Final = 5
"""Of one request, before its repository counts as failed."""
PAUSE_SECONDS_MAX: Final = 8.0
"""Between two attempts, unless the registry asks for more."""
RETRY_AFTER_SECONDS_MAX: Final = 300.0
"""So long a registry may tell us to wait."""
FAILURES_IN_A_ROW_MAX: Final = 3
"""Repositories; after so many it is the registry that fails, and the scan stops."""
TAGS_AT_ONCE: Final = 100
CONTENTS_MAX: Final = 1_000_000
"""In one repository; one with more is not read."""
REPOSITORIES_MAX: Final = 1_000_000
LISTING_PAGES_MAX: Final = 1_000_000
PUBLISHER: Final = Name("placement-agent")
DEPTH_MAX: Final = 8
"""Indexes within indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InventorySettings:
    """One registry's inventory."""

    region: Region
    publisher: Name = PUBLISHER
    interval_ns: int = 3_600 * 1_000_000_000
    """From the beginning of one scan to that of the next."""
    requests_per_second: float = 50.0
    check_blobs: bool = True
    """Ask for each blob, or take a manifest's word for what it refers to."""
    position_file: Path | None = None
    """Where the position of an unfinished scan is kept; None: nowhere."""
    request_seconds: float = REQUEST_SECONDS_MAX
