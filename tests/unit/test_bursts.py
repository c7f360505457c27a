"""How many machines start together: counted by app and region, weighed when asked."""

import pytest

from placement.core.folds.bursts import BURST_NS, burst_counts
from placement.core.forecast import Forecaster, Trial
from placement.core.oci import Tag
from placement.core.policy import DEFAULT, Policy
from placement.core.state import State
from placement.core.tables.cells import StartClass
from placement.core.tables.outcomes import Trigger
from placement.core.tables.table import Row
from tests.builders import (
    AMS,
    FRA,
    MANIFEST,
    START_NS,
    SYD,
    WEB,
    folded_log,
    message,
    pushed,
    started,
)


def burst(*delays_ns: int) -> State:
    """Return a state after one version's starts, so long after the first of them."""
    push = pushed("a", AMS, media_type=MANIFEST, tag=Tag("v1"))
    starts = [
        message(
            number,
            started("a", SYD, machine=f"m{number}"),
            store_time_ns=START_NS + delay_ns,
        )
        for number, delay_ns in enumerate(delays_ns, 2)
    ]
    return folded_log([message(1, push, store_time_ns=START_NS - 1), *starts])


def rows(state: State) -> tuple[Row, Row]:
    """Return the rows of the app and of its start region."""
    app = state.app_of(state.find_repository(WEB))
    return app, state.regions.find(SYD.encode())


def test_starts_of_the_first_minute_are_one_burst() -> None:
    """Three machines wait for the same image; a restart next day does not."""
    state = burst(0, 1, BURST_NS, BURST_NS + 1)

    assert burst_counts(state, *rows(state)) == (1, 3)


def test_app_that_never_started_has_no_burst() -> None:
    """Nor has one in another region."""
    state = burst(0)
    app, _ = rows(state)

    assert burst_counts(state, app, state.region_row(FRA)) == (0, 0)


def test_bursts_are_drawn_towards_what_is_presumed() -> None:
    """One burst of three beside three presumed ones of one machine."""
    state = burst(0, 1, 2)
    app, region = rows(state)
    trial = Trial(app, region, Trigger.PUSH, Row(0), StartClass.MEMBER)

    usual = Forecaster(state, DEFAULT).starts_per_burst(trial)
    sure = Forecaster(state, Policy(burst_weight=1e-3)).starts_per_burst(trial)

    assert usual == pytest.approx((3 + 3) / (1 + 3))
    assert sure == pytest.approx(3, rel=0.01)
