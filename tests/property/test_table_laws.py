"""A table is a dict of rows, whatever is done to it, one by one or many at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.core.tables.columns import INT32, INT64
from placement.core.tables.compiled import use_compiled, use_numpy
from placement.core.tables.table import ABSENT, KeyBytes, Row, Table
from tests.strategies import examples

SEED = 12345
KEYS = st.lists(st.integers(0, 400), max_size=120)
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ("find", "add", "remove", "find_or_add_many", "add_many", "find_many")
        ),
        KEYS,
    ),
    max_size=12,
)


@dataclass
class Model:
    """What a table is meant to be: a dict, and rows that are given again."""

    capacity: int | None
    rows: dict[bytes, int] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    made: int = 0
    added: int = 0

    def add(self, key: bytes) -> tuple[int, bytes | None]:
        """Return the row of a new key, and the key that it replaces."""
        replaced = None
        if self.made == self.capacity:
            row = self.added % self.capacity
            [replaced] = [key for key, at in self.rows.items() if at == row]
            del self.rows[replaced]
        elif self.free:
            row = self.free.pop()
        else:
            row, self.made = self.made, self.made + 1
        self.rows[key] = row
        self.added += 1
        return row, replaced

    def remove(self, key: bytes) -> None:
        """Forget a key."""
        self.free.append(self.rows.pop(key))


def packed(keys: Sequence[bytes], size: int) -> KeyBytes:
    """Return *keys* as a row of bytes each."""
    return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, size)


class Both:
    """A table and its model, to which the same is done."""

    def __init__(self, size: int, capacity: int | None) -> None:
        """Begin with neither having rows."""
        self.size = size
        self.model = Model(capacity)
        self.table = Table("t", ("one",), capacity, key_bytes=size, seed=SEED)

    def find(self, keys: Sequence[bytes]) -> None:
        """Look for each of *keys*."""
        for key in keys:
            assert self.table.find(key) == self.model.rows.get(key, ABSENT)

    def add(self, keys: Sequence[bytes]) -> None:
        """Add those of *keys* that are new."""
        for key in keys:
            if key not in self.model.rows:
                assert self.table.add(key) == self.model.add(key)

    def remove(self, keys: Sequence[bytes]) -> None:
        """Remove those of *keys* that are there."""
        for key in dict.fromkeys(keys):
            if key in self.model.rows and self.model.capacity is None:
                self.table.remove(key)
                self.model.remove(key)

    def find_many(self, keys: Sequence[bytes]) -> None:
        """Look for *keys* at once."""
        found = self.table.find_many(packed(keys, self.size))
        assert found.tolist() == [self.model.rows.get(key, ABSENT) for key in keys]

    def find_or_add_many(self, keys: Sequence[bytes]) -> None:
        """Find or add *keys* at once."""
        rows, new = self.table.find_or_add_many(packed(keys, self.size))
        expected, added = [], []
        for key in keys:
            added.append(key not in self.model.rows)
            expected.append(self.model.add(key)[0] if added[-1] else None)
            if expected[-1] is None:
                expected[-1] = self.model.rows[key]
        assert (rows.tolist(), new.tolist()) == (expected, added)

    def add_many(self, keys: Sequence[bytes]) -> None:
        """Add those of *keys* that are new, at once."""
        new = [key for key in dict.fromkeys(keys) if key not in self.model.rows]
        rows, replaced = self.table.add_many(packed(new, self.size))
        expected = [self.model.add(key) for key in new]
        assert rows.tolist() == [row for row, _ in expected]
        gone = [key for _, key in expected if key is not None]
        assert list(map(bytes, replaced)) == gone

    def agree(self) -> None:
        """Assert that both hold the same."""
        assert dict(self.table.rows()) == self.model.rows
        assert len(self.table) == len(self.model.rows)
        for key, row in self.model.rows.items():
            assert self.table.key(Row(row)) == key


@pytest.mark.parametrize("by", ["numpy", "compiled"])
@examples(60)
@given(
    st.sampled_from((4, 8, 12, 16, 17, 32)),
    st.sampled_from((None, 1, 7, 150)),
    OPERATIONS,
    st.integers(0, 2**32),
)
def test_table_is_a_dict_of_rows(
    by: str,
    size: int,
    capacity: int | None,
    operations: list[tuple[str, list[int]]],
    spread: int,
) -> None:
    """Single keys and many, new and known, removed and replaced, then saved."""
    assert by == "numpy" or use_compiled()
    both = Both(size, capacity)
    try:
        for operation, numbers in operations:
            keys = [
                (number * (spread | 1) % 2**32).to_bytes(size, "little")
                for number in numbers
            ]
            getattr(both, operation)(keys)
            both.agree()
    finally:
        use_numpy()
    both.table = restored(both)
    both.agree()
    both.find(list(both.model.rows))


def restored(both: Both) -> Table:
    """Return the table as a checkpoint holds it."""
    table = Table("t", ("one",), both.model.capacity, key_bytes=both.size)
    table.load(both.table.take_dirty())
    return table


# Columns.

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("add_at", "raise_many", "set_many")),
        st.integers(0, 1),
        st.lists(st.tuples(st.integers(0, 9), st.integers(-9, 9)), max_size=20),
    )
)


@examples(100)
@given(changes=CHANGES, compiled=st.booleans())
def test_many_values_are_stored_as_each_one_would_be(
    changes: list[tuple[str, int, list[tuple[int, int]]]], *, compiled: bool
) -> None:
    """In whatever order rows are named, and however often; by numpy, and compiled."""
    with written_by(compiled=compiled):
        store_and_compare(changes)


def store_and_compare(changes: list[tuple[str, int, list[tuple[int, int]]]]) -> None:
    """Store values many at a time, and compare them with those stored one by one."""
    table, expected = Table("t", ("wide", "narrow"), codes=(INT64, INT32)), {}
    for number in range(10):
        expected[number] = [0, 0]
        table.add(b"%d" % number)

    for how, column, named in changes:
        rows = np.array([row for row, _ in named], np.int64)
        values = np.array([value for _, value in named], np.int64)
        getattr(table, how)(rows, column, values)
        for row, value in named:
            before = expected[row][column]
            after = {
                "add_at": before + value,
                "raise_many": max(before, value),
                "set_many": value,
            }
            expected[row][column] = after[how]

    assert {row: list(table.values(Row(row))) for row in range(10)} == expected


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("how", ["add_at", "raise_many", "set_many"])
def test_values_that_do_not_fit_are_refused(how: str, *, compiled: bool) -> None:
    """A narrow column never wraps, and keeps what it had."""
    table = Table("t", ("narrow",), codes=(INT32,))
    row, _ = table.add(b"a")
    table.set(row, 0, 5)
    value = 2**31 - 1 + (how != "add_at")

    with written_by(compiled=compiled), pytest.raises(ValueError, match="not fit"):
        getattr(table, how)(np.array([0]), 0, np.array([value]))

    assert table.values(row) == (5,)


@pytest.mark.parametrize("compiled", [False, True])
def test_amounts_near_the_limit_are_added_if_their_sum_fits(*, compiled: bool) -> None:
    """However large each one is; and rows and values may be parts of a matrix."""
    table = Table("t", ("narrow", "wide"), codes=(INT32, INT64))
    row, _ = table.add(b"a")
    table.set(row, 0, 2**31 - 2)
    told = np.array([[0, 2**30], [0, 1 - 2**30]])

    with written_by(compiled=compiled):
        table.add_at(told[:, 0], 0, told[:, 1])
        table.add_at(told[:, 0], 1, told[:, 1])
        table.raise_many(told[:, 0], 1, told[:, 1])

    assert table.values(row) == (2**31 - 1, 2**30)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("amount", [2**62, -(2**62), -(2**63)])
def test_amounts_whose_sum_has_no_number_are_refused(
    amount: int, *, compiled: bool
) -> None:
    """No sum of them comes round to one that would fit."""
    table = Table("t", ("narrow",), codes=(INT32,))
    rows = np.array([table.add(key)[0] for key in (b"a", b"b", b"c", b"d")])

    with written_by(compiled=compiled), pytest.raises(ValueError, match="not fit"):
        table.add_at(rows, 0, np.full(4, amount))

    assert not table.column(0).any()


@contextmanager
def written_by(*, compiled: bool) -> Iterator[None]:
    """Write many cells by compiled code, or by numpy."""
    if compiled:
        assert use_compiled()
    try:
        yield
    finally:
        use_numpy()


def test_key_of_another_size_is_found_beside_the_others() -> None:
    """A few digests are longer; they share the rows, and survive a checkpoint."""
    table = Table("t", ("one",), key_bytes=32)
    long = b"sha512:" + 128 * b"a"

    rows = [table.find_or_add(key) for key in (bytes(32), long, b"x" * 32)]
    again = Table("t", ("one",), key_bytes=32)
    again.load(table.take_dirty())
    for one in (table, again):
        one.remove(bytes(32))

    for one in (table, again):
        assert [one.find(key) for key in (long, b"x" * 32)] == rows[1:]
        assert dict(one.rows()) == {long: 1, b"x" * 32: 2}
        assert one.key(rows[1]) == long
        one.remove(long)
        assert one.find(long) == ABSENT
        assert [one.find_or_add(key) for key in (b"y" * 32, b"z" * 32)] == [1, 0]
