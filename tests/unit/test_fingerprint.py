"""The fingerprint: equal for equal rows in any order, different for any other row."""

from placement.core.event import RecordedMessage, TickPassed
from placement.core.fingerprint import (
    CanonicalRow,
    canonical_rows,
    fingerprint,
    fingerprint_of,
)
from placement.core.fold import fold
from placement.core.state import State
from tests.builders import AMS, FRA, event, folded, message, pushed


def test_fingerprint_of_nothing_is_written_down() -> None:
    """An empty state is the same everywhere, for ever."""
    assert fingerprint(State()) == "d6f8cf7adfaa600d911df2832bffbe36"


def test_order_of_rows_means_nothing() -> None:
    """Rows are kept in whatever order they were added."""
    rows: list[CanonicalRow] = [("b", 2), ("a", 1), ("c", b"x")]

    assert fingerprint_of(rows) == fingerprint_of(reversed(rows))


def test_every_part_of_a_row_counts() -> None:
    """Kind, names, numbers, and what is text and what is bytes; twice is not once."""
    rows: list[list[CanonicalRow]] = [
        [("a", 1)],
        [("a", 2)],
        [("b", 1)],
        [("a", "1")],
        [("a", b"1")],
        [("a", 1), ("a", 1)],
        [],
    ]

    assert len({fingerprint_of(item) for item in rows}) == 7


def test_other_state_has_another_fingerprint() -> None:
    """One replica more, or in another region, is another state."""
    states = [
        folded(),
        folded(pushed("a", AMS)),
        folded(pushed("a", FRA)),
        folded(pushed("a", AMS), pushed("a", FRA)),
    ]

    assert len({fingerprint(state) for state in states}) == 4


def test_position_is_no_part_of_it() -> None:
    """Messages that say nothing new leave the fingerprint as it was."""
    state = folded(pushed("a", AMS))
    before = fingerprint(state)

    fold(state, RecordedMessage(9, state.store_time_ns + 1, b"", ()))

    assert (state.sequence, fingerprint(state)) == (9, before)


def test_rows_name_what_they_are_about() -> None:
    """No row's number is in them, so that any other way to keep them can agree."""
    tick = event(AMS, TickPassed(1))
    state = State()

    fold(state, message(1, tick))

    kinds = sorted({str(row[0]) for row in canonical_rows(state)})
    assert kinds == ["counter", "event_id", "region"]
    assert ("region", b"ams", 0, 0, 0, 0, 0) in set(canonical_rows(state))
