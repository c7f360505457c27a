"""The route estimator: known numbers, regimes, and what must not poison it."""

import math
import statistics
import timeit
from dataclasses import replace

import pytest

from placement.core.event import (
    ContentPulled,
    DurationNs,
    Fact,
    TransferMeasured,
    TransferOutcome,
)
from placement.core.routes import (
    RouteFit,
    RoutePrior,
    RouteSample,
    fit,
    prior,
    route_fit,
    route_samples,
)
from placement.core.state import State
from placement.core.topology import Region
from tests.builders import (
    AMS,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    NOWHERE,
    SECOND_NS,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    digest,
    event,
    folded,
    measured,
)

RTT_NS = 100_000_000
COLD = prior(RTT_NS)
MINUTE_NS = 60 * SECOND_NS
SIZE = 100_000_000
SIZES = (2_000_000, 90_000_000, 7_000_000, 400_000_000, 30_000_000)
"""In this order, again and again."""


def true_seconds(size_bytes: int) -> float:
    """A path that is faster than its prior: 0.9 s and 45 MB/s."""
    return 0.9 + size_bytes / 45e6


def sample(
    size_bytes: int, seconds: float, time_ns: int = 0, concurrency: int = 0
) -> RouteSample:
    """A completed transfer."""
    return RouteSample(size_bytes, round(seconds * 1e9), time_ns, concurrency)


def run(
    slowness: list[float], gap_ns: int = MINUTE_NS, start: int = 0
) -> list[RouteSample]:
    """Transfers over the path, each so many times as slow as usual."""
    found = []
    for number, times in enumerate(slowness, start):
        size = SIZES[number % len(SIZES)]
        found.append(sample(size, true_seconds(size) * times, number * gap_ns))
    return found


def slowness_seen(samples: list[RouteSample], now_ns: int | None = None) -> float:
    """How many times as slow as usual the fit takes the path to be."""
    now = samples[-1].time_ns if now_ns is None else now_ns
    return fit(samples, COLD, now).duration(SIZE).p50_ns / 1e9 / true_seconds(SIZE)


def ratio(route: RouteFit, size_bytes: int = SIZE) -> float:
    """The p90 over the p50."""
    duration = route.duration(size_bytes)
    return duration.p90_ns / duration.p50_ns


def test_prior_is_that_of_the_policy() -> None:
    """The start-up is 0.37 s and 11.3 round trips; the window limits the bandwidth."""
    assert prior(RTT_NS) == RoutePrior(1_500_000_000, 32e6, RTT_NS)
    assert prior(1_000_000).bytes_per_second == 80e6


def test_route_without_samples_is_the_cold_estimate() -> None:
    """Nothing measured: 0.37 s, 11.3 round trips, and the bytes; and a wide spread."""
    round_trip = TOPOLOGY.round_trip_ns(AMS, SYD) / 1e9
    cold_ns = (0.37 + 11.3 * round_trip + SIZE * round_trip / 3.2e6) * 1e9

    route = route_fit(State(), TOPOLOGY, AMS, SYD, 0)

    assert route.sample_count == 0
    assert route.effective_samples == 0
    assert route.duration(SIZE).p50_ns == pytest.approx(cold_ns, abs=20)
    assert route.duration(SIZE).p90_ns == pytest.approx(1.5 * cold_ns, abs=20)
    assert ratio(route) == pytest.approx(1.5)


def test_sample_that_meets_the_prior_changes_no_seconds() -> None:
    """By hand: 32 MB take 1.5 s and 1 s; a residual of 0 leaves both parameters."""
    route = fit([sample(32_000_000, 2.5)], COLD, 0)

    assert route.start_up_ns == pytest.approx(1.5e9)
    assert route.seconds_per_byte == pytest.approx(1 / 32e6)
    assert route.effective_samples == pytest.approx(1)


def test_small_misfit_is_shared_by_the_ridges() -> None:
    """By hand: one step for one sample of half start-up, half bytes, 10 % slow.

    With ridges (0.07/0.3)^2 and (0.07/0.5)^2 and x = (1/2, 1/2), the steps are to each
    other as the inverse ridges, and leave residual / (1 + x R^-1 x) unexplained.
    """
    ridges = (0.07 / 0.3) ** 2, (0.07 / 0.5) ** 2
    gain = sum(0.25 / ridge for ridge in ridges)

    route = fit([sample(48_000_000, 3.0 * math.exp(0.1))], COLD, 0)

    left = 0.1 - math.log(route.duration(48_000_000).p50_ns / 3e9)
    assert left == pytest.approx(0.1 / (1 + gain), rel=0.05)
    start_up = math.log(route.start_up_ns / 1.5e9)
    per_byte = math.log(route.seconds_per_byte * 32e6)
    assert per_byte / start_up == pytest.approx(ridges[0] / ridges[1], rel=0.1)


