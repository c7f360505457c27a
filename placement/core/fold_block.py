"""A block of messages into state, in columns where that is the same.

What commutes is folded first, as columns; all else in its turn, as ``fold`` does. A
block that repeats an event is folded one by one: so a repeat has one meaning only.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from placement.core.block import Block, Frame, Numbers, Pulls
from placement.core.event import (
    Event,
    Fact,
    OwnershipDeclared,
    Recorded,
    SetAside,
    TransferOutcome,
)
from placement.core.fold import LATE_NS, event_keys, fold_new, fold_steps, set_aside
from placement.core.folds.description import descriptors_of
from placement.core.folds.transfers import write_rows
from placement.core.folds.uses import Around, CalmPulls, calm_pulls, count_uses
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables.keys import digest_key
from placement.core.tables.table import ABSENT

ID_BYTES: Final = 16
SHA256_BYTES: Final = 32
_PARTS: Final = ("groups", "contents", "absences")
"""Fields of facts whose items name repositories of their own."""
Folding = Callable[[Frame], None]


def fold_block(state: State, block: Block, folding: Folding) -> None:
    """Advance *state* past *block*, which must follow it.

    *folding* is told of each message with an event that is folded by itself, just
    before that.
    """
    for _ in fold_block_steps(state, block, folding):
        pass


def fold_block_steps(state: State, block: Block, folding: Folding) -> Iterator[None]:
    """Do what ``fold_block`` does, and yield after each event that is not calm.

    Nobody may ask until the end.
    """
    assert block.frames[0].sequence > state.sequence, "the log goes forward only"
    if not _note_ids(state, block.event_ids):
        for frame, message in zip(block.frames, block.messages(), strict=True):
            folding(frame)
            yield from fold_steps(state, message)
        return
    others = [item for item in block.items if item is not None]
    calm = calm_pulls(state, block.pulls, _around(state, others), LATE_NS)
    count_uses(state, calm)
    yield from _fold_in_turn(state, block, calm, folding)
    last = block.frames[-1]
    state.sequence, state.message_hash = last.sequence, last.message_hash
    stored_ns = max(frame.store_time_ns for frame in block.frames)
    state.store_time_ns = max(state.store_time_ns, stored_ns)


def _note_ids(state: State, event_ids: list[str]) -> bool:
    """Remember the ids, unless one is known already, or there is no room for all."""
    keys = event_keys(filter(None, event_ids))
    capacity = state.event_ids.capacity or 0
    if len(set(keys)) < len(keys) or len(keys) > capacity:
        return False
    packed = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, ID_BYTES)
    if keys and (state.event_ids.find_many(packed) != ABSENT).any():
        return False
    if keys:
        state.event_ids.add_many(packed)
    return True


def _around(state: State, others: list[Recorded | SetAside]) -> Around:
    """Return what the events that are folded in turn may change for the calm ones."""
    described: set[bytes] = set()
    about: set[str] = set()
    owned: set[str] = set()
    for item in others:
        if isinstance(item, SetAside):
            continue
        event = item.event
        for content in descriptors_of(event.fact):
            key = digest_key(content.digest.encode())
            if len(key) == SHA256_BYTES:
                described.add(key)
        owning = isinstance(event.fact, OwnershipDeclared)
        named = owning or event.app or event.organization
        for repository in _repositories(event.fact):
            about.add(repository)
            if named and _changes_owner(state, repository, event):
                owned.add(repository)
    return Around(frozenset(described), frozenset(about), frozenset(owned))


def _repositories(fact: Fact) -> Iterator[Repository]:
    """Yield the repositories that *fact* is about."""
    parts = (fact, *(part for name in _PARTS for part in getattr(fact, name, ())))
    for part in (*parts, getattr(fact, "subject", None)):
        repository = getattr(part, "repository", None)
        if repository is not None:
            yield repository


def _changes_owner(state: State, repository: Repository, event: Event) -> bool:
    """Say whether *event* may let a known repository belong to another app."""
    row = state.find_repository(repository)
    app = ABSENT if row == ABSENT else state.app_of(row)
    if app == ABSENT:
        return False
    organization, name = state.app_name(app)
    fact = event.fact
    if isinstance(fact, OwnershipDeclared):
        return (fact.organization, fact.app or repository) != (organization, name)
    said = (event.organization or organization, event.app or name)
    return said != (organization, name)


def _fold_in_turn(
    state: State, block: Block, calm: CalmPulls, folding: Folding
) -> Iterator[None]:
    """Fold what is not calm, each event after all that stand before it."""
    passed = _Passed(state, block, calm)
    frames, frame, before = iter(block.frames), None, state.sequence
    for place in _single(block, calm):
        while frame is None or place >= frame.first + frame.count:
            before = state.sequence if frame is None else frame.sequence
            frame = next(frames)
        folding(frame)
        state.indexes.changes.begin(before, frame.sequence)
        state.indexes.decisions.changes.begin(before, frame.sequence)
        item = block.item(place)
        if isinstance(item, SetAside):
            set_aside(state, item)
        else:
            passed.let_by(place)
            fold_new(state, item)
            passed.note(place)
        yield
    passed.let_by(len(block.items))
    passed.write_transfers()
    if len(calm.time_ns):
        state.add_count("folded", len(calm.time_ns))


def _single(block: Block, calm: CalmPulls) -> list[int]:
    """Return the places of the events that are folded by themselves."""
    single = np.ones(len(block.items), np.bool_)
    single[block.pulls.index[calm.mask]] = False
    found: list[int] = np.flatnonzero(single).tolist()
    return found


class _Passed:
    """What the calm pulls mean for the events after them: time, and transfers."""

    def __init__(self, state: State, block: Block, calm: CalmPulls) -> None:
        """Begin before the first of *calm*."""
        mask, pulls = calm.mask, block.pulls
        self._state = state
        self._places = pulls.index[mask]
        stored_ns = pulls.store_time_ns[mask] + pulls.batch_index[mask]
        self._peaks = np.maximum.accumulate(stored_ns - np.arange(len(stored_ns)))
        self._count = 0
        self._transfers = _transfers(pulls, calm)
        """A row each: the place, and then what a ``Transfer`` holds."""
        self._noted: list[int] = []

    def let_by(self, place: int) -> None:
        """Let the log's time go past the calm pulls before *place*.

        Each takes at least a nanosecond, as in ``fold``; so of those in a row the last
        is at the greatest of their times plus as many as follow that.
        """
        count = int(np.searchsorted(self._places, place))
        passed = count - self._count
        if passed:
            peak = int(self._peaks[count - 1]) + count - 1
            at_least = self._state.latest_order_ns + passed
            self._state.latest_order_ns = max(at_least, peak)
            self._count = count

    def note(self, place: int) -> None:
        """Note that the transfers that are kept since the last note are of *place*."""
        new = len(self._state.indexes.measured) - len(self._noted)
        self._noted += [place] * new

    def write_transfers(self) -> None:
        """Write the transfers of all events, in the order of the log."""
        measured = self._state.indexes.measured
        rows = self._transfers
        if measured:
            own = [
                (place, *told)
                for place, told in zip(self._noted, measured, strict=True)
            ]
            both = np.concatenate((rows, np.array(own, np.int64)))
            rows = both[np.argsort(both[:, 0], kind="stable")]
            measured.clear()
        write_rows(self._state, rows[:, 1:])


def _transfers(pulls: Pulls, calm: CalmPulls) -> Numbers:
    """Return the transfers of the calm pulls that say their bytes and duration."""
    mask = calm.mask
    moved_bytes, took_ns = pulls.transferred_bytes[mask], pulls.duration_ns[mask]
    timed = (moved_bytes > 0) & (took_ns > 0)
    rows = np.zeros((int(timed.sum()), 8), np.int64)
    told = (pulls.index[mask], calm.source, calm.client, moved_bytes, took_ns)
    for column, values in enumerate((*told, calm.time_ns)):
        rows[:, column] = values[timed]
    rows[:, -1] = TransferOutcome.COMPLETED
    return rows
