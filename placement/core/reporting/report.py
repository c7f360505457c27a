"""What the decisions and starts of a period came to, from one state at one time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from placement.core.counts import DAY_NS
from placement.core.decisions import DecisionRecord, decision_at, sees_decision
from placement.core.event import ReplicationTrigger, WithholdReason
from placement.core.policy import Policy
from placement.core.reporting.figures import GroupBy, Report
from placement.core.reporting.outcomes import is_over, kept_until_ns, use_of
from placement.core.reporting.pairs import first_of_its_kind, pair_of
from placement.core.reporting.periods import Period, iso_week
from placement.core.reporting.prices import Prices
from placement.core.reporting.tally import Judged, Tally
from placement.core.state import State
from placement.core.tables.cells import (
    EVICTION,
    Decision,
    DecisionStatus,
    StartDay,
    StartOutcome,
)
from placement.core.tables.keys import PAIR, START_DAY
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Topology

ROWS_PER_STEP: Final = 16
"""Rows that are read between two places where others may run."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a report is about; *now_ns* is when its figures are looked at."""

    period: Period
    group_by: GroupBy
    now_ns: int


class Reporter:
    """Makes one report, a little at a time."""

    def __init__(
        self, state: State, topology: Topology, prices: Prices, policy: Policy
    ) -> None:
        """Report of *state*; *policy* says what a second of waiting is worth."""
        self._state = state
        self._topology = topology
        self._prices = prices
        self._policy = policy
        self._total = Tally()
        self._groups: dict[str, Tally] = {}
        self.found: Report | None = None
        """The report, once ``steps`` has come to its end."""

    def steps(self, question: Question) -> Iterator[None]:
        """Count everything, and yield now and then to let others run."""
        for number in range(len(self._state.decisions)):
            self._decision(Row(number), question)
            if number % ROWS_PER_STEP == 0:
                yield
        for number in range(len(self._state.start_days)):
            self._start_day(Row(number), question)
            if number % ROWS_PER_STEP == 0:
                yield
        parts = (self._policy, self._prices, self._topology)
        groups = []
        for key in sorted(self._groups):
            groups.append(self._groups[key].group(key, *parts))
            yield
        total = self._total.group("", *parts)
        currency = self._prices.currency
        self.found = Report(question.period, currency, total, tuple(groups))

    def _decision(self, row: Row, question: Question) -> None:
        decisions = self._state.decisions
        removal = decisions.get(row, Decision.KIND) == EVICTION
        if removal or not question.period.has(decisions.get(row, Decision.TIME)):
            return
        if not sees_decision(self._state, row):
            return
        decision = decision_at(self._state, row)
        judged = judged_copy(self._state, decision, question.now_ns)
        if judged is None:
            return
        key = self._key(decision, question.group_by)
        for tally in self._tallies(key, question.group_by):
            tally.add(judged)

    def _start_day(self, row: Row, question: Question) -> None:
        table = self._state.start_days
        app, region, outcome, day = START_DAY.unpack(table.key(row))
        if not question.period.has_day(day) or not self._state.sees_app(Row(app)):
            return
        match question.group_by:
            case GroupBy.REGION:
                key = str(self._state.region_at(Row(region)))
            case GroupBy.WEEK:
                key = iso_week(day)
            case by:
                key = self._app_key(Row(app), by)
        values = table.values(row)
        for tally in self._tallies(key, question.group_by):
            tally.add_starts(
                StartOutcome(outcome),
                values[StartDay.STARTS],
                values[StartDay.WAITED],
                values[StartDay.WAIT],
            )

    def _tallies(self, key: str, group_by: GroupBy) -> list[Tally]:
        if group_by is GroupBy.WHOLE:
            return [self._total]
        return [self._total, self._groups.setdefault(key, Tally())]

    def _key(self, decision: DecisionRecord, group_by: GroupBy) -> str:
        match group_by:
            case GroupBy.REGION:
                return str(decision.target)
            case GroupBy.WEEK:
                return iso_week(decision.time_ns // DAY_NS)
            case _:
                owner, _ = PAIR.unpack(self._state.placements.key(decision.placement))
                return self._app_key(self._state.app_of(Row(owner)), group_by)

    def _app_key(self, app: Row, group_by: GroupBy) -> str:
        if app == ABSENT:
            return ""
        organization, name = self._state.app_name(app)
        if group_by is GroupBy.ORGANIZATION:
            return organization
        return app_key(organization, name)


def app_key(organization: str, name: str) -> str:
    """Return what reports call an app: its organization and its name."""
    # An app that nobody named has its repository's name, and so the organization's.
    within = not organization or name.startswith(f"{organization}/")
    return name if within else f"{organization}/{name}"


def report(
    state: State,
    topology: Topology,
    prices: Prices,
    policy: Policy,
    question: Question,
) -> Report:
    """Return what the decisions and starts of a period came to. Raises nothing."""
    reporter = Reporter(state, topology, prices, policy)
    for _ in reporter.steps(question):
        pass
    assert reporter.found is not None, "the last step makes the report"
    return reporter.found


def judged_copy(state: State, decision: DecisionRecord, now_ns: int) -> Judged | None:
    """Return what came of one decision to copy; None where it counts with another."""
    withheld = decision.status is DecisionStatus.WITHHELD
    if withheld and decision.cause == WithholdReason.OBSERVE_ONLY:
        # A layer's bytes are those of its image too, which is observed by itself.
        ahead = decision.kind == ReplicationTrigger.FIRST_LAYER
        if ahead or not first_of_its_kind(state, decision):
            return None
        there_ns = decision.time_ns + decision.expected_ns
        return Judged(
            decision, use_of(state, decision, there_ns, now_ns), observed=True
        )
    pair, is_open = pair_of(state, decision), False
    if pair is not None and not pair.told.used_ns:
        is_open = not is_over(state, pair.told, now_ns)
    if decision.status is not DecisionStatus.COMPLETED:
        return Judged(decision, pair=pair, is_open=is_open)
    use = use_of(state, decision, decision.complete_ns, now_ns)
    until_ns = kept_until_ns(state, decision, now_ns)
    return Judged(decision, use, until_ns, pair=pair, is_open=is_open)
