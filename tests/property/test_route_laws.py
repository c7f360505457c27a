"""Laws of routes: whatever was transferred, whenever it is asked."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from placement.core.event import TransferOutcome
from placement.core.routes import RoutePrior, RouteSample, fit, prior
from tests.builders import DAY_NS, HOUR_NS
from tests.strategies import examples

TIMES = st.integers(0, 40 * DAY_NS)
SAMPLES = st.builds(
    RouteSample,
    transferred_bytes=st.integers(0, 2**50),
    duration_ns=st.integers(0, 30 * DAY_NS),
    time_ns=TIMES,
    concurrency=st.integers(0, 64),
    outcome=st.sampled_from(
        [TransferOutcome.COMPLETED, TransferOutcome.FAILED, TransferOutcome.ABORTED]
    ),
)
HISTORIES = st.lists(SAMPLES, max_size=40)
PRIORS = st.integers(1_000, 2_000_000_000).map(prior)
SIZES = st.integers(0, 2**50)


@given(samples=HISTORIES, cold=PRIORS, now=TIMES, sizes=st.lists(SIZES, min_size=2))
@examples(300)
def test_more_bytes_never_shorten_an_estimate(
    samples: list[RouteSample], cold: RoutePrior, now: int, sizes: list[int]
) -> None:
    """Neither percentile falls with the bytes, and p90 is never below p50."""
    route = fit(samples, cold, now)
    durations = [route.duration(size) for size in sorted(sizes)]

    assert all(one.p50_ns <= next_.p50_ns for one, next_ in pairwise(durations))
    assert all(one.p90_ns <= next_.p90_ns for one, next_ in pairwise(durations))
    assert all(0 <= one.p50_ns <= one.p90_ns for one in durations)


@given(samples=HISTORIES, cold=PRIORS, now=TIMES)
@examples(200)
def test_fit_is_a_function_of_its_arguments(
    samples: list[RouteSample], cold: RoutePrior, now: int
) -> None:
    """The same samples, prior and time give the same route, bit for bit."""
    again = [RouteSample(*_values(one)) for one in samples]

    assert fit(samples, cold, now) == fit(tuple(again), cold, now)


@given(samples=HISTORIES, cold=PRIORS, now=TIMES, days=st.integers(0, 1_000))
@examples(200)
def test_only_ages_matter(
    samples: list[RouteSample], cold: RoutePrior, now: int, days: int
) -> None:
    """The same history on another day is the same route."""
    shift = days * DAY_NS
    later = [
        RouteSample(
            one.transferred_bytes,
            one.duration_ns,
            one.time_ns + shift,
            one.concurrency,
            one.outcome,
        )
        for one in samples
    ]

    assert fit(later, cold, now + shift) == fit(samples, cold, now)


@given(samples=HISTORIES, cold=PRIORS, now=TIMES)
@examples(200)
def test_traps_leave_no_trace(
    samples: list[RouteSample], cold: RoutePrior, now: int
) -> None:
    """Transfers that ended before one round trip are as if they had never been."""
    traps = RouteSample(5_000_000, cold.round_trip_ns - 1, now)
    mixed = [item for one in samples for item in (one, traps)]

    assert fit(mixed, cold, now) == fit(samples, cold, now)


@given(
    sizes=st.lists(st.integers(65_536, 10**9), min_size=3, max_size=32),
    cold=PRIORS,
    times=st.floats(0.3, 30),
    hours=st.integers(0, 24 * 40),
)
@examples(200)
def test_route_like_its_prior_but_slower_is_found(
    sizes: list[int], cold: RoutePrior, times: float, hours: int
) -> None:
    """Transfers that all take so many times as long are expected to, at any age."""
    usual = fit((), cold, 0)
    samples = [
        RouteSample(size, round(usual.duration(size).p50_ns * times), 0)
        for size in sizes
    ]

    route = fit(samples, cold, hours * HOUR_NS)

    for size in sizes:
        expected = usual.duration(size).p50_ns * times
        assert abs(route.duration(size).p50_ns / expected - 1) < 0.1


def _values(one: RouteSample) -> tuple[int, int, int, int, TransferOutcome]:
    return (
        one.transferred_bytes,
        one.duration_ns,
        one.time_ns,
        one.concurrency,
        one.outcome,
    )
