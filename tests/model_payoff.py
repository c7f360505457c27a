"""The reference model's half about what came of decisions: each start, held to them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from placement.core.event import (
    CacheKind,
    ContentPulled,
    FailureCause,
    MachineStarted,
    WithholdReason,
)
from tests.model_content import Content, Row, When
from tests.model_decisions import (
    CANCELLED,
    COMPLETED,
    DEFERRED,
    EXPIRED,
    FAILED,
    PLANNED,
    REMOVAL,
    STARTED,
    Decision,
    Decisions,
)
from tests.model_learning import Learned
from tests.model_use import HOUR_NS, Judgement, Usage, Use, key_of

LOCAL, UNKNOWN, NEVER_PREDICTED, PREDICTED_LATE, EVICTED, COPY_FAILED = range(1, 7)
COPY_EXPIRED, COPY_UNUSED, CALLED_OFF, CONTROL_GROUP = range(7, 11)
OBSERVE_ONLY, OVER_BUDGET, SOURCE_UNHEALTHY = range(11, 14)
DAY_NS = 24 * HOUR_NS
BY_STATUS = {
    PLANNED: PREDICTED_LATE,
    STARTED: PREDICTED_LATE,
    FAILED: COPY_FAILED,
    CANCELLED: CALLED_OFF,
    EXPIRED: COPY_EXPIRED,
    DEFERRED: OVER_BUDGET,
}
Day = tuple[str, str, int, int]
"""App, region, outcome, day."""


@dataclass
class Payoff:
    """What every start was like, counted by day."""

    content: Content
    use: Usage
    learned: Learned
    decisions: Decisions
    most_days: int
    days: dict[Day, list[int | None]] = field(default_factory=dict)
    """The wait of each start, where it was told."""

    def start(self, when: When, fact: MachineStarted, use: Use | None) -> None:
        """Judge a start; *use* is None for old news."""
        outcome, told_by = self.judge(when, fact)
        machine = self.use.machines[key_of(fact.machine_id)]
        wait_ns = fact.image_wait_ns
        if machine.started_ns == when.order_ns:
            judged = "" if told_by is None else told_by[0]
            order_ns = 0 if told_by is None else told_by[1].order_ns
            waited = 0 if wait_ns is None else wait_ns + 1
            machine.judgement = Judgement(outcome, waited, judged, order_ns)
        if use is not None:
            app = "\0".join(use.app)
            day = (app, use.region, outcome, when.time_ns // DAY_NS)
            if day not in self.days and len(self.days) == self.most_days:
                del self.days[next(iter(self.days))]
            self.days.setdefault(day, []).append(wait_ns)
            self.credit(when, use, wait_ns)

    def pull(self, when: When, fact: ContentPulled, use: Use | None) -> None:
        """A pull of an image stands in for a start while nobody reports any."""
        if use is not None and use.of_app and not self.use.starts_said:
            self.credit(when, use, fact.pull_duration_ns)

    def judge(
        self, when: When, fact: MachineStarted
    ) -> tuple[int, tuple[str, Decision] | None]:
        """Return how a start was, and by which decision that is told."""
        near = fact.source_region == when.region
        if fact.cache in {CacheKind.HOST, CacheKind.REGION}:
            return LOCAL, None
        if fact.cache is CacheKind.UNSPECIFIED and (near or not fact.source_region):
            return LOCAL if near else UNKNOWN, None
        images = self.images((fact.repository, fact.digest))
        before = [
            (name, decision)
            for name, decision in self.decisions.by_id.items()
            if decision.place in images
            and when.region in decision.start_regions
            and decision.order_ns <= when.order_ns
            and decision.time_ns <= when.time_ns
            and (decision.kind != REMOVAL or decision.status == COMPLETED)
        ]
        if not before:
            return NEVER_PREDICTED, None
        name, last = max(before, key=lambda pair: pair[1].order_ns)
        return why(when, fact, last), (name, last)

    def images(self, place: tuple[str, str]) -> set[tuple[str, str]]:
        """Return an image and the version that it is, or is a platform of."""
        version = self.learned.version_of(place)
        return {place} if version is None else {place, version.place}

    def layers(self, place: tuple[str, str]) -> set[tuple[str, str]]:
        """Return what an image refers to, at most through one more manifest."""
        repository, digest = place
        children = {child for child, _ in self.content.digests[digest].references}
        inner = {
            grandchild
            for child in children
            for grandchild, _ in self.content.digests[child].references
        }
        return {(repository, each) for each in children | inner} - {place}

    def credit(self, when: When, use: Use, wait_ns: int | None) -> None:
        """Count a start for the decisions before it that were for its region."""
        place = (use.repository, use.digest)
        about = self.images(place)
        again = [
            each
            for each in self.use.uses
            if (each.repository, each.digest, each.region, each.kind)
            == (*place, use.region, use.kind)
        ]
        if len(again) == 1:
            about |= self.layers(place)
        for decision in self.decisions.by_id.values():
            age_ns = when.time_ns - decision.time_ns
            mine = decision.place in about and use.region in decision.start_regions
            if mine and 0 <= age_ns <= 30 * DAY_NS:
                decision.uses.append((when.time_ns, wait_ns))

    def rows(self) -> Iterator[Row]:
        """Yield everything as the fold's canonical rows."""
        for day, waits in self.days.items():
            told = [wait_ns for wait_ns in waits if wait_ns is not None]
            yield ("start_day", *day, len(waits), len(told), sum(told))
        known = self.decisions.by_id
        for key, m in self.use.machines.items():
            place = m.place if m.started_ns else ("", "")
            times = (m.started_ns, m.stopped_ns, m.seen_ns)
            outcome, waited, judged, order_ns = m.judgement
            same = judged in known and known[judged].order_ns == order_ns
            shown = judged.encode() if same else b""
            yield ("machine", key, *place, m.region, *times, outcome, waited, shown)


def why(when: When, fact: MachineStarted, last: Decision) -> int:
    """Return the reason that a decision gives for a start that was not local."""
    if last.kind == REMOVAL:
        return EVICTED
    if last.status == COMPLETED:
        wait_ns = fact.image_wait_ns or 0
        asked_ns = fact.request_time_ns or when.time_ns - wait_ns
        if last.done[0] > asked_ns:
            return PREDICTED_LATE
        return LOCAL if fact.source_region == last.target else COPY_UNUSED
    if last.status in BY_STATUS:
        broken = last.status == FAILED and last.cause == FailureCause.SOURCE
        return SOURCE_UNHEALTHY if broken else BY_STATUS[last.status]
    observed = last.cause == WithholdReason.OBSERVE_ONLY
    return OBSERVE_ONLY if observed else CONTROL_GROUP
