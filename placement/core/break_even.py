"""The rule ``break_even``: copy where the bet on a start pays, into its storage region.

Every start region is a bet of its own; those that one storage region serves share a
copy, which is wasted only if none of them starts the image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Final

from placement.core.bets import Bet
from placement.core.betting import CopyCosts, Wager, open_trials, wagers
from placement.core.copies import Candidate, Copy, Image, copy_into
from placement.core.demand import reports_starts
from placement.core.due import due_trials
from placement.core.event import Factor
from placement.core.facts.values import factors_of
from placement.core.forecast import CERTAIN, Forecaster, Trial
from placement.core.network import Network
from placement.core.residency import ANYWHERE, Residency, storage_within
from placement.core.tables.cells import StartClass
from placement.core.tables.outcomes import Trigger
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

CLASSES_SAID: Final = {
    StartClass.FIRST: "its first version anywhere",
    StartClass.MEMBER: "the app runs there",
    StartClass.FORMER: "the app was withdrawn from there",
    StartClass.YOUNG: "its first version, which has started elsewhere",
    StartClass.SECOND: "its second version; the app never ran there",
    StartClass.OTHER: "the app never ran there",
    StartClass.REQUESTED: "starts were asked for",
    StartClass.RUNNING: "it runs there, or did so within a week",
}
"""What is known of an app in a region, for people."""

STARTS_REQUESTED: Final = "starts-requested"
RUNS_HERE: Final = "runs-here"
CERTAIN_REASONS: Final = frozenset({STARTS_REQUESTED, RUNS_HERE})
"""For copies that are no forecast, and so never withheld by lot."""

_REASONS: Final = {
    StartClass.REQUESTED: STARTS_REQUESTED,
    StartClass.RUNNING: RUNS_HERE,
}


@dataclass(frozen=True, slots=True)
class _Stake:
    """The wagers of one storage region's start regions, and the copy they share."""

    copy: Copy
    wagers: tuple[Wager, ...]
    """By what they are worth, the best first."""

    @property
    def bet(self) -> Bet:
        """Return all of them as one bet."""
        never = prod(1 - wager.bet.probability for wager in self.wagers)
        gains = (w.bet.probability * w.bet.gain_bytes for w in self.wagers)
        chance = 1 - never
        gain = sum(gains) / chance if chance else 0.0
        return Bet(chance, gain, self.wagers[0].bet.stake_bytes)


def wanted_by_bets(
    network: Network,
    forecaster: Forecaster,
    image: Image,
    residency: Residency = ANYWHERE,
) -> Iterator[Candidate]:
    """Yield the copies of *image* that pay now, by target."""
    state = network.state
    placement = state.find_placement(image.repository, image.digest)
    if placement != ABSENT:
        trials = open_trials(state, placement)
        trials += due_trials(state, placement, network.now_ns)
        yield from bets_on(network, forecaster, image, trials, residency)


def bets_on(
    network: Network,
    forecaster: Forecaster,
    image: Image,
    trials: Sequence[Trial],
    residency: Residency = ANYWHERE,
) -> Iterator[Candidate]:
    """Yield the copies of *image* that pay now if *trials* are all that is asked."""
    copies, found = wagers_on(network, forecaster, image, trials, residency)
    shared: dict[Region, list[Wager]] = {}
    for wager in found:
        target = copies[wager.trial.region].target
        shared.setdefault(target, []).append(wager)
    for target, sharing in sorted(shared.items()):
        stake = _stake(copies, sharing)
        if stake is not None:
            yield _candidate(network, forecaster, image, target, stake)


def wagers_on(
    network: Network,
    forecaster: Forecaster,
    image: Image,
    trials: Sequence[Trial],
    residency: Residency = ANYWHERE,
) -> tuple[dict[Row, Copy], list[Wager]]:
    """Return the bets that *trials* are, whether or not they pay, by start region.

    And the copy that each of them is about, by the start region's row.
    """
    state = network.state
    permitted = residency.permitted(network.topology, image.repository)
    copies: dict[Row, Copy] = {}

    def costs(start: Row) -> CopyCosts | None:
        region = state.region_at(start)
        if region not in network.topology.regions:
            return None
        target = storage_within(network, region, permitted)
        if target is None:
            return None
        copy = copy_into(network, image, target, region)
        if copy is None:
            return None
        copies[start] = copy
        return _costs(network, forecaster, copy, region)

    return copies, wagers(forecaster, trials, costs)


def _costs(
    network: Network, forecaster: Forecaster, copy: Copy, start: Region
) -> CopyCosts:
    """Return what *copy* costs, and what a start in *start* waits without it."""
    remote_seconds = copy.duration.p50_ns / 1e9
    if copy.target != network.storage(start):
        # Not the storage nearest to it: a start has still to fetch it from there.
        saved_seconds = copy.saved_ns / 1e9
        remote_seconds = forecaster.policy.local_start_seconds + saved_seconds
    return CopyCosts(copy.transfer_bytes, remote_seconds)


def _stake(copies: dict[Row, Copy], found: Sequence[Wager]) -> _Stake | None:
    """Return what pays of *found*, or None when neither one nor all of them do."""
    ready = [wager for wager in found if wager.waits_for is None]
    if not ready:
        return None
    ready.sort(key=lambda wager: (-wager.bet.worth_bytes, wager.trial.region))
    stake = _Stake(copies[ready[0].trial.region], tuple(ready))
    return stake if stake.bet.worth_bytes >= 0 else None


def _candidate(
    network: Network,
    forecaster: Forecaster,
    image: Image,
    target: Region,
    stake: _Stake,
) -> Candidate:
    state, best = network.state, stake.wagers[0]
    starts = tuple(state.region_at(wager.trial.region) for wager in stake.wagers)
    known = best.trial.known
    learned = "start-forecast" if reports_starts(state) else "pull-forecast"
    reason = _REASONS.get(known, learned)
    said = CLASSES_SAID[known] + _after(network, best.trial)
    explanation = f"{stake.bet.probability:.0%} likely to start in {starts[0]}: {said}"
    return Candidate(
        image,
        stake.copy.source,
        target,
        tuple(sorted(starts)),
        stake.copy.transfer_bytes,
        stake.copy.duration,
        stake.copy.saved_ns,
        reason,
        explanation,
        _evidence(forecaster, stake),
        stake.bet.density,
    )


def _after(network: Network, trial: Trial) -> str:
    if trial.known in CERTAIN:
        return ""
    if trial.trigger == Trigger.PUSH:
        return "; since its push"
    region = network.state.region_at(Row(trial.trigger - Trigger.BY_REGION))
    return f"; since its first start in {region}"


def _evidence(forecaster: Forecaster, stake: _Stake) -> tuple[Factor, ...]:
    bet, policy, best = stake.bet, forecaster.policy, stake.wagers[0]
    factors = {
        "probability": bet.probability,
        "gain_bytes": bet.gain_bytes,
        "stake_bytes": bet.stake_bytes,
        "worth_bytes": bet.worth_bytes,
        "remote_start_seconds": best.costs.remote_seconds,
        "local_start_seconds": policy.local_start_seconds,
        "starts_per_burst": forecaster.starts_per_burst(best.trial),
        "kappa_bytes_per_second": policy.kappa_bytes_per_second,
    }
    for level in forecaster.levels(best.trial):
        factors[f"{level.name}_probability"] = level.probability
        if level.outcomes.total:
            factors[f"{level.name}_hits"] = level.outcomes.hits
            factors[f"{level.name}_outcomes"] = level.outcomes.total
    return factors_of(factors)
