"""One watcher, step by step, and the hub that lets it in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from placement.core.errors import TokenInvalidError
from placement.core.fold import FOLD_VERSION, fold_steps
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables.changes import Changes
from placement.core.watched import (
    Bookmark,
    Interest,
    SnapshotEnded,
    SnapshotReason,
    Watched,
    WatchedPlacement,
)
from placement.runtime.view import ServingState, View
from placement.runtime.watch import SnapshotLimitError, WatchHub, WatchLimitError
from placement.runtime.watcher import (
    Batch,
    Watcher,
    WatchSettings,
    WatchToken,
    parse_watch_token,
)
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    START_NS,
    WEB,
    fold_in,
    folded,
    message,
    pushed,
    replicated,
    started,
)
from tests.watching import Listener, expected

ALL = Interest()
EPOCH = "e.1~2"


class Stand:
    """A view, a clock in seconds, and watchers of it."""

    def __init__(self, state: State | None = None, epoch: str = EPOCH) -> None:
        """Show *state*."""
        self.now_s = 0.0
        self.view = View(lambda: START_NS)
        self.view.replace(state or State(), epoch, restored=False)

    def watcher(
        self,
        interest: Interest = ALL,
        resume: WatchToken | None = None,
        settings: WatchSettings | None = None,
    ) -> Watcher[Watched]:
        """Return a watcher that was told nothing yet."""
        chosen = settings or WatchSettings()
        return Watcher(self.view, interest, resume, chosen, lambda: self.now_s)

    def at(self, sequence: int) -> WatchToken:
        """Return the token of a bookmark at *sequence*."""
        return WatchToken(EPOCH, FOLD_VERSION, sequence)


def placements(batch: Batch) -> list[WatchedPlacement]:
    """Return the placements in a batch."""
    return [item for item in batch if isinstance(item, WatchedPlacement)]


def marks(batch: Batch) -> list[int]:
    """Return the sequences of the bookmarks in a batch."""
    return [item.sequence for item in batch if isinstance(item, Bookmark)]


# Bookmarks.


def test_bookmark_follows_each_round_and_then_every_ten_seconds() -> None:
    """A round without anything to tell has none, until it is time."""
    stand = Stand(folded(pushed("a", IAD)))
    watcher = stand.watcher()
    first = watcher.step()

    fold_in(stand.view.state, started("a", FRA))
    uninteresting = watcher.step()
    stand.now_s = 9.4
    early = watcher.step()
    stand.now_s = 9.5
    due = watcher.step()

    assert marks(first) == [1]
    assert (uninteresting, early) == ((), ())
    assert marks(due) == [2]


def test_many_changes_that_are_none_of_its_business_are_bookmarked() -> None:
    """Else its token would be forgotten before it is of use."""
    stand = Stand()
    settings = WatchSettings(bookmark_note_count=3)
    watcher = stand.watcher(Interest(prefixes=(WEB,)), settings=settings)
    watcher.step()

    found = []
    for name in "abcdef":
        fold_in(stand.view.state, pushed(name, IAD, API))
        found.extend(marks(watcher.step()))

    assert found == [3, 6]


def test_nothing_is_bookmarked_in_the_middle_of_a_message() -> None:
    """What is told then is no state at any sequence; the rest follows."""
    stand = Stand()
    watcher = stand.watcher()
    watcher.step()
    two = message(1, pushed("a", IAD), pushed("b", IAD))

    steps = fold_steps(stand.view.state, two)
    next(steps)
    half = watcher.step()
    list(steps)
    whole = watcher.step()

    assert (len(placements(half)), marks(half)) == (1, [])
    assert (len(placements(whole)), marks(whole)) == (1, [1])


def test_slow_reader_is_told_how_things_look_by_then() -> None:
    """Three changes of one placement are told as one."""
    stand = Stand()
    watcher = stand.watcher()
    watcher.step()

    fold_in(stand.view.state, pushed("a", IAD), replicated("a", FRA))
    fold_in(stand.view.state, replicated("a", AMS))
    (told,) = placements(watcher.step())

    assert [replica.region for replica in told.replicas] == [AMS, FRA, IAD]


# Snapshots.


def test_snapshot_in_slices_is_whole_with_what_changed_meanwhile() -> None:
    """Rows that came behind the reader, and rows that changed before it."""
    stand = Stand(folded(*(pushed(name, IAD) for name in "abcd")))
    watcher = stand.watcher(settings=WatchSettings(batch_item_count=2))
    listener = Listener()

    listener.hear(watcher.step())
    fold_in(stand.view.state, replicated("a", FRA), pushed("e", IAD))
    while not listener.bookmarks:
        assert not watcher.idle
        listener.hear(watcher.step())

    assert (listener.placements, {}) == expected(stand.view.state, ALL)
    assert listener.bookmarks[0].sequence == 6


def test_slice_ends_with_its_time() -> None:
    """A long snapshot lets others in, however few of its rows are meant."""
    stand = Stand(folded(*(pushed(name, IAD, API) for name in "abcd")))
    settings = WatchSettings(slice_s=1.0)
    watcher = Watcher(
        stand.view, Interest(prefixes=(WEB,)), None, settings, Ticking(0.6)
    )

    steps = 0
    while not any(isinstance(item, SnapshotEnded) for item in watcher.step()):
        steps += 1

    assert steps == 2


class Ticking:
    """A clock that moves by being read."""

    def __init__(self, step_s: float) -> None:
        """Begin at 0."""
        self._now_s, self._step_s = 0.0, step_s

    def __call__(self) -> float:
        """Return the time, in seconds."""
        self._now_s += self._step_s
        return self._now_s


def test_service_that_never_reached_its_log_tells_its_state_only() -> None:
    """There is no epoch that a token could be of."""
    stand = Stand(epoch="")
    watcher = stand.watcher()

    before = watcher.step()
    stand.view.replace(folded(pushed("a", IAD)), EPOCH, restored=True)
    after = watcher.step()

    assert len(before) == 1
    assert len(placements(after)) == 1
    assert marks(after) == [1]


# Coming back.


def test_watcher_that_knows_more_waits_until_the_fold_is_there() -> None:
    """A service that restarted from its checkpoint is behind its own watchers."""
    stand = Stand(folded(pushed("a", IAD)))
    watcher = stand.watcher(resume=stand.at(3))
    listener = Listener()

    listener.hear(watcher.step())
    fold_in(stand.view.state, replicated("a", FRA))
    listener.hear(watcher.step())
    assert listener.told == 0
    fold_in(stand.view.state, started("a", FRA), replicated("a", AMS))
    listener.hear(watcher.step())

    assert listener.told == 1
    assert [mark.sequence for mark in listener.bookmarks] == [4]
    assert listener.reasons == []


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (WatchToken(EPOCH, FOLD_VERSION, 0), SnapshotReason.COMPACTED),
        (WatchToken(EPOCH, FOLD_VERSION + 1, 5), SnapshotReason.REPLACED),
        (WatchToken("e.1~1", FOLD_VERSION, 5), SnapshotReason.REPLACED),
    ],
    ids=["too old", "folded otherwise", "another log"],
)
def test_token_that_cannot_go_on_gets_a_snapshot_with_the_reason(
    token: WatchToken, reason: SnapshotReason
) -> None:
    """Never an error, and never changes that do not fit."""
    state = State()
    state.indexes.changes = Changes(capacity=2)
    fold_in(state, *(pushed(name, IAD) for name in "abcde"))
    stand, listener = Stand(state), Listener()

    listener.hear(stand.watcher(resume=token).step())

    assert listener.reasons == [reason]
    assert (listener.placements, {}) == expected(state, ALL)


def test_open_watch_that_falls_too_far_behind_is_told_so() -> None:
    """It reads slowly, and much happens."""
    state = State()
    state.indexes.changes = Changes(capacity=2)
    stand, listener = Stand(state), Listener()
    watcher = stand.watcher()
    listener.hear(watcher.step())

    fold_in(state, *(pushed(name, IAD) for name in "abcde"))
    listener.hear(watcher.step())

    assert listener.reasons == [SnapshotReason.REQUESTED, SnapshotReason.COMPACTED]
    assert (listener.placements, {}) == expected(state, ALL)


@pytest.mark.parametrize(
    "text", ["", "w1", "w1.e", "w1.e.1", "w1..1.1", "w1.e.1.x", "w1.e.²", "v1.e.1.1"]
)
def test_token_of_somebody_else_is_refused(text: str) -> None:
    """With the field at fault."""
    with pytest.raises(TokenInvalidError) as raised:
        parse_watch_token(text)

    assert raised.value.field == "resume_token"


def test_token_means_the_same_when_it_comes_back() -> None:
    """Epochs may have dots in them."""
    token = WatchToken(EPOCH, 3, 2**63 - 1)

    assert parse_watch_token(str(token)) == token


def test_state_that_is_being_folded_again_has_no_tokens() -> None:
    """What comes after it is another picture at the same sequence."""
    stand = Stand(folded(pushed("a", IAD)))
    stand.view.outdated = "fold version 0"
    fresh, back = Listener(), Listener()

    fresh.hear(stand.watcher().step())
    back.hear(stand.watcher(resume=stand.at(1)).step())

    assert [mark.token for mark in fresh.bookmarks] == [""]
    assert back.reasons == [SnapshotReason.REPLACED]


# The hub.

QUICK = WatchSettings(watch_count_max=2, round_interval_s=0.001, look_interval_s=0.01)


async def hear(
    batches: AsyncIterator[Batch], listener: Listener, sequence: int
) -> None:
    """Listen until *sequence* is bookmarked."""
    async with asyncio.timeout(5):
        async for batch in batches:
            listener.hear(batch)
            if listener.bookmarks and listener.bookmarks[-1].sequence >= sequence:
                return


async def test_hub_tells_of_what_is_folded_meanwhile() -> None:
    """A watch that rests is woken by the view."""
    stand, listener = Stand(), Listener()
    hub = WatchHub(stand.view, WatchSettings(look_interval_s=60))
    async with aclosing(hub.watch(ALL)) as batches:
        await hear(batches, listener, 0)
        listening = asyncio.create_task(hear(batches, listener, 1))
        await asyncio.sleep(0.05)
        fold_in(stand.view.state, pushed("a", IAD))
        stand.view.advanced()
        await listening

    assert listener.told == 1
    assert hub.open_count == 0


async def test_hub_tells_of_another_serving_state() -> None:
    """Though nothing is folded."""
    stand, listener = Stand(), Listener()
    async with aclosing(WatchHub(stand.view, QUICK).watch(ALL)) as batches:
        await hear(batches, listener, 0)
        stand.view.broken("why")
        listener.hear(await anext(batches))

    assert listener.states == [ServingState.REBUILDING, ServingState.EPOCH_BROKEN]


async def test_hub_has_a_limit_and_gives_places_back() -> None:
    """A watch counts from its first batch until it is closed."""
    hub = WatchHub(Stand().view, QUICK)
    watches = [hub.watch(ALL) for _ in range(3)]
    await anext(watches[0])
    await anext(watches[1])

    with pytest.raises(WatchLimitError):
        await anext(watches[2])
    await watches[0].aclose()
    again = hub.watch(ALL)

    assert await anext(again)
    for watch in (watches[1], again):
        await watch.aclose()
    assert hub.open_count == 0


async def test_newcomer_who_finds_no_room_for_a_snapshot_comes_again() -> None:
    """One is told at a time; who reads nothing for a while holds up no others."""
    settings = WatchSettings(
        snapshot_count_max=1, snapshot_still_s=0.2, batch_item_count=1
    )
    stand = Stand()
    for name in "abcdefgh":
        fold_in(stand.view.state, pushed(name, IAD))
    stand.view.advanced()
    hub = WatchHub(stand.view, settings)
    first, second = hub.watch(ALL), hub.watch(ALL)
    await anext(first)
    assert hub.snapshot_count == 1

    with pytest.raises(SnapshotLimitError) as raised:
        await anext(second)
    assert raised.value.retry_delay_ms is not None
    assert raised.value.retry_delay_ms >= 200
    await asyncio.sleep(0.3)
    third, listener = hub.watch(ALL), Listener()
    await hear(third, listener, 8)

    assert len(listener.placements) == 8
    for watch in (first, third):
        await watch.aclose()
    assert hub.open_count == hub.snapshot_count == 0


async def test_watcher_waits_for_room_when_its_log_was_replaced() -> None:
    """It was told something already, so it is not sent away: it is told later."""
    settings = WatchSettings(snapshot_count_max=1, batch_item_count=1)
    stand, listener = Stand(), Listener()
    for name in "abcdefgh":
        fold_in(stand.view.state, pushed(name, IAD))
    stand.view.advanced()
    watcher = stand.watcher(settings=settings)
    while not listener.bookmarks:
        listener.hear(watcher.step())
    stand.view.replace(stand.view.state, "e.9~1", restored=False)

    watcher.may_begin = False
    listener.hear(watcher.step())
    assert watcher.held_back
    assert watcher.begun
    watcher.may_begin = True
    listener.hear(watcher.step())

    assert watcher.in_snapshot
    assert not watcher.held_back


async def test_hub_that_stops_ends_every_watch() -> None:
    """Without an error, and soon."""
    stand, listener = Stand(), Listener()
    hub = WatchHub(stand.view, QUICK)
    watch = hub.watch(ALL)
    await hear(watch, listener, 0)

    hub.stop()

    async with asyncio.timeout(5):
        rest = [batch async for batch in watch]
    assert rest == []
    assert hub.open_count == 0


async def test_state_that_was_folded_again_takes_no_token_from_before() -> None:
    """Same log, same sequence, another meaning: nobody knows what is different."""
    stand, listener = Stand(folded(pushed("a", IAD))), Listener()
    hub = WatchHub(stand.view, QUICK)
    async with aclosing(hub.watch(ALL)) as batches:
        await hear(batches, listener, 1)

    stand.view.replace(folded(pushed("b", IAD, Repository("x"))), EPOCH, restored=False)
    again = listener.back()
    async with aclosing(hub.watch(ALL, listener.token)) as batches:
        await hear(batches, again, 1)

    assert again.reasons == [SnapshotReason.REPLACED]
    assert (again.placements, {}) == expected(stand.view.state, ALL)
