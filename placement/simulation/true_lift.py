"""What the control group of a closed loop measures, and what it should have measured.

The truth is worked out for the pairs that were treated: what each start waited, beside
what it would have waited if its own version had not been copied to it. Since lots were
drawn, their mean is that of all pairs; the estimate from the log is held against it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from placement.core.decisions import decision_at
from placement.core.folds.bursts import BURST_NS
from placement.core.folds.payoff import OUTCOME_NS
from placement.core.oci import Digest, Repository
from placement.core.reporting.lift import Lift, lift
from placement.core.reporting.pairs import Arm, Pair, pair_of
from placement.core.state import State
from placement.core.tables.table import Row
from placement.core.topology import Region
from placement.simulation.loop_starts import ToldStart

PairKey = tuple[Repository, Digest, Region]
"""A version, and the storage region that its copy was for."""


class TrueLift(NamedTuple):
    """The mean over *pair_count* pairs of what a copy spares their starts, seconds."""

    mean_s: float
    pair_count: int


def decided_pairs(state: State) -> dict[PairKey, Pair]:
    """Return the pairs that a log tells of, each with the decision that counts."""
    found: dict[PairKey, Pair] = {}
    for number in range(len(state.decisions)):
        decision = decision_at(state, Row(number))
        pair = None if decision.removal else pair_of(state, decision)
        if pair is not None:
            version = state.placement_at(pair.told.placement)
            found[*version, decision.target] = pair
    return found


def measured_lift(state: State) -> Lift:
    """Return what withheld pairs waited more than treated ones, with its interval."""
    waits: dict[Arm, list[float]] = {arm: [] for arm in Arm}
    for arm, told in decided_pairs(state).values():
        waits[arm].append(told.wait_ns / 1e9)
    return lift(waits[Arm.TREATED], waits[Arm.WITHHELD])


def true_lift(state: State, told: Iterable[ToldStart]) -> TrueLift:
    """Return the truth about the pairs of a loop that were treated.

    The starts that count are those that the log counts: the first burst after a pair
    was decided about, in the regions that its copy was for.
    """
    starts: defaultdict[PairKey, list[ToldStart]] = defaultdict(list)
    for one in told:
        version, region = one.wait.start.version, one.wait.start.region
        starts[version.repository, version.digest, region].append(one)
    count, total_s = 0, 0.0
    for (repository, digest, _), (arm, decision) in decided_pairs(state).items():
        if arm is not Arm.TREATED:
            continue
        count += 1
        found = [
            one
            for region in decision.start_regions
            for one in starts[repository, digest, region]
            if 0 <= one.time_ns - decision.time_ns <= OUTCOME_NS
        ]
        until_ns = min((one.time_ns for one in found), default=0) + BURST_NS
        burst = [one for one in found if one.time_ns <= until_ns]
        total_s += sum(one.without.wait_s - one.wait.wait_s for one in burst)
    return TrueLift(total_s / count if count else 0.0, count)
