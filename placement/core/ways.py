"""Ways: the routes of one state, kept from answer to answer, fitted again when due.

A fit costs more than all else in an answer, and few transfers are folded between two
answers. So a route is fitted again once another transfer of it was folded, or a minute
has begun; whatever an answer is made from, it rests on the same fits.
"""

from typing import Final, NamedTuple

from placement.core.near_equals import seed_of
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


class Way(NamedTuple):
    """From a source to a target, as of one minute: what is the same for all contents.

    *row* is the route's, ABSENT while nothing was transferred on it; *seen* tells that
    nothing was since: the route's transfers, or how many routes there are.
    """

    aged_ns: int
    row: Row
    seen: int
    fit: RouteFit
    """Where nothing limits what may leave the source."""
    limited: bool
    """Whether something does."""
    stores: bool
    """Whether the source stores content."""
    round_trip_ns: int
    seed: int
    """Stands for the source among near-equals; see ``near_equals``."""


class Ways:
    """The ways that were asked for, of one state and one catalogue."""

    __slots__ = ("_credit_ns", "_kept", "_now_ns", "_topology", "state")

    def __init__(self, state: State, topology: Topology) -> None:
        """Begin with no fit, and a whole burst."""
        self.state = state
        """What they were fitted from."""
        self._topology = topology
        self._kept: dict[tuple[Region, Region], Way] = {}
        self._credit_ns = FITS_BURST * FIT_EVERY_NS
        self._now_ns = 0

    def way(self, source: Region, target: Region, now_ns: int) -> Way:
        """Return the way from *source* to *target*, of the catalogue, at *now_ns*."""
        kept = self._kept.get((source, target))
        if kept is None or kept.aged_ns != now_ns - now_ns % AGED_EVERY_NS:
            return self._fitted(source, target, now_ns)
        if kept.seen != self._seen(kept.row) and self._may_fit(now_ns):
            return self._fitted(source, target, now_ns)
        return kept

    def _seen(self, row: Row) -> int:
        routes = self.state.routes
        return len(routes) if row == ABSENT else routes.get(row, 0)

    def _fitted(self, source: Region, target: Region, now_ns: int) -> Way:
        state, topology = self.state, self._topology
        aged_ns = now_ns - now_ns % AGED_EVERY_NS
        row = route_row(state, source, target)
        limited = topology.regions[source].egress_bytes_per_second > 0
        found = self._kept[source, target] = Way(
            aged_ns,
            row,
            self._seen(row),
            route_fit(state, topology, source, target, aged_ns),
            limited and source != target,
            topology.stores(source),
            topology.round_trip_ns(source, target),
            seed_of(target, source),
        )
        return found

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