def test_clean_samples_are_learned() -> None:
    """Some transfers of several sizes tell start-up and bandwidth apart."""
    route = fit(run([1.0] * 10), COLD, 0)

    for size in (1_000_000, 30_000_000, 1_000_000_000):
        expected = route.duration(size).p50_ns / 1e9
        assert expected == pytest.approx(true_seconds(size), rel=0.04)


def test_evidence_narrows_the_spread_down_to_a_floor() -> None:
    """1.5 with nothing, less with one, near 5 % deviation with 32 that agree."""
    ratios = [ratio(fit(run([1.0] * count), COLD, 0)) for count in (0, 1, 3, 8, 32)]

    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] == pytest.approx(1.5)
    assert math.exp(1.2816 * 0.05) <= ratios[-1] < 1.1


def test_noise_widens_the_spread() -> None:
    """Transfers that disagree are no narrow promise."""
    noisy = [1.4 if number % 2 else 0.7 for number in range(20)]

    assert ratio(fit(run(noisy), COLD, 0)) > 1.35


@pytest.mark.parametrize("gap_ns", [0, MINUTE_NS, HOUR_NS, DAY_NS])
def test_tenfold_degradation_is_left_and_found_again(gap_ns: int) -> None:
    """Two slow transfers are enough, however far apart; and two good ones."""
    slow = run([1.0] * 20 + [10.0] * 2, gap_ns)
    slower = run([1.0] * 20 + [10.0] * 5, gap_ns)
    healed = run([1.0] * 20 + [10.0] * 5 + [1.0] * 2, gap_ns)

    assert slowness_seen(run([1.0] * 20 + [10.0], gap_ns)) < 1.2
    assert slowness_seen(slow) > 8
    assert slowness_seen(slower) > 8
    assert slowness_seen(healed) < 1.2


