"""Names that are looked for many at a time are found as each one is."""

from collections.abc import Iterator, Sequence

import pytest

from placement.core.tables.compiled import use_compiled, use_numpy
from placement.core.tables.table import Table

COUNT = 5_000
ODD = ["", "a\0", "a", "é" * 23 + "a", "é" * 24, "x" * 47, "x" * 48, "x" * 300]
"""Empty, ending in zeros, just short enough, just too long, and far too long."""


@pytest.fixture(autouse=True, params=["numpy", "compiled"])
def found_by(request: pytest.FixtureRequest) -> Iterator[None]:
    """Find many names by either."""
    assert request.param == "numpy" or use_compiled()
    yield
    use_numpy()


def names(count: int) -> list[str]:
    """Return so many names, as repositories have them."""
    return [f"team-{number % 97}/app-{number}" for number in range(count)]


def table_of(known: Sequence[str]) -> Table:
    """Return a table of *known* names."""
    table = Table("t", ("one",))
    for name in known:
        table.add(name.encode())
    return table


def assert_found(table: Table, wanted: Sequence[str]) -> None:
    """Find all of *wanted* together, and one by one, again and again."""
    for _ in range(COUNT // 1_000):
        single = [table.find(name.encode()) for name in wanted]
        assert list(table.find_each(wanted)) == single


def test_names_are_found_while_more_and_more_are_packed() -> None:
    """Known and unknown ones, short and long, of zeros and of other letters."""
    table = table_of(names(COUNT) + ODD[:4])

    assert_found(table, names(COUNT)[::31] + ODD + [f"{name}\0" for name in ODD])
    assert_found(table, names(COUNT + 100)[-200:])


def test_a_name_that_comes_later_or_goes_is_known_at_once() -> None:
    """Its row may be another name's after that."""
    table = table_of(names(COUNT))
    wanted = names(COUNT + 2)[-100:]
    assert_found(table, wanted)

    table.add(wanted[-1].encode())
    table.remove(wanted[0].encode())
    assert_found(table, wanted)
    table.add(wanted[-2].encode())

    assert_found(table, wanted)


def test_names_of_a_checkpoint_are_found() -> None:
    """Free rows among them, too."""
    table = table_of(names(COUNT) + ODD)
    table.remove(names(9)[8].encode())
    again = Table("t", ("one",))
    again.load(table.take_dirty())

    assert_found(again, names(200) + ODD)
    again.add(b"new")

    assert_found(again, [*names(200), *ODD, "new"])
