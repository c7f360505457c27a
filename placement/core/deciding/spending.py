"""How much of each budget is used at one moment, for those who watch over them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from placement.core.counts import DAY_NS
from placement.core.deciding.budgets import HOUR_NS, planned
from placement.core.deciding.desk import Desk
from placement.core.deciding.priority import Priority
from placement.core.tables.cells import Decision
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region


class BudgetUse(NamedTuple):
    """What of one budget is used; copies or bytes, as the budget's name says."""

    budget: str
    """The key in a policy's ``[limits]``."""
    region: Region | None
    """Where the copies go; None for a budget of no region."""
    used: int
    limit: int
    """0: there is none."""


def budget_use(desk: Desk, regions: Iterable[Region]) -> Iterator[BudgetUse]:
    """Yield the use of each budget of *regions*, in their order; then organizations'.

    Where a budget is of many, links into a region or organizations, it is that of the
    fullest. Raises nothing.
    """
    spent: Counter[str] = Counter()
    for region in regions:
        target = desk.state.regions.find(region.encode())
        yield from _in_flight(desk, region, target)
        yield _fullest_link(desk, region, target)
        for _, size, _, owner in planned(desk, target, DAY_NS):
            spent[desk.organization_of(owner)] += size
    most = desk.guardrails.limits.organization_bytes
    owners = [(spent[name], most(name)) for name in sorted(spent)]
    yield BudgetUse("organization_bytes_per_day", None, *_fullest(owners))


def _in_flight(desk: Desk, region: Region, target: Row) -> Iterator[BudgetUse]:
    limits, decisions = desk.guardrails.limits, desk.state.decisions
    index = desk.state.indexes.decisions
    rows = [] if target == ABSENT else index.copies_into(target)
    size = sum(decisions.get(row, Decision.BYTES) for row in rows)
    filling = sum(
        decisions.get(row, Decision.PRIORITY) == Priority.BACKFILL for row in rows
    )
    for name, used, limit in (
        ("region_copies_in_flight", len(rows), limits.region_copies_in_flight),
        ("region_bytes_in_flight", size, limits.region_bytes_in_flight),
        ("backfill_copies_in_flight", filling, limits.backfill_copies_in_flight),
    ):
        yield BudgetUse(name, region, used, limit)


def _fullest_link(desk: Desk, region: Region, target: Row) -> BudgetUse:
    state, limits = desk.state, desk.guardrails.limits
    spent: Counter[Row] = Counter()
    for _, size, source, _ in planned(desk, target, HOUR_NS):
        if source:
            spent[Row(source - 1)] += size
    links = [
        (size, limits.link_bytes(state.region_at(source), region))
        for source, size in sorted(spent.items())
    ]
    if not links:
        links = [(0, limits.link_bytes_per_hour)]
    return BudgetUse("link_bytes_per_hour", region, *_fullest(links))


def _fullest(found: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the use and limit of which most is used; one without a limit is last."""

    def fullness(pair: tuple[int, int]) -> tuple[float, int]:
        used, limit = pair
        return (used / limit if limit else -1.0), used

    return max(found, key=fullness, default=(0, 0))