def test_path_that_was_left_is_tried_again_later() -> None:
    """Two slow transfers of 22 do not condemn a route that nobody uses any more."""
    samples = run([1.0] * 20 + [10.0] * 2)
    last_ns = samples[-1].time_ns

    assert slowness_seen(samples, last_ns + HOUR_NS // 2) > 8
    assert slowness_seen(samples, last_ns + 3 * HOUR_NS) < 1.2


def test_route_used_once_a_day_forgets_nothing_it_needs() -> None:
    """A half-life of an hour would leave 2^-24 of yesterday: a handful stays."""
    daily = run([1.0] * 8, DAY_NS)
    burst = run([1.0] * 8, SECOND_NS)

    for samples in (daily, burst):
        route = fit(samples, COLD, samples[-1].time_ns + DAY_NS)
        expected = route.duration(SIZE).p50_ns / 1e9
        assert expected == pytest.approx(true_seconds(SIZE), rel=0.04)
        assert route.effective_samples > 2


def test_older_hour_counts_less() -> None:
    """Where there is enough of the newest hour, the day before says little."""
    before = run([1.5] * 10)
    now = [
        replace(one, time_ns=one.time_ns + DAY_NS) for one in run([1.0] * 6, start=10)
    ]

    assert slowness_seen([*before, *now]) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(
    "trap",
    [
        sample(
            3_000_000, 0.02
        ),  # a send buffer on a warm connection: below a round trip
        sample(900_000_000, 0.5),  # faster than twenty times the prior
        sample(574, 0.0075),  # a manifest
        sample(30_000, 0.11),  # small: says nothing of the bandwidth
        RouteSample(5_000_000, 300_000_000, 0, 0, TransferOutcome.ABORTED),
        RouteSample(5_000_000, 300_000_000, 0, 0, TransferOutcome.FAILED),
        RouteSample(0, 300_000_000, 0),
        RouteSample(5_000_000, 0, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("count", [1, 3])
def test_trap_does_not_poison(trap: RouteSample, count: int) -> None:
    """What looks far too fast, or ended early, leaves the expected seconds alone."""
    clean = run([1.0] * 8)
    last_ns = clean[-1].time_ns
    traps = [replace(trap, time_ns=last_ns + number) for number in range(count)]

    route, poisoned = fit(clean, COLD, last_ns), fit([*clean, *traps], COLD, last_ns)

    expected = route.duration(SIZE).p50_ns
    assert poisoned.duration(SIZE).p50_ns == pytest.approx(expected, rel=0.02)


def test_trap_alone_is_the_prior() -> None:
    """A route of which only warm connections were seen is not known."""
    route = fit([sample(3_000_000, 0.02)] * 5, COLD, 0)

    assert route == fit((), COLD, 0)


def test_one_outlier_changes_little() -> None:
    """One slow transfer among others is luck."""
    slowness = [1.0] * 6 + [6.0] + [1.0] * 2

    assert slowness_seen(run(slowness)) == pytest.approx(1, abs=0.05)


def test_failure_raises_only_what_is_below_it() -> None:
    """It would have taken at least so long: news only where less was expected."""
    clean = run([1.0] * 3)
    failed = TransferOutcome.FAILED
    soon = RouteSample(SIZE, SECOND_NS, clean[-1].time_ns, outcome=failed)
    late = RouteSample(SIZE, 60 * SECOND_NS, clean[-1].time_ns, outcome=failed)

    assert slowness_seen([*clean, soon]) == pytest.approx(slowness_seen(clean), rel=0.1)
    assert slowness_seen([*clean, late]) >= slowness_seen(clean) * 0.99
    assert slowness_seen([*clean, late, late]) > 8


def test_failures_alone_raise_the_prior() -> None:
    """A route of which only time-outs are known is slow."""
    failed = RouteSample(SIZE, 60 * SECOND_NS, 0, outcome=TransferOutcome.FAILED)

    assert fit([failed] * 2, COLD, 0).duration(SIZE).p50_ns > 40 * SECOND_NS


def test_sharing_a_path_explains_slowness() -> None:
    """Four transfers at once over a full path, each a quarter as fast: as the prior."""
    size = 64_000_000
    shared = [sample(size, 1.5 + 4 * size / 32e6, 0, 4) for _ in range(8)]
    unknown = [replace(one, concurrency=0) for one in shared]

    assert fit(shared, COLD, 0).duration(size).p50_ns == pytest.approx(3.5e9, rel=0.01)
    assert fit(unknown, COLD, 0).duration(size).p50_ns > 8 * SECOND_NS


def test_sharing_a_wide_path_is_not_corrected() -> None:
    """Transfers that do not slow each other down are not called four times as fast."""
    size = 64_000_000
    shared = [sample(size, 3.5, 0, 4) for _ in range(8)]

    assert fit(shared, COLD, 0).duration(size).p50_ns == pytest.approx(3.5e9, rel=0.01)


def test_only_the_last_transfers_count() -> None:
    """As many as the fold keeps."""
    samples = run([1.0] * 40)

    assert fit(samples, COLD, 0) == fit(samples[-32:], COLD, 0)
    assert fit(samples, COLD, 0).sample_count == 32


def test_route_samples_come_as_they_arrived() -> None:
    """The ring is read from the oldest on, whatever slot that is in."""
    facts: list[Fact] = [
        TransferMeasured(
            AMS, 1_000 + number, DurationNs(5_000), 2, TransferOutcome.FAILED
        )
        for number in range(40)
    ]
    pulled = ContentPulled(
        digest=digest("a"),
        repository=WEB,
        source_region=AMS,
        transferred_bytes=77,
        pull_duration_ns=DurationNs(6_000),
    )
    state = folded(*(event(FRA, fact) for fact in [*facts, pulled]))

    samples = route_samples(state, AMS, FRA)

    sizes = [one.transferred_bytes for one in samples]
    assert sizes == [*range(1_009, 1_040), 77]
    assert samples[0].outcome is TransferOutcome.FAILED
    assert samples[0].concurrency == 2
    assert samples[-1].duration_ns == 6_000
    assert samples[-1].outcome is TransferOutcome.COMPLETED


@pytest.mark.parametrize("pair", [(IAD, FRA), (FRA, AMS), (AMS, NOWHERE)])
def test_route_that_was_never_used_has_no_samples(pair: tuple[Region, Region]) -> None:
    """Nor has the way back."""
    fact = TransferMeasured(AMS, 1_000, DurationNs(5_000))
    state = folded(event(FRA, fact))

    assert route_samples(state, *pair) == ()
    assert len(route_samples(state, AMS, FRA)) == 1


def test_absurd_sizes_stay_within_what_can_be_said() -> None:
    """The longest duration that the API can say is the longest."""
    duration = fit((), COLD, 0).duration(2**63)

    assert 0 < duration.p50_ns <= duration.p90_ns <= 36_500 * DAY_NS


def test_fit_is_fast_enough_to_be_made_when_asked() -> None:
    """Some 150 microseconds for 32 samples; ten times that is a bug, not a slow day."""
    samples = run([1.0] * 32)

    seconds = timeit.repeat(lambda: fit(samples, COLD, 0), number=20, repeat=5)

    assert statistics.median(seconds) / 20 < 1.5e-3


def test_fast_network_within_a_region_is_believed() -> None:
    """A gigabyte in a third of a second was seen in the wild, within a region."""
    state = folded(*[measured(SYD, SYD, 1_000_000_000, 0.33) for _ in range(3)])

    fit = route_fit(state, TOPOLOGY, SYD, SYD, START_NS + HOUR_NS)

    assert fit.sample_count == 3
    assert fit.duration(1_000_000_000).p50_ns < 0.5e9
