"""Rows of integers: find, forget, pack, and refuse what is not of the table."""

import pytest

from placement.core.tables.restored_pages import DELTAS
from placement.core.tables.table import ABSENT, Row, Table


def filled(count: int, capacity: int | None = None) -> Table:
    """Return a table of *count* rows, each of which holds its number."""
    table = Table("t", ("one", "two"), capacity)
    for number in range(count):
        row = table.find_or_add(b"k%d" % number)
        table.set(row, 0, number)
    return table


def content(table: Table) -> dict[bytes, tuple[int, ...]]:
    """Return everything in *table*."""
    return {key: table.values(row) for key, row in table.rows()}


def test_row_is_found_by_its_key() -> None:
    """A key that nobody added has no row; one that was added keeps its own."""
    table = Table("t", ("one",))

    row = table.find_or_add(b"a")

    assert table.find(b"a") == table.find_or_add(b"a") == row
    assert table.find(b"b") == ABSENT
    assert (table.key(row), table.values(row), len(table)) == (b"a", (0,), 1)


def test_number_only_rises() -> None:
    """What is not greater changes nothing, and says so."""
    table = filled(1)

    assert [table.raise_to(Row(0), 1, value) for value in (5, 5, 4, 6)] == [
        True,
        False,
        False,
        True,
    ]
    assert table.get(Row(0), 1) == 6


def test_number_increases_by_one_or_more() -> None:
    """Counting down is counting, too."""
    table = filled(1)

    table.increase(Row(0), 1)
    table.increase(Row(0), 1, -3)

    assert table.get(Row(0), 1) == -2


def test_removed_row_is_used_again_and_is_empty() -> None:
    """A row that was given back holds zeros for its next key."""
    table = filled(3)

    table.remove(b"k1")
    row = table.find_or_add(b"new")

    assert row == 1
    assert content(table) == {b"k0": (0, 0), b"new": (0, 0), b"k2": (2, 0)}


def test_full_table_forgets_the_oldest_row() -> None:
    """With room for three, the fourth takes the place of the first."""
    table = filled(3, capacity=3)

    row, forgotten = table.add(b"k3")

    assert (row, forgotten) == (0, b"k0")
    assert table.find(b"k0") == ABSENT
    assert content(table) == {b"k3": (0, 0), b"k1": (1, 0), b"k2": (2, 0)}


def test_restored_table_forgets_in_the_same_order() -> None:
    """Which row is the oldest survives a checkpoint."""
    table = filled(5, capacity=3)
    restored = Table("t", ("one", "two"), 3)
    restored.load(table.take_dirty())

    forgotten = [copy.add(b"k5")[1] for copy in (table, restored)]

    assert forgotten == [b"k2", b"k2"]


def test_only_changed_rows_are_packed() -> None:
    """A page is 16,384 rows; writing what is there already is no change."""
    table = filled(2 * 16_384 + 1)
    chunks = dict(table.take_dirty())

    table.set(Row(5), 0, 5)
    table.set(Row(16_384), 1, 7)
    table.set(Row(3), 1, 9)

    [(number, body)] = table.take_dirty()
    assert number == DELTAS + 4  # after three pages
    assert len(body) < 150
    assert table.take_dirty() == []
    restored = Table("t", ("one", "two"))
    restored.load((chunks | {number: body}).items())
    assert content(restored) == content(table)


def test_page_of_which_much_changed_is_packed_whole() -> None:
    """A delta of so many rows would cost more."""
    table = filled(2 * 16_384)
    table.take_dirty()

    for row in range(6_000):
        table.set(Row(row), 1, 7)

    assert [number for number, _ in table.take_dirty()] == [0]


def test_removal_changes_its_chunk() -> None:
    """A row that is forgotten is forgotten in the checkpoint, too."""
    table = filled(2)
    table.take_dirty()

    table.remove(b"k1")

    [(number, body)] = table.take_dirty()
    restored = Table("t", ("one", "two"))
    restored.load([(number, body)])
    assert (number, content(restored)) == (0, {b"k0": (0, 0)})


