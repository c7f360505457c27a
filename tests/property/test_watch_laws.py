"""Laws of watching: whatever happens meanwhile, a bookmark is the state."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from placement.core.chunks import load, take_dirty
from placement.core.event import (
    ContentAnnounced,
    ContentEvicted,
    ContentReplicated,
    InventoryTaken,
    RecordedMessage,
    TagMoved,
)
from placement.core.fold import fold
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables.changes import Changes
from placement.core.watched import Interest, SnapshotReason
from placement.runtime.view import View
from placement.runtime.watcher import Watcher, WatchSettings, parse_watch_token
from tests.builders import AMS, FRA, START_NS, folded_log
from tests.strategies import FACT_STRATEGIES, examples, image_facts, logs
from tests.watching import Listener, expected

REGIONS = [frozenset[str](), frozenset({AMS}), frozenset({AMS, FRA})]
PREFIXES = [(), (Repository("acme"),), (Repository("api"), Repository("a"))]
TOLD = (ContentAnnounced, ContentEvicted, ContentReplicated, InventoryTaken, TagMoved)
LOGS = logs(
    of=st.one_of(image_facts(), *(FACT_STRATEGIES[fact] for fact in TOLD)), most=20
)

interests: st.SearchStrategy[Interest] = st.builds(
    Interest,
    st.sampled_from(REGIONS),
    st.sampled_from(PREFIXES),
    tags=st.booleans(),
)
pauses: st.SearchStrategy[list[int]] = st.lists(st.integers(0, 3), max_size=40)
"""How many messages are folded before each step of the watcher."""


def new_view(state: State, epoch: str = "e") -> View:
    """Return a view of *state* with a clock that stands still."""
    view = View(lambda: START_NS)
    view.replace(state, epoch, restored=False)
    return view


def fold_some(view: View, log: list[RecordedMessage], count: int) -> None:
    """Fold the next *count* messages of *log*, and drop them there."""
    for item in log[:count]:
        fold(view.state, item)
    del log[:count]
    view.advanced()


def follow(  # noqa: PLR0913, PLR0917 - what a watch depends on
    view: View,
    interest: Interest,
    listener: Listener,
    log: list[RecordedMessage],
    counts: Sequence[int],
    batch_item_count: int = 1,
) -> None:
    """Watch, so many messages of *log* folded before each step; check each bookmark."""

    def check() -> None:
        found = (listener.placements, listener.tags)
        assert found == expected(view.state, interest)
        assert listener.bookmarks[-1].sequence == view.state.sequence

    resume = parse_watch_token(listener.token) if listener.token else None
    settings = WatchSettings(batch_item_count=batch_item_count, slice_s=60)
    watcher = Watcher(view, interest, resume, settings, lambda: 0.0)
    for count in counts:
        fold_some(view, log, count)
        listener.hear(watcher.step(), check)


def knows(listener: Listener, view: View, interest: Interest) -> bool:
    """Say whether a watcher that was told all there is knows what it should."""
    found = (listener.placements, listener.tags)
    return not listener.in_snapshot and found == expected(view.state, interest)


def to_the_end(log: list[RecordedMessage]) -> list[int]:
    """Return steps that fold all of *log* and leave nothing to tell, item by item."""
    return [len(log), *[0] * 400]


@examples(80)
@given(LOGS, interests, pauses, st.integers(1, 4))
def test_what_was_told_by_a_bookmark_is_the_state(
    log: list[RecordedMessage],
    interest: Interest,
    counts: list[int],
    batch_item_count: int,
) -> None:
    """Snapshot and changes, however the fold runs on between the slices."""
    view, listener = new_view(State()), Listener()
    counts = [*counts, *to_the_end(log)]

    follow(view, interest, listener, log, counts, batch_item_count)

    assert knows(listener, view, interest)
    assert listener.reasons == [SnapshotReason.REQUESTED]


@examples(80)
@given(LOGS, interests, st.lists(pauses, max_size=4))
def test_watcher_that_comes_back_goes_on_without_a_snapshot(
    log: list[RecordedMessage], interest: Interest, visits: list[list[int]]
) -> None:
    """It forgets what it heard after its last bookmark, and is told that again."""
    view, listener = new_view(State()), Listener()
    follow(view, interest, listener, log, [0, 0])

    for counts in [*visits, to_the_end(log)]:
        fold_some(view, log, 1)
        listener = listener.back()
        follow(view, interest, listener, log, counts)
        assert listener.reasons == []

    assert knows(listener, view, interest)


@examples(80)
@given(LOGS, interests, st.lists(pauses, max_size=4), st.integers(1, 6))
def test_watcher_that_is_too_far_behind_is_told_so_and_told_all(
    log: list[RecordedMessage],
    interest: Interest,
    visits: list[list[int]],
    capacity: int,
) -> None:
    """With room for a few notes only, nobody ends with a wrong picture."""
    state = State()
    state.indexes.changes = Changes(capacity)
    view, listener = new_view(state), Listener()

    for counts in [*visits, to_the_end(log)]:
        listener = listener.back()
        follow(view, interest, listener, log, counts)
        assert set(listener.reasons) <= {
            SnapshotReason.COMPACTED,
            SnapshotReason.REQUESTED,
        }

    assert knows(listener, view, interest)


@examples(50)
@given(LOGS, interests, st.data())
def test_service_that_restarts_further_back_tells_nothing_old(
    log: list[RecordedMessage], interest: Interest, data: st.DataObject
) -> None:
    """A checkpoint lags behind: the watcher waits until the fold is where it was."""
    heard = data.draw(st.integers(1, len(log)), label="heard")
    saved = data.draw(st.integers(0, heard), label="saved")
    before, listener = new_view(folded_log(log[:heard])), Listener()
    follow(before, interest, listener, [], to_the_end([]))
    known = listener.bookmarks[-1].sequence
    view, again = new_view(restored(log[:saved])), listener.back()

    follow(view, interest, again, log[saved:], [1] * (len(log) + 400))

    assert all(mark.sequence >= known for mark in again.bookmarks)
    assert again.bookmarks
    assert knows(again, view, interest)
    assert SnapshotReason.REPLACED not in again.reasons


def restored(log: Sequence[RecordedMessage]) -> State:
    """Return what *log* folds to as a checkpoint gives it back."""
    state, again = folded_log(log), State()
    load(again, take_dirty(state))
    again.sequence, again.store_time_ns = state.sequence, state.store_time_ns
    return again


@examples(50)
@given(LOGS, LOGS, interests, pauses, pauses)
def test_another_state_is_told_from_its_start(
    old: list[RecordedMessage],
    new: list[RecordedMessage],
    interest: Interest,
    first: list[int],
    second: list[int],
) -> None:
    """Swapped under an open watch, in a snapshot or after it, under another epoch."""
    view, listener = new_view(State()), Listener()
    settings = WatchSettings(batch_item_count=1, slice_s=60)
    watcher = Watcher(view, interest, None, settings, lambda: 0.0)
    for count in first:
        fold_some(view, old, count)
        listener.hear(watcher.step())

    view.replace(folded_log(new[:1]), "e~1", restored=False)
    del new[:1]
    for count in [*second, *to_the_end(new)]:
        fold_some(view, new, count)
        listener.hear(watcher.step())

    assert knows(listener, view, interest)
    assert listener.token.startswith("w1.e~1.")
    assert listener.reasons[-1] is (
        SnapshotReason.REPLACED if first else SnapshotReason.REQUESTED
    )
