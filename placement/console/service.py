"""How the service itself is: how far it folded, what it set aside, who decides."""

from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from placement.api.placement_servicer import pending_message_count
from placement.console.asked import Asked
from placement.console.page import Page
from placement.console.site import Checkpoint, Site
from placement.core.deciding.ruling import ruling_in_force
from placement.core.fold import FOLD_VERSION
from placement.core.orders import pause_orders
from placement.core.state import State
from placement.core.tables.cells import Decision, DecisionStatus
from placement.runtime.planner import PlannerCounts

OUTCOMES: Final = ("folded", "duplicate", "set_aside", "late")
UNREAD_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Unread:
    """An event that was set aside."""

    sequence: int
    place: int
    reason: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Planning:
    """What the planner of this service did since it began."""

    counts: PlannerCounts
    put_off_count: int
    idle: bool


@dataclass(frozen=True, slots=True)
class ServiceModel:
    """All that the page prints; times in nanoseconds."""

    version: str
    fold_version: int
    name: str
    generation: int
    pending_count: int | None
    """None where the log is out of reach."""
    outcomes: tuple[tuple[str, int], ...]
    unread_by_reason: tuple[tuple[str, int], ...]
    newest_unread: tuple[Unread, ...]
    refused_total: int
    checkpoint: Checkpoint
    planning: Planning | None
    policy: str
    pause_count: int
    decisions: tuple[tuple[str, int], ...]
    watch_count: int
    comparisons: tuple[tuple[str, int], ...]
    tables: tuple[tuple[str, int], ...]

    @property
    def row_count(self) -> int:
        """Return how many rows all tables have."""
        return sum(rows for _, rows in self.tables)


async def service(site: Site, asked: Asked) -> Page:
    """Return the page about the service."""
    values = {"model": service_model(site)}
    return Page("service.html", "Service", values, section=asked.path)


def service_model(site: Site) -> ServiceModel:
    """Return how the service is now. Raises nothing."""
    view, state, workings = site.view, site.state, site.workings
    now_ns, witness, planner = view.now_ns(), view.witness, workings.planner
    planning = None
    if planner is not None:
        planning = Planning(planner.counts, planner.put_off_count, planner.idle)
    reasons, newest = _unread(state)
    tally = state.decisions.tally(Decision.STATUS)
    return ServiceModel(
        version=version("placement"),
        fold_version=FOLD_VERSION,
        name=witness.service if witness else "",
        generation=view.generation,
        pending_count=pending_message_count(view),
        outcomes=tuple((name, state.count(name)) for name in OUTCOMES),
        unread_by_reason=reasons,
        newest_unread=newest,
        refused_total=view.refused.total,
        checkpoint=workings.checkpoint(),
        planning=planning,
        policy=ruling_in_force(state, now_ns).label,
        pause_count=len(pause_orders(state, now_ns)),
        decisions=tuple((status.name, tally[status]) for status in DecisionStatus),
        watch_count=workings.watch_count(),
        comparisons=tuple(sorted(witness.counts.items())) if witness else (),
        tables=tuple((name, len(table)) for name, table in state.tables().items()),
    )


def _unread(
    state: State,
) -> tuple[tuple[tuple[str, int], ...], tuple[Unread, ...]]:
    """Return why events were set aside, the most frequent first, and the newest."""
    found = []
    for key, row in state.set_aside.rows():
        sequence, place, reason = key.decode().split("\0")
        time_ns = state.set_aside.get(row, 0)
        found.append(Unread(int(sequence), int(place), reason, time_ns))
    reasons = Counter(each.reason for each in found)
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    newest = sorted(found, key=lambda each: (-each.sequence, each.place))
    return tuple(ordered), tuple(newest[:UNREAD_SHOWN])
