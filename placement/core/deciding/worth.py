"""What an image is worth where it is: the starts to come, and what each would wait.

Source: Cherkasova, "GreedyDual-Size-Frequency", 1998. In place of its memory of what
was removed before, starts count less the longer ago they were: the same state always
gives the same value.
"""

from typing import Final, NamedTuple

from placement.core.counts import HOUR_NS
from placement.core.deciding.shelf import HeldImage
from placement.core.deciding.storehouse import Estate, Storehouse
from placement.core.decisions import latest_decision
from placement.core.demand import decayed
from placement.core.tables.cells import Decision
from placement.core.tables.table import ABSENT, Row

HALF_LIFE_HOURS: Final = 7 * 24
"""In so long a start that was counts half."""
UNASKED: Final = 0.01
"""Expected starts of what nobody foretold and nobody ever started there."""


class Worth(NamedTuple):
    """Starts that are still to be expected, and the seconds to bring the image back."""

    expected_starts: float
    refetch_seconds: float

    @property
    def seconds(self) -> float:
        """Return what all those starts would wait, roughly."""
        return self.expected_starts * self.refetch_seconds


def worth_of(estate: Estate, house: Storehouse, owner: Row, image: HeldImage) -> Worth:
    """Return what an image is worth in a region that holds it."""
    starts = _expected_starts(house, owner, image)
    return Worth(starts, _refetch_seconds(estate, house, owner, image))


def _expected_starts(house: Storehouse, owner: Row, image: HeldImage) -> float:
    """Return the starts that were counted, by age; before any, what was foretold."""
    state, now_ns = house.network.state, house.network.now_ns
    usage = house.usage(house.shelf(owner).family(image))
    expected, since_ns = float(usage.times), usage.last_ns
    if not usage.times:
        expected, since_ns = UNASKED, house.arrived_ns(image)
        copy = latest_decision(state, image.placement, house.row)
        if copy != ABSENT:
            foretold = state.decisions.get(copy, Decision.PROBABILITY) / 1e6
            expected = max(expected, foretold)
    age_hours = max(0, now_ns - since_ns) // HOUR_NS
    return decayed(expected, age_hours, HALF_LIFE_HOURS)


def _refetch_seconds(
    estate: Estate, house: Storehouse, owner: Row, image: HeldImage
) -> float:
    """Return how long all of it would take from where that is fastest."""
    network, state = estate.network, estate.network.state
    size = sum(state.size_bytes(row) for row in image.here)
    others = estate.holders(owner, image.digest, image.here, house.region)
    routes = (network.route(other.region, house.region) for other in others)
    return min((route.duration(size).p50_ns for route in routes), default=0) / 1e9
