"""What came of the copies that a replicator made since it began."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from placement.timings import Timings

COPY_SECONDS: Final = (0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0)


@dataclass(slots=True)
class Account:
    """Counts, which the parts of a replicator write and whoever watches reads."""

    copies: Counter[str] = field(default_factory=Counter)
    """Attempts by how they ended: completed, failed, untold, called_off."""
    moved_bytes: int = 0
    resumed: int = 0
    """How often a body broke off and was gone on with."""
    took: Timings = field(default_factory=lambda: Timings(COPY_SECONDS))
    """How long copies took that were completed."""
