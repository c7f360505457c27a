"""What treatment changes: the mean, and an interval that keeps its promise."""

import math
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import pytest

from placement.core.reporting.lift import PAIRS_MIN, WAITED_MIN, Lift, lift

LOCAL_S = 0.33
RUNS = 500
TREATED = 400
COVERAGE_MIN = 0.93

Draw = Callable[[Random], float]


def test_mean_is_what_withheld_pairs_waited_more() -> None:
    """Positive where copies help; every pair counts, those that never started too."""
    found = lift([0.0, 0.0, 1.0, 1.0], [4.0, 0.0])

    assert found.mean == 1.5
    assert (found.treated_count, found.withheld_count) == (4, 2)


def test_order_of_the_pairs_means_nothing() -> None:
    """The same log gives the same interval, in whatever order it is read."""
    draws = Random(1)
    treated = [draws.expovariate(1) for _ in range(300)]
    withheld = [draws.lognormvariate(1, 1) for _ in range(40)]
    expected = lift(treated, withheld)

    draws.shuffle(treated)
    draws.shuffle(withheld)

    assert lift(treated, withheld) == expected


@pytest.mark.parametrize(
    ("treated", "withheld"),
    [
        ([], []),
        ([0.5] * 100, []),
        ([0.5] * 100, [2.0, 3.0] * 9),
        ([0.5] * (PAIRS_MIN - 1), [2.0, 3.0] * 50),
        ([0.0] * 100, [0.0] * 100),
        ([0.0] * 100, [0.0] * 96 + [5.0] * (WAITED_MIN - 1)),
        ([0.5] * 100, [2.0] * 100),
    ],
    ids=[
        "nothing",
        "none withheld",
        "few withheld",
        "few treated",
        "no starts",
        "few waits",
        "no spread",
    ],
)
def test_too_little_is_known_for_an_interval(
    treated: list[float], withheld: list[float]
) -> None:
    """Then it is from minus to plus infinity, which nobody can take for a figure."""
    found = lift(treated, withheld)

    assert (found.low, found.high) == (-math.inf, math.inf)
    assert not found.measured
    assert not found.sure


def test_effect_is_sure_when_zero_is_outside() -> None:
    """On either side; an interval that spans zero says that nothing is shown."""
    helps = lift([0.0, 0.3] * 200, [9.0, 11.0] * 20)
    harms = lift([9.0, 11.0] * 200, [0.0, 0.3] * 20)
    neither = lift([0.0, 8.0] * 200, [8.0, 0.0] * 20)

    assert helps.sure
    assert harms.sure
    assert harms.mean == -helps.mean
    assert neither.measured
    assert not neither.sure


def test_interval_is_plain_student_where_nothing_is_skewed() -> None:
    """Both samples are symmetric: it reaches as far down as up."""
    found = lift([1.0, 3.0] * 500, [5.0, 7.0] * 20)

    error = math.sqrt(1000 / 999 / 1000 + 40 / 39 / 40)
    reach = (found.high - found.low) / 2 / error
    assert found.mean == 4
    assert found.high - found.mean == pytest.approx(found.mean - found.low)
    # Student's quantile at 98.5 % is 2.2470 for 40 degrees of freedom, 2.2427 for 42.
    assert reach == pytest.approx(2.245, abs=0.004)


def test_interval_of_skewed_waits_reaches_further_up() -> None:
    """What was not drawn of the long waits can only be longer."""
    found = lift([0.0] * 500, [0.0] * 20 + [2.0] * 19 + [60.0])

    assert found.high - found.mean > 1.5 * (found.mean - found.low)


class Case(NamedTuple):
    """A kind of log: how likely a pair starts, its burst, and how waits vary."""

    probability: float
    burst: float
    spread: float
    """Of the logarithm of the wait, as of image sizes."""
    late: float
    """Share of the treated pairs whose copy was late."""
    withheld: int

    def wait_s(self, draws: Random, *, remote: bool) -> float:
        """Draw what a pair waits in all: nothing where nobody starts."""
        if draws.random() >= self.probability:
            return 0.0
        machines = 1
        while draws.random() < 1 - 1 / self.burst:
            machines += 1
        each_s = draws.lognormvariate(math.log(10), self.spread) if remote else LOCAL_S
        return machines * each_s

    @property
    def mean_s(self) -> float:
        """The mean wait of a pair whose image is far away."""
        one_s = 10 * math.exp(self.spread**2 / 2)
        return self.probability * self.burst * one_s

    @property
    def truth_s(self) -> float:
        """What a copy saves a pair in the mean."""
        local_s = self.probability * self.burst * LOCAL_S
        return (1 - self.late) * (self.mean_s - local_s)

    def lifts(self, seed: int) -> Iterator[Lift]:
        """Yield what is measured of logs of this kind."""
        draws = Random(seed)
        for _ in range(RUNS):
            treated = [
                self.wait_s(draws, remote=draws.random() < self.late)
                for _ in range(TREATED)
            ]
            withheld = [self.wait_s(draws, remote=True) for _ in range(self.withheld)]
            yield lift(treated, withheld)


@pytest.mark.parametrize(
    "case",
    [
        Case(0.3, 1, 0.9, 0.05, 20),
        Case(0.3, 4, 0.9, 0.05, 40),
        Case(0.6, 1, 0.5, 0.05, 40),
        Case(0.6, 2, 0.9, 0.05, 80),
        Case(0.9, 1, 0.9, 0.05, 40),
        Case(0.9, 4, 0.5, 0.5, 20),
    ],
    ids=str,
)
def test_interval_covers_the_truth(case: Case) -> None:
    """Few withheld pairs, many of them zero, the rest skewed: still 93 % at least.

    Welch's interval covers as little as 81 % of these.
    """
    found = list(case.lifts(seed=7))

    told = [one for one in found if one.measured]
    covered = sum(one.low <= case.truth_s <= one.high for one in told) / len(told)
    bias_s = sum(one.mean for one in found) / len(found) - case.truth_s
    assert len(told) > RUNS / 2
    assert covered >= COVERAGE_MIN
    assert abs(bias_s) < case.truth_s / 10


def test_no_effect_is_seldom_taken_for_one() -> None:
    """Where all copies come too late, at most 7 % of intervals leave zero out."""
    case = Case(0.6, 1, 0.9, late=1.0, withheld=40)
    found = list(case.lifts(seed=11))

    assert case.truth_s == 0
    assert sum(one.sure for one in found) / len(found) <= 1 - COVERAGE_MIN
