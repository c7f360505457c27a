"""What the state's codes mean, in one plain sentence each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from placement.console.words import count, nanoseconds, seconds, share, size
from placement.core.counts import DAY_NS
from placement.core.event import Factor, ReplicationTrigger
from placement.core.facts.values import FailureCause, WithholdReason
from placement.core.folds.payoff import OUTCOME_NS
from placement.core.payoff import Judged, Payoff, regret_ns
from placement.core.tables.cells import DecisionStatus

GOOD: Final = "good"
BUSY: Final = "busy"
WAITS: Final = "wait"
BAD: Final = "bad"
OFF: Final = "off"
_RATE: Final = "bytes_per_second"


class Mark(NamedTuple):
    """A word with its kind: how good that is."""

    kind: str
    word: str


STATUSES: Final[Mapping[DecisionStatus, Mark]] = {
    DecisionStatus.PLANNED: Mark(WAITS, "planned"),
    DecisionStatus.STARTED: Mark(BUSY, "started"),
    DecisionStatus.FAILED: Mark(BAD, "failed"),
    DecisionStatus.WITHHELD: Mark(WAITS, "withheld"),
    DecisionStatus.CANCELLED: Mark(OFF, "called off"),
    DecisionStatus.EXPIRED: Mark(BAD, "expired"),
    DecisionStatus.COMPLETED: Mark(GOOD, "completed"),
    DecisionStatus.DEFERRED: Mark(WAITS, "deferred"),
}
OUTCOMES: Final[Mapping[Payoff, Mark]] = {
    Payoff.PAID_OFF: Mark(GOOD, "paid off"),
    Payoff.WASTED: Mark(BAD, "wasted"),
    Payoff.LATE: Mark(BAD, "too late"),
    Payoff.MISSED: Mark(BAD, "missed"),
    Payoff.SPARED: Mark(GOOD, "rightly not made"),
    Payoff.REGRETTED: Mark(BAD, "regretted"),
    Payoff.PENDING: Mark(WAITS, "not yet known"),
    Payoff.UNKNOWN: Mark(OFF, "cannot be said"),
}
TRIGGERS: Final[Mapping[int, str]] = {
    ReplicationTrigger.UNSPECIFIED: "an event that the decision does not name",
    ReplicationTrigger.PUSH: "a push",
    ReplicationTrigger.START: "a first start elsewhere",
    ReplicationTrigger.STARTS_REQUESTED: "starts that were asked for",
    ReplicationTrigger.FIRST_LAYER: "the first new layer of a version",
    ReplicationTrigger.REQUEST: "somebody's request",
    ReplicationTrigger.REPAIR: "too few copies elsewhere",
    ReplicationTrigger.SWEEP: "the regular look at everything",
    ReplicationTrigger.PIN: "a pin",
}
WITHHELD: Final[Mapping[int, str]] = {
    WithholdReason.UNSPECIFIED: "for a reason that the decision does not name",
    WithholdReason.CONTROL_GROUP: "by lot, to measure what copies save",
    WithholdReason.OBSERVE_ONLY: "because the policy only observes",
    WithholdReason.OVER_BUDGET: "because a budget was spent",
}
FAILED: Final[Mapping[int, str]] = {
    FailureCause.UNSPECIFIED: "for a reason that nobody told",
    FailureCause.SOURCE: "because of its source",
    FailureCause.TARGET: "because of its target",
    FailureCause.CONTENT_GONE: "because the content was gone",
    FailureCause.CONTENT_CORRUPT: "because the content was corrupt",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A verdict on a decision: its kind and word, one sentence, and the regret.

    *regret_seconds* is what starts waited since nothing was there in time; None: there
    is nothing to regret, or nobody said.
    """

    mark: Mark
    sentence: str
    regret_seconds: float | None


