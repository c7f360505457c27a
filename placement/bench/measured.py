"""What benchmarks of the service itself tell: figures beside their ceilings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PLANNER: Final = "planner"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    apps: int
    pushes: int


WHOLE: Final = Scale(apps=300, pushes=300)
QUICK: Final = Scale(apps=12, pushes=12)
"""Enough to see that it works; its figures say nothing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure; *ceiling*, if there is one, was measured in the same run.

    *value* is the median of several rounds where *spread* tells the least and the most.
    """

    suite: str
    metric: str
    value: float
    unit: str
    ceiling: float | None = None
    spread: tuple[float, float] | None = None

    @property
    def ratio(self) -> float | None:
        """Return how many times the ceiling it is."""
        return self.value / self.ceiling if self.ceiling else None

    def plain(self) -> dict[str, object]:
        """Return it as it is written to a file."""
        return {
            "suite": self.suite,
            "metric": self.metric,
            "value": self.value,
            "unit": self.unit,
            "ceiling": self.ceiling,
            "ratio": self.ratio,
        }


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that such a *share* of *values* is below."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
