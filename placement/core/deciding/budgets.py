"""How much more may be copied now: bytes a link and an organization, copies a region.

What was planned counts from its decision on, until it was called off or expired. A
budget lets a copy begin as long as it is not spent, so that no copy is too large for
it: it is exceeded by less than one copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from placement.core.counts import DAY_NS
from placement.core.deciding.desk import Desk
from placement.core.deciding.priority import Priority
from placement.core.tables.cells import Decision, DecisionStatus
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

HOUR_NS: Final = 3_600 * 10**9
_CALLED_OFF: Final = frozenset({DecisionStatus.CANCELLED, DecisionStatus.EXPIRED})


class Order(NamedTuple):
    """A copy that is to be paid for."""

    source: Region
    target: Region
    organization: str
    transfer_bytes: int
    priority: Priority = Priority.FORESEEN


class Refusal(NamedTuple):
    """Which budget is spent, and when some of it is free again, nanoseconds."""

    budget: str
    free_time_ns: int


@dataclass(slots=True)
class Budgets:
    """What is left at one moment; what is decided meanwhile is taken from it."""

    desk: Desk
    _taken: list[Order] = field(default_factory=list)

    def take(self, order: Order) -> None:
        """Count a copy that has just been decided."""
        self._taken.append(order)

    def refusal(self, order: Order) -> Refusal | None:
        """Return which budget forbids the copy now, or None where none does."""
        return (
            self._in_flight(order) or self._over_link(order) or self._over_owner(order)
        )

    def _in_flight(self, order: Order) -> Refusal | None:
        if order.priority is Priority.SOMEBODY_WAITS:
            return None  # who waits does not stand in line behind forecasts
        limits, state = self.desk.guardrails.limits, self.desk.state
        target = state.regions.find(order.target.encode())
        rows = state.indexes.decisions.copies_into(target)
        taken = [each for each in self._taken if each.target == order.target]
        soon_ns = self.desk.now_ns + round(limits.retry_seconds * 1e9)
        copies, most = len(rows) + len(taken), limits.region_copies_in_flight
        if most and copies >= most:
            return Refusal(f"region_copies_in_flight ({most}): {order.target}", soon_ns)
        size = sum(state.decisions.get(row, Decision.BYTES) for row in rows)
        size += sum(each.transfer_bytes for each in taken)
        most = limits.region_bytes_in_flight
        if most and size >= most:
            return Refusal(f"region_bytes_in_flight ({most}): {order.target}", soon_ns)
        most = limits.backfill_copies_in_flight
        if order.priority is not Priority.BACKFILL or not most:
            return None
        priority = Decision.PRIORITY
        filling = sum(
            state.decisions.get(row, priority) == Priority.BACKFILL for row in rows
        )
        mine = sum(each.priority is Priority.BACKFILL for each in taken)
        if filling + mine >= most:
            named = f"backfill_copies_in_flight ({most}): {order.target}"
            return Refusal(named, soon_ns)
        return None

    def _over_link(self, order: Order) -> Refusal | None:
        limits, state = self.desk.guardrails.limits, self.desk.state
        most = limits.link_bytes(order.source, order.target)
        if not most:
            return None
        source = state.regions.find(order.source.encode())
        target = state.regions.find(order.target.encode())
        link = (order.source, order.target)
        spent = [
            (time_ns, size)
            for time_ns, size, origin, _ in planned(self.desk, target, HOUR_NS)
            if origin == source + 1
        ]
        mine = [
            each.transfer_bytes
            for each in self._taken
            if (each.source, each.target) == link
        ]
        named = f"link_bytes_per_hour ({most}): {order.source} to {order.target}"
        return self._spent(named, spent, mine, most, HOUR_NS)

    def _over_owner(self, order: Order) -> Refusal | None:
        limits, desk = self.desk.guardrails.limits, self.desk
        most = limits.organization_bytes(order.organization)
        if not most:
            return None
        regions = range(len(desk.state.regions))
        spent = sorted(
            (time_ns, size)
            for region in regions
            for time_ns, size, _, owner in planned(desk, Row(region), DAY_NS)
            if desk.organization_of(owner) == order.organization
        )
        mine = [
            each.transfer_bytes
            for each in self._taken
            if each.organization == order.organization
        ]
        named = f"organization_bytes_per_day ({most}): {order.organization}"
        return self._spent(named, spent, mine, most, DAY_NS)

    def _spent(
        self,
        named: str,
        spent: list[tuple[int, int]],
        mine: list[int],
        most: int,
        window_ns: int,
    ) -> Refusal | None:
        left = most - sum(mine) - sum(size for _, size in spent)
        if left > 0:
            return None
        for time_ns, size in spent:
            left += size
            if left > 0:
                return Refusal(named, time_ns + window_ns)
        return Refusal(named, self.desk.now_ns + window_ns)


def planned(
    desk: Desk, target: Row, window_ns: int
) -> Iterator[tuple[int, int, int, Row]]:
    """Yield what was planned into *target* within the window, the oldest first.

    Each as (time, bytes, source row plus one, repository); *target* may be ABSENT.
    """
    state = desk.state
    if target == ABSENT:
        return
    oldest_ns = desk.now_ns - window_ns
    for row in state.indexes.decisions.planned_into(target):
        status, placement, source, where, size, _, time_ns, *_ = state.decisions.values(
            row
        )
        # A decision that was forgotten has left its row to another one.
        if where == target and time_ns > oldest_ns and status not in _CALLED_OFF:
            owner, _ = PAIR.unpack(state.placements.key(Row(placement)))
            yield time_ns, size, source, Row(owner)
