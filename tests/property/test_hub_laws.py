"""The watch contract, held against a real hub with many watchers in drawn orders.

Ordered, unique per revision, whole between bookmarks, gone on with by token, told when
that cannot be, and never silent for more than ten seconds. Time is virtual.
"""

import asyncio
from collections.abc import AsyncGenerator
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from placement.core.event import RecordedMessage
from placement.core.fold import fold
from placement.core.state import State
from placement.core.tables.changes import Changes
from placement.core.watched import Bookmark, Interest, SnapshotBegan, SnapshotReason
from placement.runtime.view import View
from placement.runtime.watch import WatchHub, WatchLimitError
from placement.runtime.watcher import WatchItem, WatchSettings
from tests.builders import AMS, START_NS, WEB, message
from tests.figures import tell
from tests.golden_logs import every_fact
from tests.simulator.loop import VirtualLoop
from tests.strategies import LONG
from tests.watching import Listener, expected

SEEDS = range(400 if LONG else 40)
ACTIONS = 120
WATCHERS_MAX = 6
SETTINGS = WatchSettings(watch_count_max=WATCHERS_MAX, batch_item_count=3)
INTERESTS = (
    Interest(),
    Interest(tags=True),
    Interest(frozenset({AMS})),
    Interest(prefixes=(WEB,), tags=True),
)
SILENT_SECONDS_MAX = 10.0


class Follower:
    """One watcher that may stop, be slow, and come back with its token."""

    def __init__(self, hub: WatchHub, view: View, interest: Interest) -> None:
        """Watch *view* by *hub*."""
        self.listener = Listener()
        self.interest = interest
        self.epochs: set[str] = set()
        self.told = 0
        self._hub = hub
        self._view = view
        self._batches: AsyncGenerator[Any, None] | None = None

    @property
    def watches(self) -> bool:
        """Whether it is there."""
        return self._batches is not None

    async def come(self) -> None:
        """Begin, or go on from the last bookmark; what came after it is forgotten."""
        self.listener = self.listener.back()
        self._batches = self._hub.watch(self.interest, self.listener.token)
        await self.hear()

    async def leave(self) -> None:
        """Go, at whatever point it is."""
        if self._batches is not None:
            await self._batches.aclose()
        self._batches = None

    async def hear(self) -> None:
        """Take one batch in, and hold it against the contract."""
        assert self._batches is not None
        try:
            batch = await anext(self._batches)
        except WatchLimitError:
            self._batches = None
            return
        self.told += 1
        for item in batch:
            self._check(item)
            self.listener.hear([item])
            if isinstance(item, Bookmark):
                self._check_bookmark(item)

    async def catch_up(self) -> None:
        """Hear until what it knows is the state."""
        while True:
            marks = self.listener.bookmarks
            if not self.listener.in_snapshot and marks and self._is_now(marks[-1]):
                return
            await self.hear()

    def _is_now(self, mark: Bookmark) -> bool:
        same = self._epoch(mark) == self._view.epoch
        return same and mark.sequence == self._view.state.sequence

    def _check(self, item: WatchItem) -> None:
        """A snapshot within a watch says why: the log was replaced, or notes lost."""
        if isinstance(item, SnapshotBegan):
            known = self.listener.token
            if item.reason is SnapshotReason.REQUESTED:
                assert not known, "its token was passed over"
            if item.reason is SnapshotReason.REPLACED:
                assert f".{self._view.epoch}." not in known, "of the same log"

    def _check_bookmark(self, mark: Bookmark) -> None:
        """What was told by then is the state at that very revision, told once."""
        found = (self.listener.placements, self.listener.tags)
        if mark.sequence == self._view.state.sequence:
            assert found == expected(self._view.state, self.interest)
        before = self.listener.bookmarks[:-1]
        if before and self._epoch(before[-1]) == self._epoch(mark):
            assert mark.sequence >= before[-1].sequence, "time went back"

    def _epoch(self, mark: Bookmark) -> str:
        return mark.token.split(".")[1]


def told_log(chance: Random, count: int) -> list[RecordedMessage]:
    """Return *count* messages with every fact, in a drawn order."""
    events = every_fact(rounds=count // 20)
    chance.shuffle(events)
    return [message(at, event) for at, event in enumerate(events[:count], 1)]


async def history(seed: int) -> dict[str, int]:
    """Let watchers come, listen, lag, leave and come back while the log is folded."""
    chance = Random(seed)
    view = View(lambda: START_NS)
    view.replace(_state(chance), "e", restored=False)
    hub = WatchHub(view, SETTINGS)
    log, replaced = told_log(chance, 160), 0
    followers = [
        Follower(hub, view, chance.choice(INTERESTS)) for _ in range(WATCHERS_MAX)
    ]
    for _ in range(ACTIONS):
        follower = chance.choice(followers)
        match chance.randrange(8):
            case 0 | 1:
                for item in log[: chance.randrange(1, 9)]:
                    fold(view.state, item)
                    log.remove(item)
                view.advanced()
            case 2 if follower.watches:
                await follower.leave()
            case 3 if chance.random() < 0.1:
                replaced += 1
                log = told_log(chance, 160)
                view.replace(_state(chance), f"e~{replaced}", restored=False)
            case 4 if follower.watches:
                await follower.catch_up()
            case _ if follower.watches:
                await follower.hear()
            case _:
                await follower.come()
    for follower in followers:
        if not follower.watches:
            await follower.come()
        await follower.catch_up()
        found = (follower.listener.placements, follower.listener.tags)
        assert found == expected(view.state, follower.interest)
        await follower.leave()
    assert hub.open_count == 0
    reasons = [reason for each in followers for reason in each.listener.reasons]
    return {
        "batches": sum(follower.told for follower in followers),
        "compacted": reasons.count(SnapshotReason.COMPACTED),
        "replaced": reasons.count(SnapshotReason.REPLACED),
    }


def _state(chance: Random) -> State:
    """Return an empty state, which often has room for few notes of changes."""
    state = State()
    if chance.random() < 0.5:
        state.indexes.changes = Changes(chance.randrange(1, 12))
    return state


def test_hub_keeps_its_contract_in_every_history() -> None:
    """Many watchers, drawn orders: a bookmark is the state, whoever was away."""
    counts = {"batches": 0, "compacted": 0, "replaced": 0}

    for seed in SEEDS:
        loop = VirtualLoop.drawing_from(Random(seed))
        try:
            found = loop.run_until_complete(history(seed))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        counts = {name: counts[name] + found[name] for name in counts}

    tell("watch histories", seeds=len(SEEDS), violations=0, **counts)
    assert min(counts.values()) > len(SEEDS) / 4


@pytest.mark.parametrize("interest", INTERESTS)
def test_nobody_hears_nothing_for_more_than_ten_seconds(interest: Interest) -> None:
    """With the service's own settings a quiet log is bookmarked in time."""

    async def gaps() -> list[float]:
        view = View(lambda: START_NS)
        view.replace(State(), "e", restored=False)
        loop = asyncio.get_running_loop()
        times: list[float] = []
        watch = WatchHub(view, WatchSettings()).watch(interest)
        while len(times) < 6:
            if any(isinstance(item, Bookmark) for item in await anext(watch)):
                times.append(loop.time())
        await watch.aclose()
        return [later - earlier for earlier, later in pairwise(times)]

    found = VirtualLoop.drawing_from(Random(1)).run_until_complete(gaps())

    assert max(found) <= SILENT_SECONDS_MAX
    assert min(found) > SILENT_SECONDS_MAX / 2
