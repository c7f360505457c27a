"""What a checkpoint of pages and deltas holds is what the rows held, always."""

from collections.abc import Iterator
from contextlib import closing
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from placement.core.tables import pages as module
from placement.core.tables.pages import Pages, Taken
from placement.core.tables.restored_pages import DELTAS, RestoredPages
from tests.strategies import examples

PAGE_ROWS = 6

Chunk = tuple[int, list[int], list[int]]
"""Stamp, rows, and their values."""


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Let deltas be small, and small pages no exception."""
    with (
        patch.object(module, "_WHOLE_ROWS", 0),
        patch.object(module, "DELTA_ROWS", 5),
        patch.object(module, "_LOOK_PAGES", 2),
        patch.object(module, "_SMALL_ROWS", 2),
        patch.object(module, "_SMALL_MAX", 3),
    ):
        yield


class Kept:
    """Rows with a value each, and a checkpoint of them."""

    def __init__(self) -> None:
        """Begin with neither."""
        self.values: list[int] = []
        self.pages = Pages(PAGE_ROWS)
        self.store: dict[int, Chunk] = {}

    def change(self, row: int, value: int) -> None:
        """Store a value, in a new row if *row* is past the last one."""
        row = min(row, len(self.values))
        if row == len(self.values):
            self.values.append(0)
            if len(self.values) > self.pages.changed.rows:
                self.pages.reserve(2 * len(self.values))
            self.pages.rows = len(self.values)
        self.values[row] = value
        self.pages.mark(row)

    def save(self, between: list[tuple[int, int]], *, fails: bool, ends: int) -> None:
        """Save what changed, while *between* steps something changes again.

        It may fail at its end, and be ended before its step *ends*.
        """
        taken: list[tuple[Taken, Chunk]] = []
        with closing(self.pages.take()) as steps:
            for number, step in enumerate(steps):
                if step is not None:
                    taken.append((step, self.chunk(step)))
                if between:
                    self.change(*between.pop())
                if number == ends:
                    fails = True
                    break
        rest = [*self.pages.roll(), *self.pages.take()]
        taken += [(step, self.chunk(step)) for step in rest if step is not None]
        if fails:
            for step, _ in taken:
                self.pages.give_back(step)
            return
        self.store |= {step.number: chunk for step, chunk in taken}
        live = set(self.pages.numbers())
        assert live <= self.store.keys()
        self.store = {number: self.store[number] for number in live}

    def chunk(self, taken: Taken) -> Chunk:
        """Return what a chunk holds."""
        rows = np.arange(len(self.values))[taken.rows].tolist()
        return taken.stamp, rows, [self.values[row] for row in rows]

    def restored(self) -> "Kept":
        """Return what the checkpoint holds."""
        again, restored = Kept(), RestoredPages(PAGE_ROWS)
        found: dict[int, int] = {}
        for number, (stamp, rows, values) in sorted(self.store.items()):
            if number < DELTAS:
                place = restored.page(number, stamp, len(rows))
                assert list(range(place.start, place.stop)) == rows
                found |= dict(zip(rows, values, strict=True))
            else:
                counts = restored.delta(number, stamp, np.array(rows))
                each = zip(rows, values, counts, strict=True)
                found |= {row: value for row, value, counted in each if counted}
        restored.require_whole()
        again.values = [found[row] for row in range(restored.rows)]
        if restored.rows:
            again.pages.reserve(restored.rows)
        again.pages.restore(restored)
        again.store = dict(self.store)
        return again


changes = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 10**6)), max_size=12)
saves = st.tuples(
    changes, changes, st.booleans(), st.one_of(st.just(-1), st.integers(0, 5))
)


@examples(200)
@given(st.lists(saves, max_size=25), st.sets(st.integers(0, 25)))
def test_checkpoint_holds_what_the_rows_hold(
    steps: list[tuple[list[tuple[int, int]], list[tuple[int, int]], bool, int]],
    restarts: set[int],
) -> None:
    """Whatever changed when, whichever saves failed, and wherever it was restarted."""
    kept = Kept()
    for number, (before, between, fails, ends) in enumerate(steps):
        for change in before:
            kept.change(*change)
        kept.save(between, fails=fails, ends=ends)
        if number in restarts:
            kept.save([], fails=False, ends=-1)
            kept = kept.restored()
        note(str(sorted(kept.store)))
    kept.save([], fails=False, ends=-1)

    again = kept.restored()

    assert again.values == kept.values
    again.save([], fails=False, ends=-1)
    assert again.restored().values == kept.values


def test_deltas_do_not_pile_up() -> None:
    """Of a thousand saves of few rows each, those of one round of all pages stay."""
    kept = Kept()
    for row in range(40 * PAGE_ROWS):
        kept.change(row, 1)
    kept.save([], fails=False, ends=-1)
    pages = kept.pages.count
    most = 0
    for number in range(1_000):
        for row in range(number % 7, 40 * PAGE_ROWS, 97):
            kept.change(row, number + 2)
        kept.save([], fails=False, ends=-1)
        most = max(most, sum(len(rows) for _, rows, _ in kept.store.values()))

    assert most < 1.7 * pages * PAGE_ROWS
    assert kept.restored().values == kept.values


def test_small_deltas_are_joined() -> None:
    """A save of one row each time leaves few chunks behind, wherever the rows are."""
    kept = Kept()
    for row in range(100 * PAGE_ROWS):
        kept.change(row, 1)
    kept.save([], fails=False, ends=-1)
    deltas = []

    for number in range(60):
        kept.change(number * 7, number + 2)
        kept.save([], fails=False, ends=-1)
        deltas.append(sum(number >= DELTAS for number in kept.store))

    assert max(deltas) < 30
    assert kept.restored().values == kept.values


def test_nothing_is_saved_again_without_a_change() -> None:
    """A save after a save takes nothing."""
    kept = Kept()
    for row in range(20):
        kept.change(row, 1)
    kept.save([], fails=False, ends=-1)

    assert [each for each in kept.pages.take() if each] == []
    assert list(kept.pages.roll()) == []
