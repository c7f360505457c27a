"""Routes as they were fitted last: kept from answer to answer, fitted again when due.

A fit costs more than all else in an answer, and few transfers are folded between two
answers. So a route is fitted again once another transfer of it was folded, or a minute
has begun; whatever an answer is made from, it rests on the same fits.
"""

from typing import Final, NamedTuple

from placement.core.routes import RouteFit, route_fit, route_row
from placement.core.state import State
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region, Topology

AGED_EVERY_NS: Final = 60_000_000_000
"""What was learned of a route ages by the minute: its weights halve in an hour."""
FITS_BURST: Final = 512
"""So many routes may have changed at once, and be fitted at once."""
FIT_EVERY_NS: Final = 10_000_000
"""One more of those that change all the time is fitted so often, all routes together.

While transfers are folded by the thousand a second, an answer's fits may be some
transfers behind its basis: without this, answering would be nothing but fitting.
"""


def aged_at(now_ns: int) -> int:
    """Return the time that routes are fitted for at *now_ns*: this minute's begin."""
    return now_ns - now_ns % AGED_EVERY_NS


class _Kept(NamedTuple):
    aged_ns: int
    row: Row
    """Of the route; ABSENT while nothing was transferred on it."""
    transfer_count: int
    fit: RouteFit


class FittedRoutes:
    """The last fit of each route that was asked for, of one state and one catalogue."""

    __slots__ = ("_credit_ns", "_kept", "_now_ns", "_topology", "state")

    def __init__(self, state: State, topology: Topology) -> None:
        """Begin with no fit, and a whole burst."""
        self.state = state
        """What they were fitted from."""
        self._topology = topology
        self._kept: dict[tuple[Region, Region], _Kept] = {}
        self._credit_ns = FITS_BURST * FIT_EVERY_NS
        self._now_ns = 0

    def fit(self, source: Region, target: Region, now_ns: int) -> RouteFit:
        """Return the route between two regions of the catalogue, as of this minute."""
        kept = self._kept.get((source, target))
        aged_ns = aged_at(now_ns)
        if kept is None or kept.aged_ns != aged_ns:
            return self._fitted(source, target, aged_ns)
        row = kept.row
        if row == ABSENT:
            changed = route_row(self.state, source, target) != ABSENT
        else:
            changed = self.state.routes.get(row, 0) != kept.transfer_count
        if changed and self._may_fit(now_ns):
            return self._fitted(source, target, aged_ns)
        return kept.fit

    def _fitted(self, source: Region, target: Region, aged_ns: int) -> RouteFit:
        state = self.state
        row = route_row(state, source, target)
        count = 0 if row == ABSENT else state.routes.get(row, 0)
        fit = route_fit(state, self._topology, source, target, aged_ns)
        self._kept[source, target] = _Kept(aged_ns, row, count, fit)
        return fit

    def _may_fit(self, now_ns: int) -> bool:
        """Say whether a route that changed may be fitted now, and count it."""
        elapsed_ns = max(0, now_ns - self._now_ns)
        self._now_ns = now_ns
        whole_ns = FITS_BURST * FIT_EVERY_NS
        self._credit_ns = min(whole_ns, self._credit_ns + elapsed_ns)
        if self._credit_ns < FIT_EVERY_NS:
            return False
        self._credit_ns -= FIT_EVERY_NS
        return True
