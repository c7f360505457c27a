"""Routes that are kept: they are what a fit of now would be, and cost little."""

from placement.core.event import DurationNs, Event, TransferMeasured
from placement.core.network import Network
from placement.core.state import State
from placement.core.ways import (
    AGED_EVERY_NS,
    FIT_EVERY_NS,
    FITS_BURST,
    Ways,
)
from tests.builders import (
    AMS,
    FRA,
    IAD,
    SECOND_NS,
    START_NS,
    TOPOLOGY,
    event,
    fold_in,
    folded,
)

NOW_NS = START_NS + AGED_EVERY_NS // 3


def transfer(seconds: int) -> Event:
    """Return what a transfer from ams to fra took."""
    return event(
        FRA, TransferMeasured(AMS, 50_000_000, DurationNs(seconds * SECOND_NS))
    )


def test_kept_route_is_the_one_that_a_fit_of_now_gives() -> None:
    """After each transfer, and after each minute; of routes without any, too."""
    state = folded(transfer(3))
    kept = Ways(state, TOPOLOGY)

    for number in range(20):
        now_ns = NOW_NS + number * AGED_EVERY_NS // 2
        for source in (AMS, IAD):
            found = Network(state, TOPOLOGY, now_ns, kept).route(source, FRA)
            assert found == Network(state, TOPOLOGY, now_ns).route(source, FRA)
        fold_in(state, transfer(number + 1))


def test_first_transfer_of_a_route_is_noticed() -> None:
    """What was a guess from the distance is learned from now on."""
    state = State()
    kept = Ways(state, TOPOLOGY)
    guess = kept.way(AMS, FRA, NOW_NS).fit

    fold_in(state, transfer(60))

    assert kept.way(AMS, FRA, NOW_NS).fit != guess
    assert kept.way(AMS, FRA, NOW_NS).fit.sample_count == 1


def test_routes_that_change_all_the_time_are_fitted_now_and_then() -> None:
    """After a burst one more is fitted each hundredth of a second, and none before."""
    state = folded(transfer(1))
    kept = Ways(state, TOPOLOGY)
    kept.way(AMS, FRA, NOW_NS)
    for _ in range(FITS_BURST):
        fold_in(state, transfer(2))
        kept.way(AMS, FRA, NOW_NS)
    fold_in(state, transfer(9))
    current = Network(state, TOPOLOGY, NOW_NS).route(AMS, FRA)

    early = kept.way(AMS, FRA, NOW_NS + FIT_EVERY_NS - 1).fit
    due = kept.way(AMS, FRA, NOW_NS + FIT_EVERY_NS).fit

    assert early != current
    assert due == current
