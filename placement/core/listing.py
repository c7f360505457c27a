"""Which decisions are wanted, and a page of them: the newest first, each judged."""

from collections.abc import Generator
from dataclasses import dataclass

from placement.core.decisions import DecisionRecord, decision_at, sees_decision
from placement.core.event import ReplicationTrigger
from placement.core.lookup import known_repository
from placement.core.oci import Repository
from placement.core.payoff import Judge, Judged, Payoff, outcome_of
from placement.core.state import State
from placement.core.tables.cells import EVICTION, Decision, DecisionStatus
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region, Topology


@dataclass(frozen=True, slots=True)
class DecisionFilter:
    """Which decisions are wanted; None: any. Times in nanoseconds."""

    region: Region | None = None
    repository: Repository | None = None
    status: DecisionStatus | None = None
    trigger: ReplicationTrigger | None = None
    removal: bool | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    payoff: Payoff | None = None
    """What came of it, by the time of the page."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Return what a page token is bound to."""
        about = (self.region, self.repository, self.status, self.trigger, self.removal)
        return tuple(map(str, (*about, self.since_ns, self.until_ns, self.payoff)))

    def check_named(self, state: State, topology: Topology) -> None:
        """Raise REGION_UNKNOWN or NAME_UNKNOWN for what nobody ever named."""
        if self.repository is not None:
            known_repository(state, self.repository)
        region = self.region
        if region is not None and state.regions.find(region.encode()) == ABSENT:
            topology.known(region)

    def wants(self, state: State, row: Row, now_ns: int) -> bool:
        """Say whether the decision of a row is wanted, and may be told of."""
        if not sees_decision(state, row):
            return False
        get = state.decisions.get
        kind, time_ns = get(row, Decision.KIND), get(row, Decision.TIME)
        since_ns, until_ns = self.since_ns or 0, self.until_ns
        fits = (
            self.status in {None, get(row, Decision.STATUS)}
            and self.trigger in {None, kind}
            and self.removal in {None, kind == EVICTION}
            and time_ns >= since_ns
            and (until_ns is None or time_ns < until_ns)
            and self._names(state, row)
        )
        if not fits or self.payoff is None:
            return fits
        return outcome_of(state, decision_at(state, row), now_ns).payoff is self.payoff

    def _names(self, state: State, row: Row) -> bool:
        """Say whether the decision of a row is about what is named."""
        get = state.decisions.get
        region = Row(get(row, Decision.TARGET))
        if self.region not in {None, state.region_at(region)}:
            return False
        if self.repository is None:
            return True
        repository, _ = state.placement_at(Row(get(row, Decision.PLACEMENT)))
        return repository == self.repository


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """One page; *last* is the decision that the next one begins after.

    None: there is no next one.
    """

    found: tuple[Judged, ...]
    last: str | None


@dataclass(frozen=True, slots=True)
class PageSize:
    """How much of a listing is one page: so many wanted, or so many looked at."""

    wanted: int
    read: int


def decision_page(
    state: State, wanted: DecisionFilter, after: str, size: PageSize, now_ns: int
) -> Generator[None, None, DecisionPage]:
    """Return the decisions that come after *after*; empty: the newest of all.

    Let others run at each step. What the last page ended with may be forgotten by now:
    then so is all before.
    """
    records, last = yield from _records(state, wanted, after, size, now_ns)
    judge, found = Judge(state, now_ns), []
    for record in records:
        found.append(judge.judged(record))
        yield
    return DecisionPage(tuple(found), last)


def _records(
    state: State, wanted: DecisionFilter, after: str, size: PageSize, now_ns: int
) -> Generator[None, None, tuple[list[DecisionRecord], str | None]]:
    begin = ABSENT
    if after:
        begin = state.decisions.find(after.encode())
        if not sees_decision(state, begin):
            return [], None
    found: list[DecisionRecord] = []
    for count, row in enumerate(state.decisions.newest_first(begin), start=1):
        if wanted.wants(state, row, now_ns):
            if len(found) == size.wanted:
                return found, found[-1].replication_id
            found.append(decision_at(state, row))
        # Where some are hidden, a page must not end with one of those.
        if count == size.read and state.sees_all:
            return found, state.decisions.key(row).decode()
        yield
    return found, None
