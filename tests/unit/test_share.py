"""Shares of a state: all of it, bit by bit, and the same rows on every replica."""

from collections import Counter

import pytest

from placement.core import share as share_module
from placement.core.fingerprint import CanonicalRow, canonical_rows
from placement.core.fold import fold
from placement.core.share import Share, share_count
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.table import Row
from placement.wire.events import decode_message
from tests.golden_logs import FOLDER, read_log

MESSAGES = read_log(max(FOLDER.glob("*.jsonl")))[1]


def folded(seed: int) -> State:
    """Return a state with every kind of row; *seed* says where keys are looked for."""
    state = State(seed)
    for message in MESSAGES:
        fold(state, decode_message(message))
    return state


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> State:
    """Return a state with every kind of row, cut into a few shares."""
    monkeypatch.setattr(share_module, "SHARE_ROWS", 500)
    return folded(0)


def fingerprints(state: State) -> list[str]:
    """Return the fingerprint of each share."""
    found = []
    for number in range(share_count(state)):
        share = Share(state, number)
        for _ in share.steps():
            pass
        found.append(share.fingerprint)
    return found


def rows_of(state: State, number: int) -> Counter[CanonicalRow]:
    """Return the rows of a share."""
    share = Share(state, number)
    for _ in share.steps():
        pass
    return Counter(canonical_rows(state, share._pick))  # noqa: SLF001 - what it chose


def test_every_row_is_in_a_share(state: State) -> None:
    """What grows is in one share alone, what stays small may be in all of them."""
    count = share_count(state)
    shares = [rows_of(state, number) for number in range(count)]

    everything = Counter(canonical_rows(state))
    times = {row: sum(row in share for share in shares) for row in everything}
    assert count >= 8
    assert set(times.values()) == {1, count}
    assert {row[0] for row in everything if times[row] == 1} >= {
        *("digest", "edge", "placement", "replica", "use", "tag", "event_id"),
        *("demand", "membership", "machine", "decision", "version", "app"),
    }


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("digests", cells.Digest.SIZE),
        ("replicas", cells.Replica.HELD),
        ("uses", cells.Use.PULLS),
        ("decisions", cells.Decision.BYTES),
    ],
)
def test_one_bit_changes_one_share(state: State, table: str, column: int) -> None:
    """Wherever a row differs, the share that it is in tells."""
    before = fingerprints(state)

    changed = state.tables()[table]
    row = Row(len(changed) // 2)
    changed.set(row, column, changed.get(row, column) ^ 1)

    differing = [a != b for a, b in zip(before, fingerprints(state), strict=True)]
    assert sum(differing) == 1


def test_where_rows_are_does_not_matter(state: State) -> None:
    """A replica that looks for keys in other places has the same shares."""
    assert fingerprints(folded(12_345)) == fingerprints(state)