def told(judged: Judged, local_ns: int, now_ns: int) -> Told:
    """Return what came of a decision by *now_ns*; a local start waits *local_ns*."""
    payoff = judged.outcome.payoff
    regret = regret_ns(judged.outcome, local_ns)
    return Told(
        OUTCOMES[payoff],
        _sentence(judged, payoff, now_ns),
        None if regret is None else regret / 1e9,
    )


def _sentence(judged: Judged, payoff: Payoff, now_ns: int) -> str:
    record, outcome = judged.record, judged.outcome
    days, target = OUTCOME_NS // DAY_NS, record.target
    starts = ", ".join(record.start_regions)
    told = f"{count(outcome.start_count)} machine" + "s" * (outcome.start_count != 1)
    waits = ""
    if outcome.waited_count:
        waits = f", and waited {nanoseconds(outcome.wait_ns)} in all"
    if record.removal:
        return {
            Payoff.PAID_OFF: f"Nobody started it in {days} days after it was removed.",
            Payoff.REGRETTED: f"It was removed, and {told} started it{waits}.",
            Payoff.PENDING: f"Nobody started it since; {days} days have to pass.",
        }.get(payoff, "The removal was not carried out.")
    saved = nanoseconds(outcome.saved_ns or 0)
    moved = size(record.moved_bytes or record.transfer_bytes)
    return {
        Payoff.PAID_OFF: f"The copy was complete before {told} started in {starts}; "
        f"that saved them {saved} of waiting, as modelled.",
        Payoff.WASTED: f"{moved} moved, and nobody started it in {starts} "
        f"{_until(judged, now_ns)}.",
        Payoff.LATE: f"{told} started in {starts} before the copy was complete{waits}.",
        Payoff.MISSED: f"No copy was made, and {told} started in {starts}{waits}.",
        Payoff.SPARED: f"No copy was made, and nobody started it in {days} days.",
        Payoff.PENDING: "No machine started it there yet, and neither "
        f"{days} days nor a newer version have come.",
        Payoff.UNKNOWN: f"It was made for no start: {target} was to have it.",
        Payoff.REGRETTED: "",
    }[payoff]


def _until(judged: Judged, now_ns: int) -> str:
    """Return until when starts were waited for, of what was wasted."""
    if now_ns - judged.record.time_ns > OUTCOME_NS:
        return f"in {OUTCOME_NS // DAY_NS} days"
    return "before a newer version was pushed"


def cause_of(status: DecisionStatus, cause: int) -> str:
    """Return why a decision was withheld or failed; empty where that is no question."""
    if status in {DecisionStatus.WITHHELD, DecisionStatus.DEFERRED}:
        return WITHHELD.get(cause, WITHHELD[WithholdReason.UNSPECIFIED])
    if status is DecisionStatus.FAILED:
        return FAILED.get(cause, FAILED[FailureCause.UNSPECIFIED])
    return ""


class Figure(NamedTuple):
    """A number that an answer rests on, with its name, for people."""

    name: str
    value: str


def figures(factors: Iterable[Factor]) -> tuple[Figure, ...]:
    """Return numbers for people, in their order; the unit ends a factor's name."""
    return tuple(_figure(factor.name, factor.value) for factor in factors)


def telling_figures(factors: Iterable[Factor]) -> tuple[Figure, ...]:
    """Return those numbers for people that are not 0, which tells nothing."""
    return figures(factor for factor in factors if factor.value)


def _figure(name: str, value: float) -> Figure:
    if name.endswith(_RATE):
        plain = name.removesuffix(_RATE) + "rate"
        return Figure(_plain(plain), f"{size(value)} a second")
    for suffix, write in (("_bytes", size), ("_seconds", seconds)):
        if name.endswith(suffix):
            return Figure(_plain(name.removesuffix(suffix)), write(value))
    if name.endswith("probability"):
        return Figure(_plain(name), share(value))
    written = count(value) if value == int(value) else f"{value:.3g}"
    return Figure(_plain(name), written)


def _plain(name: str) -> str:
    return name.replace("_", " ").strip()
