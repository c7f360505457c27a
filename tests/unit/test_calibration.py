"""The service's own estimates against what starts observed, counted by route."""

from dataclasses import replace

import pytest

from placement.core.event import (
    CacheKind,
    DurationNs,
    Event,
    Identifier,
    MachineStarted,
)
from placement.core.topology import Region
from tests.builders import (
    AMS,
    DAY_NS,
    FRA,
    START_NS,
    WEB,
    A,
    event,
    folded,
    measured,
    seconds,
)
from tests.images import network


def waited(  # noqa: PLR0913 - whatever a start can tell
    wait: float | None,
    p50: float | None = 2.0,
    p90: float | None = 3.0,
    *,
    source: Region | None = AMS,
    cache: CacheKind = CacheKind.UNSPECIFIED,
    machine: str = "m1",
    at_ns: int | None = None,
) -> Event:
    """Return a start in Frankfurt with its waits in seconds."""

    def told(value: float | None) -> DurationNs | None:
        return None if value is None else seconds(value)

    fact = MachineStarted(A, WEB, Identifier(machine), cache=cache)
    fact = replace(
        fact,
        image_wait_ns=told(wait),
        source_region=source,
        expected_wait_p50_ns=told(p50),
        expected_wait_p90_ns=told(p90),
    )
    return event(FRA, fact, at_ns)


def test_waits_are_counted_below_what_was_expected() -> None:
    """A wait as long as expected is not longer."""
    state = folded(*(waited(wait) for wait in (1.0, 2.0, 2.5, 3.0, 3.1)))

    assert network(state).calibration(AMS, FRA) == (5, 2, 4)
    assert network(state).calibration(FRA, AMS) == (0, 0, 0)


@pytest.mark.parametrize(
    "told",
    [
        waited(None),
        waited(1.0, p50=None),
        waited(1.0, p90=None),
        waited(1.0, cache=CacheKind.HOST),
    ],
    ids=["no wait", "no p50", "no p90", "host cache"],
)
def test_start_that_does_not_tell_all_is_no_sample(told: Event) -> None:
    """Nor does a host that had the image say anything of a route."""
    assert network(folded(told)).calibration(AMS, FRA) == (0, 0, 0)


def test_start_without_a_source_counts_for_its_own_region() -> None:
    """Its storage was beside it, as far as anybody told."""
    state = folded(waited(1.0, source=None))

    assert network(state).calibration(FRA, FRA) == (1, 1, 1)


def test_late_news_of_a_start_is_a_sample_like_any_other() -> None:
    """Truth does not age, demand does."""
    state = folded(waited(1.0, at_ns=START_NS - 3 * DAY_NS))

    assert network(state).calibration(AMS, FRA) == (1, 1, 1)


def test_pairs_and_counts_of_the_network_are_those_that_were_observed() -> None:
    """Only pairs of the catalogue, in order, with every transfer ever seen."""
    state = folded(
        *(measured(FRA, AMS, 1_000_000, 1.0) for _ in range(40)),
        measured(AMS, FRA, 1_000_000, 1.0),
        measured(Region("nowhere"), FRA, 1_000_000, 1.0),
    )
    found = network(state)

    assert found.observed() == [(AMS, FRA), (FRA, AMS)]
    assert found.transfer_count(FRA, AMS) == 40
    assert found.transfer_count(FRA, FRA) == 0
    assert found.route(FRA, AMS).sample_count == 32
