"""Which bets on a version pay now: its open trials, weighed, and what copies cost.

A pure function of state, policy and costs; it neither copies nor remembers anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from placement.core.bets import Bet, Sign, is_better_later
from placement.core.folds.versions import open_classes
from placement.core.forecast import Forecaster, Trial, after_start_in
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import TRIAL_REGIONS, TRIPLE, version_key
from placement.core.tables.table import ABSENT, Row


@dataclass(frozen=True, slots=True)
class CopyCosts:
    """What a copy into the storage region of a start region means."""

    missing_bytes: int
    remote_seconds: float
    """Until a start is ready that has to fetch them, and until the copy is there."""


Costs = Callable[[Row], CopyCosts | None]
"""Of a start region; None where nothing is missing, or nothing can be copied."""


@dataclass(frozen=True, slots=True)
class Wager:
    """A bet on one start region, with what it rests on.

    *waits_for* is the start region whose first start is worth waiting for.
    """

    trial: Trial
    costs: CopyCosts
    bet: Bet
    waits_for: Row | None

    @property
    def pays(self) -> bool:
        """Whether a copy should be made now."""
        return self.bet.worth_bytes >= 0 and self.waits_for is None


def open_trials(state: State, version: Row) -> list[Trial]:
    """Return the trials of *version* that are open, of the newest instant a region.

    By start region and trigger; empty for what is no version.
    """
    row = state.versions.find(version_key(version))
    if row == ABSENT:
        return []
    app, shape, *_ = map(Row, state.versions.values(row))
    newest: dict[Row, tuple[int, list[Trial]]] = {}
    for key in state.indexes.trials.of_version(version):
        _, trigger, word = TRIPLE.unpack(key)
        opened = state.trials.find(key)
        time_ns = state.trials.get(opened, cells.Trial.TIME)
        for place, known in open_classes(state, opened):
            region = Row(word * TRIAL_REGIONS + place)
            trial = Trial(app, region, trigger, shape, known)
            before_ns, trials = newest.get(region, (time_ns, []))
            if time_ns > before_ns:
                trials = []
            if time_ns >= before_ns:
                newest[region] = (time_ns, [*trials, trial])
    return sorted(trial for _, trials in newest.values() for trial in trials)


def wagers(
    forecaster: Forecaster, trials: Sequence[Trial], costs: Costs
) -> list[Wager]:
    """Return a wager for each start region of *trials* that a copy would help.

    By start region; of several triggers of one instant the one that is worth most.
    """
    trials = sorted(trials)
    known = {trial.region: costs(trial.region) for trial in trials}
    best: dict[Row, Wager] = {}
    for trial in trials:
        cost = known[trial.region]
        if cost is None:
            continue
        wager = _wager(forecaster, trial, cost, trials)
        before = best.get(trial.region)
        if before is None or _rank(wager) > _rank(before):
            best[trial.region] = wager
    return [best[region] for region in sorted(best)]


def _rank(wager: Wager) -> tuple[bool, float]:
    return wager.pays, wager.bet.worth_bytes


def _wager(
    forecaster: Forecaster, trial: Trial, costs: CopyCosts, trials: Sequence[Trial]
) -> Wager:
    policy = forecaster.policy
    saved_seconds = max(0.0, costs.remote_seconds - policy.local_start_seconds)
    starts = forecaster.starts_per_burst(trial)
    gain = starts * saved_seconds * policy.kappa_bytes_per_second
    stake = costs.missing_bytes + policy.store_bytes_per_copy
    bet = Bet(forecaster.chance(trial), gain, stake)
    waits_for = None
    if bet.worth_bytes >= 0:
        waits_for = _sign_to_wait_for(forecaster, trial, costs, bet, trials)
    return Wager(trial, costs, bet, waits_for)


def _sign_to_wait_for(
    forecaster: Forecaster,
    trial: Trial,
    costs: CopyCosts,
    bet: Bet,
    trials: Sequence[Trial],
) -> Row | None:
    """Return the first start region, by row, that is worth waiting for, if any."""
    for other in trials:
        if other.region == trial.region or other.trigger != trial.trigger:
            continue
        then = after_start_in(trial, other.region)
        sign = Sign(
            forecaster.chance(other),
            forecaster.chance(then),
            forecaster.timely(then, costs.remote_seconds),
        )
        if is_better_later(bet, sign, forecaster.policy.patience):
            return other.region
    return None
