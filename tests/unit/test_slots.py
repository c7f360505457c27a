"""Open addressing: lines that fill up, wrap around and are tidied, and chosen keys."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from placement.core.tables.compiled import hash_of_many, use_compiled, use_numpy
from placement.core.tables.finding import LINE, NOWHERE, Rows
from placement.core.tables.hashing import (
    Hashes,
    factors,
    hash_of_one,
)
from placement.core.tables.slots import Slots
from placement.core.tables.table import ABSENT, KeyBytes, Table

LINES = 4
SHIFT = 62
"""Of a hash, for so many lines."""


@pytest.fixture(autouse=True, params=["numpy", "compiled"])
def found_by(request: pytest.FixtureRequest) -> Iterator[None]:
    """Find many keys by either."""
    if request.param == "compiled":
        assert use_compiled()
    yield
    use_numpy()


def hashes_in(line: int, count: int, first_tag: int = 2) -> list[int]:
    """Return hashes that belong into *line*, each with a tag of its own."""
    return [line << SHIFT | first_tag + number << 24 for number in range(count)]


def found(slots: Slots, hashes: list[int], rows: list[int]) -> list[int]:
    """Return by which of *hashes* the slots find its row; a row's key is its number."""
    keys = np.arange(1000, dtype=np.uint64).reshape(-1, 1)
    many = slots.search(np.array(hashes, np.uint64), keys, keys[rows])
    single = [
        row if row in slots.candidates(hashed) else NOWHERE
        for hashed, row in zip(hashes, rows, strict=True)
    ]
    assert many.tolist() == single
    return single


def packed(rows: list[int]) -> Rows:
    """Return rows as an array."""
    return np.array(rows, np.int64)


def packed_hashes(hashes: list[int]) -> Hashes:
    """Return hashes as an array."""
    return np.array(hashes, np.uint64)