def test_chunk_that_was_not_saved_is_packed_again() -> None:
    """A save that failed loses nothing."""
    table = filled(1)
    [packed] = filter(None, table.take())

    packed.give_back()

    [again] = filter(None, table.take())
    assert again.number == packed.number
    assert list(table.chunk_numbers()) == [packed.number]


def test_packed_chunks_restore_the_table() -> None:
    """Keys, integers and free rows come back as they were."""
    table = filled(1500)
    table.remove(b"k7")
    restored = Table("t", ("one", "two"))

    restored.load(table.take_dirty())

    assert content(restored) == content(table)
    assert restored.find_or_add(b"new") == table.find_or_add(b"new") == 7
    [(number, body)] = table.take_dirty()
    assert restored.take_dirty() == [(number, body)]


def spoiled_chunks() -> dict[str, list[tuple[int, bytes]]]:
    """Return chunks that are not those of a table of two columns."""
    table = filled(300)
    [(_, body)] = table.take_dirty()
    table.set(Row(5), 0, 6)
    [delta] = table.take_dirty()
    narrow = Table("t", ("one",))
    narrow.find_or_add(b"k0")
    return {
        "cut off": [(0, body[:-1])],
        "too long": [(0, body + b"\0")],
        "empty": [(0, b"")],
        "other columns": narrow.take_dirty(),
        "not full before the last": [(0, body), (1, body)],
        "another number": [(1, body)],
        "a delta alone": [delta],
        "a delta of another number": [(0, body), (DELTAS + 7, delta[1])],
        "a delta cut off": [(0, body), (DELTAS + 2, delta[1][:-1])],
    }


@pytest.mark.parametrize("name", spoiled_chunks())
def test_malformed_chunk_is_refused(name: str) -> None:
    """Whatever is in it, a chunk of another shape is a ValueError and nothing else."""
    with pytest.raises(ValueError, match="table t is malformed"):
        Table("t", ("one", "two")).load(spoiled_chunks()[name])


def test_chunk_of_another_version_may_lack_the_last_columns() -> None:
    """What was added to a table since then is zero in rows of before."""
    narrow = Table("t", ("one",))
    narrow.set(narrow.find_or_add(b"k0"), 0, 7)
    widened = Table("t", ("one", "two"))

    widened.load(narrow.take_dirty(), of_this_version=False)

    assert widened.values(widened.find(b"k0")) == (7, 0)
    widened.set(widened.find_or_add(b"k1"), 1, 5)
    assert widened.values(widened.find(b"k1")) == (0, 5)


@pytest.mark.parametrize("name", ["cut off", "too long", "empty"])
def test_chunk_of_another_version_is_whole(name: str) -> None:
    """Only whole columns may be missing."""
    with pytest.raises(ValueError, match="table t is malformed"):
        Table("t", ("one", "two")).load(spoiled_chunks()[name], of_this_version=False)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 7, 13])
def test_bounded_table_gives_its_newest_rows_first(count: int) -> None:
    """Whether or not it has begun to forget."""
    table = filled(count, capacity=5)

    found = [table.get(row, 0) for row in table.newest_first()]

    assert found == list(range(count))[-5:][::-1]


@pytest.mark.parametrize("count", [5, 8, 13])
def test_bounded_table_goes_on_after_a_row(count: int) -> None:
    """With what was added before it, as often as it is asked."""
    table = filled(count, capacity=5)
    found, row = [], next(table.newest_first())

    while True:
        found.append(table.get(row, 0))
        older = list(table.newest_first(row))
        if not older:
            break
        row = older[0]

    assert found == list(range(count))[-5:][::-1]


def test_newest_rows_are_the_same_after_a_restart() -> None:
    """The order is that of the log, not of this process."""
    table, again = filled(8, capacity=5), Table("t", ("one", "two"), 5)

    again.load(table.take_dirty())

    assert list(again.newest_first()) == list(table.newest_first())
