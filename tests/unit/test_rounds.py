"""The planner's rounds: ticks for all services alike, and one look at all for each."""

import pytest

from placement.core.event import Event, TickPassed
from placement.core.oci import Repository
from placement.core.state import State
from placement.runtime.rounds import CLEARED_AT_ONCE, SWEPT_MAX, Rounds
from tests.builders import IAD, SECOND_NS, START_NS, TOPOLOGY, fold_in, folded, released
from tests.deciding import release

MINUTE_NS = 60 * SECOND_NS


def images_of(count: int) -> list[Event]:
    """Return pushes of *count* images, each of a repository of its own."""
    return [
        released(f"image-{n}", IAD, Repository(f"acme/app-{n}")) for n in range(count)
    ]


def ticked(rounds: Rounds, state: State, now_ns: int) -> Event:
    """Return the tick that is due, folded."""
    event = rounds.tick(state, now_ns)
    assert event is not None
    fold_in(state, event)
    return event


def test_all_services_tick_alike() -> None:
    """Whenever they began, and whenever in the minute they look."""
    one, other = Rounds(TOPOLOGY, 60), Rounds(TOPOLOGY, 60)
    minute_ns = START_NS // MINUTE_NS * MINUTE_NS

    first = one.tick(State(), minute_ns)

    assert first is not None
    assert first == other.tick(State(), minute_ns + MINUTE_NS - 1)
    assert first.region == TOPOLOGY.home
    assert first != other.tick(State(), minute_ns + MINUTE_NS)


def test_tick_that_is_folded_is_not_due_again() -> None:
    """Not before the next minute."""
    rounds, state = Rounds(TOPOLOGY, 60), State()
    minute_ns = START_NS // MINUTE_NS * MINUTE_NS

    ticked(rounds, state, minute_ns)

    assert rounds.tick(state, minute_ns + MINUTE_NS - 1) is None
    assert rounds.tick(state, minute_ns + MINUTE_NS) is not None


@pytest.mark.parametrize(("before", "after"), [(0.2, 60), (60, 0.2), (60, 3_600)])
def test_ticks_go_on_where_their_interval_changes(before: float, after: float) -> None:
    """An operator who slows them down must not stop them for years."""
    state = State()
    ticked(Rounds(TOPOLOGY, before), state, START_NS)

    later = Rounds(TOPOLOGY, after).tick(state, START_NS + round(after * SECOND_NS))

    assert later is not None
    assert isinstance(later.fact, TickPassed)


def test_each_tick_brings_one_look_at_everything() -> None:
    """All of it, in steps; then nothing until the next tick."""
    rounds, state = Rounds(TOPOLOGY, 60), folded(*images_of(SWEPT_MAX + 9))
    assert rounds.sweep(state) == []
    ticked(rounds, state, START_NS)

    first = rounds.sweep(state)
    between = rounds.idle
    rest = rounds.sweep(state)

    assert len(first) == SWEPT_MAX
    assert not between
    assert {due.placement for due in first + rest} == set(range(SWEPT_MAX + 9))
    assert rounds.sweep(state) == []


def test_one_region_a_tick_is_cleared_repository_by_repository() -> None:
    """So that no step takes long; another region has its turn at the next tick."""
    rounds, state = Rounds(TOPOLOGY, 60), folded(*images_of(CLEARED_AT_ONCE + 1))
    ticked(rounds, state, START_NS)
    rounds.sweep(state)

    region = rounds.clearing
    first, between = rounds.owners(state), rounds.idle
    rest, after = rounds.owners(state), rounds.idle
    ticked(rounds, state, START_NS + MINUTE_NS)
    rounds.sweep(state)

    assert (len(first), len(rest)) == (CLEARED_AT_ONCE, 1)
    assert (between, after) == (False, True)
    assert None not in {region, rounds.clearing}
    assert rounds.clearing != region


def test_another_state_is_looked_at_anew() -> None:
    """Its rows mean other things."""
    rounds, state = Rounds(TOPOLOGY, 60), folded(*release("v1"))
    ticked(rounds, state, START_NS)
    first = rounds.sweep(state)

    rounds.begin_again()

    assert first
    assert rounds.sweep(state) == first