@pytest.mark.parametrize("many", [False, True])
def test_full_last_line_goes_on_in_the_first(many: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Slots are a ring."""
    slots = Slots(LINES)
    hashes, rows = hashes_in(LINES - 1, 20), list(range(20))

    if many:
        slots.place_many(packed_hashes(hashes), packed(rows))
    else:
        for hashed, row in zip(hashes, rows, strict=True):
            slots.place(hashed, row)

    assert found(slots, hashes, rows) == rows
    assert (slots.used, slots.probes_max) == (20, 2)


def test_hash_that_nobody_placed_is_not_found() -> None:
    """Neither in a line with room nor past full ones."""
    slots = Slots(LINES)
    slots.place_many(packed_hashes(hashes_in(1, 40)), packed(list(range(40))))

    assert found(slots, hashes_in(1, 3, 100) + hashes_in(0, 1), [0, 1, 2, 3]) == (
        [NOWHERE] * 4
    )


@pytest.mark.parametrize("many", [False, True])
def test_dropped_row_leaves_no_trace_in_a_line_with_room(many: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """What follows in the line moves up."""
    slots = Slots(LINES)
    hashes, rows = hashes_in(2, 6), list(range(6))
    slots.place_many(packed_hashes(hashes), packed(rows))

    if many:
        slots.drop_many(packed_hashes(hashes[1:4]), packed(rows[1:4]))
    else:
        for hashed, row in zip(hashes[1:4], rows[1:4], strict=True):
            slots.drop(hashed, row)

    assert found(slots, hashes, rows) == [0, NOWHERE, NOWHERE, NOWHERE, 4, 5]
    assert (slots.used, slots.live, slots.dropped) == (3, 3, 0)


@pytest.mark.parametrize("many", [False, True])
def test_slot_dropped_in_a_full_line_is_used_again(many: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """What lies behind the line is found meanwhile."""
    slots = Slots(LINES)
    hashes, rows = hashes_in(0, LINE + 2), list(range(LINE + 2))
    slots.place_many(packed_hashes(hashes), packed(rows))

    if many:
        slots.drop_many(packed_hashes(hashes[3:5]), packed(rows[3:5]))
    else:
        slots.drop(hashes[3], 3)
        slots.drop(hashes[4], 4)
    between = found(slots, hashes, rows)
    assert (slots.live, slots.dropped) == (LINE, 2)
    new = hashes_in(0, 2, 200)
    slots.place_many(packed_hashes(new), packed([50, 51]))

    assert between == [0, 1, 2, NOWHERE, NOWHERE, *rows[5:]]
    assert found(slots, new, [50, 51]) == [50, 51]
    assert (slots.used, slots.dropped) == (LINE + 2, 0)


def test_row_with_the_tag_of_another_key_is_not_taken_for_it() -> None:
    """Keys are compared in full, however many share a hash."""
    slots = Slots(LINES)
    same = [7 << 24] * 30

    slots.place_many(packed_hashes(same), packed(list(range(30))))

    assert found(slots, same, list(range(30))) == list(range(30))
    assert found(slots, same[:1], [31]) == [NOWHERE]


# Keys that somebody chose.


def chosen_keys() -> dict[str, KeyBytes]:
    """Return sets of 4,096 digests that differ in very little."""
    few = np.array(list(product(range(8), repeat=4)), np.uint64)
    counted = np.zeros((4096, 4), np.uint64)
    counted[:, 3] = np.arange(4096)
    high = few << np.uint64(61)
    sparse = counted << np.uint64(52)
    sets = {"counted": counted, "high bits": high, "low bits": few, "sparse": sparse}
    return {name: words.view(np.uint8) for name, words in sets.items()}


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
@pytest.mark.parametrize("name", chosen_keys())
def test_chosen_keys_make_no_long_probes(name: str, seed: int) -> None:
    """Whatever bits they share."""
    keys = chosen_keys()[name]
    table = Table("t", (), key_bytes=32, seed=seed)

    for first in range(0, len(keys), 100):
        table.add_many(keys[first : first + 100])

    assert table.probes_max <= 4
    assert (table.find_many(keys) == np.arange(len(keys))).all()


def test_seed_changes_no_row() -> None:
    """It only says where keys are looked for."""
    keys = chosen_keys()["counted"]
    tables = [Table("t", (), key_bytes=32, seed=seed) for seed in (0, 99)]

    rows = [table.find_or_add_many(keys)[0].tolist() for table in tables]

    assert rows[0] == rows[1]
    assert factors(0, 8) != factors(99, 8)


@pytest.mark.parametrize("words", [1, 2, 3, 5, 8])
def test_many_keys_are_hashed_as_each_one_is(words: int) -> None:
    """Whatever their size."""
    keys = np.random.default_rng(1).integers(0, 256, (50, 4 * words), np.uint8)

    many = hash_of_many(7, words)(keys.view("<u4"))

    single = hash_of_one(7, words)
    assert many.tolist() == [single(key.tobytes()) for key in keys]


# Growth.


def test_every_key_is_found_while_slots_grow() -> None:
    """One added, one looked for, from none to three thousand."""
    table = Table("t", (), key_bytes=4)

    for number in range(3000):
        table.add(number.to_bytes(4, "little"))
        probe = np.array([[number // 2], [number], [number + 1]], "<u4").view(np.uint8)
        assert table.find_many(probe).tolist() == [number // 2, number, ABSENT]

    assert 0.3 < table.slot_load < 0.8


def test_one_batch_may_outgrow_all_slots() -> None:
    """Keys that come at once are found as those that come one by one."""
    table = Table("t", (), key_bytes=4)
    keys = np.arange(20_000, dtype="<u4").view(np.uint8).reshape(-1, 4)

    rows, new = table.find_or_add_many(np.concatenate([keys, keys[::-1]]))

    assert rows.tolist() == [*range(20_000), *reversed(range(20_000))]
    assert (new == (np.arange(40_000) < 20_000)).all()
    assert table.slot_load < 0.8


def test_equal_keys_of_a_batch_are_one() -> None:
    """However often a new key is named, it gets one row."""
    table = Table("t", ("one",), key_bytes=8)
    keys = np.full((500, 8), 7, np.uint8)

    rows, new = table.find_or_add_many(keys)

    assert set(rows.tolist()) == {0}
    assert np.flatnonzero(new).tolist() == [0]


def test_slots_of_a_ring_are_swept() -> None:
    """A table that forgets for ever does not grow for ever."""
    table = Table("t", (), 300, key_bytes=4)

    for first in range(0, 60_000, 50):
        keys = np.arange(first, first + 50, dtype="<u4").view(np.uint8).reshape(-1, 4)
        table.add_many(keys)

    assert len(table) == 300
    assert table.slot_count <= 1024
