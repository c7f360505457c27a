"""A block of messages into state, in columns where that is the same.

What commutes is folded first, as columns; all else in its turn, as ``fold`` does. A
block that repeats an event is folded one by one: so a repeat has one meaning only.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from placement.core.block import Block, Frame, Numbers
from placement.core.event import Recorded, SetAside, is_deciding
from placement.core.event_keys import begun_key, event_keys
from placement.core.fold import (
    FRESH_NS,
    LATE_NS,
    fold_new,
    fold_steps,
    set_aside,
)
from placement.core.folds.around import Around, around_of
from placement.core.folds.calm import Mask, Span, machines_of
from placement.core.folds.starting import calm_starts, count_starts, start_transfers
from placement.core.folds.stopping import calm_stops, count_stops, stopped_in
from placement.core.folds.transfers import write_rows
from placement.core.folds.uses import calm_pulls, count_uses, pull_transfers
from placement.core.state import State
from placement.core.tables.table import ABSENT

ID_BYTES: Final = 16
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
    if not _note_ids(state, _event_keys(block)):
        for frame, message in zip(block.frames, block.messages(), strict=True):
            folding(frame)
            yield from fold_steps(state, message)
        return
    calm = _fold_columns(state, block, around_of(state, block))
    yield from _fold_in_turn(state, block, calm, folding)
    last = block.frames[-1]
    state.sequence = last.sequence
    state.hash_when_asked(lambda: last.message_hash)
    stored_ns = max(frame.store_time_ns for frame in block.frames)
    state.store_time_ns = max(state.store_time_ns, stored_ns)


def _event_keys(block: Block) -> list[bytes]:
    """Return the key of each event that is not set aside."""
    ids = block.event_ids
    if not any(ids):
        return []
    begun = np.empty(len(ids), np.object_)
    for part in (block.pulls, block.starts, block.stops):
        told = np.empty(len(part.names), np.object_)
        for code in set(part.region.tolist()):
            told[code] = begun_key(part.names[code], deciding=False)
        begun[part.index] = told[part.region]
    for place, item in enumerate(block.items):
        if isinstance(item, Recorded):
            event = item.event
            begun[place] = begun_key(event.region, deciding=is_deciding(event))
    return event_keys(begun.tolist(), ids)


def _note_ids(state: State, keys: list[bytes]) -> bool:
    """Remember events by *keys*, unless one is known or there is no room for all."""
    capacity = state.event_ids.capacity or 0
    if len(set(keys)) < len(keys) or len(keys) > capacity:
        return False
    packed = np.frombuffer(b"".join(keys), np.uint8).reshape(-1, ID_BYTES)
    if keys and (state.event_ids.find_many(packed) != ABSENT).any():
        return False
    if keys:
        state.event_ids.add_many(packed)
    return True


@dataclass(frozen=True, slots=True)
class _Calm:
    """What was folded as columns."""

    order_ns: Numbers
    """Of every event, calm or not."""
    mask: Mask
    """Which events they are."""
    transfers: Numbers
    """Theirs: a row each, the place, and then what a ``Transfer`` holds."""


def _fold_columns(state: State, block: Block, around: Around) -> _Calm:
    """Fold what commutes with all events around it."""
    order_ns = block.orders_ns()
    mask = np.zeros(len(order_ns), np.bool_)
    pulls = calm_pulls(state, block.pulls, around, LATE_NS)
    mask[block.pulls.index[pulls.mask]] = True
    transfers = pull_transfers(block.pulls, pulls)
    machines = len(block.starts) + len(block.stops)
    if machines and _rises(state, order_ns):
        told = _fold_machines(state, block, around, order_ns, mask)
        transfers = np.concatenate((transfers, told))
    count_uses(state, pulls)
    return _Calm(order_ns, mask, transfers)


def _rises(state: State, order_ns: Numbers) -> bool:
    """Say whether each event is later than all before it, so that all keep their time.

    Then none of them moves another, whether it is folded or refused.
    """
    later = order_ns[0] > state.latest_order_ns
    return bool(later and (order_ns[1:] > order_ns[:-1]).all())


def _fold_machines(
    state: State, block: Block, around: Around, order_ns: Numbers, mask: Mask
) -> Numbers:
    """Fold the calm starts and stops, and *mask* them; return their transfers."""
    starts, stops, count = block.starts, block.stops, len(block.starts)
    every = machines_of(state, starts.machines + stops.machines, around.machines)
    started, stopped = every.part(0, count), every.part(count, count + len(stops))
    span = Span(int(order_ns[-1]), LATE_NS)
    begun_ns = np.minimum(order_ns[starts.index], starts.time_ns + FRESH_NS)
    ended_ns = np.minimum(order_ns[stops.index], stops.time_ns + FRESH_NS)
    calm = calm_starts(state, starts, started, around, span)
    ended = calm_stops(state, stops, stopped, started, around, span, ended_ns)
    if len(calm.numbers):
        count_starts(state, starts, started, calm, begun_ns)
    if len(ended):
        region = stopped_in(state, stops)
        count_stops(state, stopped, region, ended, ended_ns)
    mask[starts.index[calm.numbers]] = True
    mask[stops.index[ended]] = True
    return start_transfers(starts, calm)


def _fold_in_turn(
    state: State, block: Block, calm: _Calm, folding: Folding
) -> Iterator[None]:
    """Fold what is not calm, each event after all that stand before it."""
    passed = _Passed(state, calm)
    frames, frame, before = iter(block.frames), None, state.sequence
    for place in np.flatnonzero(~calm.mask).tolist():
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
    count = int(calm.mask.sum())
    if count:
        state.add_count("folded", count)


class _Passed:
    """What the calm events mean for those after them: time, and transfers."""

    def __init__(self, state: State, calm: _Calm) -> None:
        """Begin before the first of *calm*."""
        self._state = state
        places = np.flatnonzero(calm.mask)
        self._places = places.tolist()
        stored_ns = calm.order_ns[places]
        self._peaks = np.maximum.accumulate(stored_ns - np.arange(len(stored_ns)))
        self._count = 0
        self._transfers = calm.transfers
        self._noted: list[int] = []

    def let_by(self, place: int) -> None:
        """Let the log's time go past the calm events before *place*.

        Each takes at least a nanosecond, as in ``fold``; so of those in a row the last
        is at the greatest of their times plus as many as follow that.
        """
        count = bisect_left(self._places, place)
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
            rows = np.concatenate((rows, np.array(own, np.int64)))
            measured.clear()
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        write_rows(self._state, rows[:, 1:])
