"""The chance that a version starts in a region where it has not started yet.

From the outcomes that the fold keeps, weighed by a policy when asked: those of the app
after this very trigger, drawn towards those of the app after any first start, of its
organization in the region, and of all organizations. See ``core/folds/trials.py`` for
what a trial is.
"""

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from placement.core.folds.bursts import burst_counts
from placement.core.folds.outcomes import app_keys, find_owner, pooled_keys
from placement.core.policy import Policy
from placement.core.posterior import NOTHING, Posteriors, Weighed
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.tables.outcomes import Trigger
from placement.core.tables.table import ABSENT, Row

CERTAIN: Final = frozenset({StartClass.REQUESTED, StartClass.RUNNING})
"""Classes that nothing is learned of: their starts are as good as certain."""
UNKNOWN_SHAPE: Final = Row(2**32 - 1)
"""Where no version says how its tag is written: no outcome is ever kept for it."""


class Trial(NamedTuple):
    """What is asked about: the rows of app, start region and tag shape, and the sign.

    *trigger* is as in ``Trigger``: the push, or a first start in a region.
    """

    app: Row
    region: Row
    trigger: int
    shape: Row
    known: StartClass


class Level(NamedTuple):
    """One step from the general to the particular, for the evidence of a decision."""

    name: str
    outcomes: Weighed
    probability: float


@dataclass(slots=True)
class _Answers:
    """What was answered since the last event was folded."""

    order_ns: int = -1
    chances: dict[Trial, float] = field(default_factory=dict)
    timely: dict[tuple[Trial, float], float] = field(default_factory=dict)

    def since(self, order_ns: int) -> "_Answers":
        """Forget what was answered before the event of *order_ns*."""
        if order_ns != self.order_ns:
            self.order_ns = order_ns
            self.chances.clear()
            self.timely.clear()
        return self


@dataclass(frozen=True, slots=True)
class Forecaster:
    """Answers from one state by one policy; keeps what it weighed."""

    state: State
    policy: Policy
    _weighed: Posteriors = field(default_factory=Posteriors)
    _answers: _Answers = field(default_factory=_Answers)

    def betting_by(self, policy: Policy) -> "Forecaster":
        """Return one for a policy that forecasts alike, and shares what is known."""
        return replace(self, policy=policy)

    def chance(self, trial: Trial) -> float:
        """Return the probability, 0 to 1, that the start comes."""
        known = self._answers.since(self.state.latest_order_ns).chances
        found = known.get(trial)
        if found is None:
            found = known[trial] = self.levels(trial)[-1].probability
        return found

    def levels(self, trial: Trial) -> list[Level]:
        """Return the chance at each level, the most particular one last."""
        state, policy = self.state, self.policy
        probability = presumed(policy, trial.known)
        found = [Level("presumed", NOTHING, probability)]
        if trial.known in CERTAIN:
            return found
        owner = find_owner(state, trial.app)
        _, region, trigger, shape, known = trial
        pooled = pooled_keys(owner, region, trigger, shape, known)
        weights = (policy.pool_weight, policy.organization_weight)
        steps = zip(("pool", "organization"), pooled, weights, strict=True)
        for name, key, weight in steps:
            row = state.pooled_outcomes.find(key)
            decay = policy.pooled_decay
            seen = self._weighed.outcomes(state.pooled_outcomes, row, decay)
            probability = seen.share(probability, weight)
            found.append(Level(name, seen, probability))
        if trial.app == ABSENT:
            return found
        keys = app_keys(trial.app, region, trigger, shape, known)
        weights = (policy.app_weight, policy.trigger_weight)
        names = ("app", "app_trigger")
        for name, key, weight in zip(names, keys, weights, strict=False):
            row = state.app_outcomes.find(key)
            seen = self._weighed.outcomes(state.app_outcomes, row, policy.app_decay)
            probability = seen.share(probability, weight)
            found.append(Level(name, seen, probability))
        return found

    def starts_per_burst(self, trial: Trial) -> float:
        """Return how many machines start together when the start comes.

        The app's own bursts in the region, drawn towards what the policy presumes.
        """
        firsts, starts = burst_counts(self.state, trial.app, trial.region)
        weight = self.policy.burst_weight
        presumed_starts = weight * self.policy.starts_per_burst
        return (starts + presumed_starts) / (firsts + weight)

    def timely(self, trial: Trial, needed_s: float) -> float:
        """Return the share of starts that come *needed_s* or later after the trigger.

        From the organization's and the app's own hits after this very trigger.
        """
        answers = self._answers.since(self.state.latest_order_ns).timely
        found = answers.get((trial, needed_s))
        if found is None:
            found = answers[trial, needed_s] = self._timely(trial, needed_s)
        return found

    def _timely(self, trial: Trial, needed_s: float) -> float:
        state, policy = self.state, self.policy
        owner = find_owner(state, trial.app)
        app, region, trigger, shape, known = trial
        share = policy.timely_presumed
        row = state.pooled_outcomes.find(
            pooled_keys(owner, region, trigger, shape, known)[1]
        )
        seen = self._weighed.timely(
            state.pooled_outcomes, row, policy.pooled_decay, needed_s
        )
        share = seen.share(share, policy.timely_weight)
        if app == ABSENT:
            return share
        row = state.app_outcomes.find(app_keys(app, region, trigger, shape, known)[-1])
        seen = self._weighed.timely(state.app_outcomes, row, policy.app_decay, needed_s)
        return seen.share(share, policy.timely_weight)


def presumed(policy: Policy, known: StartClass) -> float:
    """Return the chance that *policy* presumes of a class before any outcome."""
    return {
        StartClass.FIRST: policy.presumed_first,
        StartClass.MEMBER: policy.presumed_member,
        StartClass.FORMER: policy.presumed_former,
        StartClass.YOUNG: policy.presumed_young,
        StartClass.SECOND: policy.presumed_second,
        StartClass.OTHER: policy.presumed_other,
        StartClass.NONE: 0.0,
        StartClass.REQUESTED: policy.presumed_requested,
        StartClass.RUNNING: policy.presumed_running,
    }[known]


def after_start_in(trial: Trial, region: Row) -> Trial:
    """Return what is asked once the version has started in *region*, if it does."""
    known = trial.known
    if known is StartClass.FIRST:
        known = StartClass.YOUNG
    return trial._replace(trigger=Trigger.BY_REGION + region, known=known)
