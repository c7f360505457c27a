"""Laws of the seal: what was saved, whenever, comes back with the seal it had."""

from hypothesis import given
from hypothesis import strategies as st

from placement.core.chunks import take_dirty
from placement.core.event import RecordedMessage
from placement.core.fold import FOLD_VERSION, fold
from placement.core.seal import seal
from placement.core.state import State
from placement.ports import CheckpointHeader, Chunk
from placement.runtime.checkpoint import Restored
from tests.golden_logs import every_fact_log, folded_messages
from tests.small_pages import small_pages
from tests.strategies import examples, logs


def restored(state: State, saved: dict[tuple[str, int], bytes]) -> State:
    """Return what a checkpoint of *state* that holds *saved* loads to."""
    header = CheckpointHeader(
        "epoch",
        state.sequence,
        state.store_time_ns,
        FOLD_VERSION,
        state.message_hash,
    )
    restoring = Restored(FOLD_VERSION)
    take = restoring.begin(header)
    for place, body in sorted(saved.items()):
        take(Chunk(*place, body))
    return restoring.state()


@examples(40)
@given(logs(most=20), st.data())
def test_loaded_state_has_the_seal_of_the_saved_one(
    log: list[RecordedMessage], data: st.DataObject
) -> None:
    """However often a state was saved in between, in pages and in deltas."""
    saves = data.draw(st.sets(st.integers(0, len(log) - 1)), label="saves after")
    saved: dict[tuple[str, int], bytes] = {}

    with small_pages():
        state = State()
        for number, item in enumerate(log):
            fold(state, item)
            if number in saves or number == len(log) - 1:
                saved |= {(name, n): body for name, n, body in take_dirty(state)}
        found = restored(state, saved)

        assert seal(found) == seal(state)


def test_every_change_changes_the_seal() -> None:
    """A state of every fact: one cell more in any of its tables is another seal."""
    state = folded_messages(every_fact_log())
    before = seal(state)
    checked = 0

    for table in state.tables().values():
        if not table.columns or not len(table):
            continue
        _, row = next(table.rows())
        value = table.get(row, 0)
        table.set(row, 0, value + 1)
        assert seal(state) != before, table.name
        table.set(row, 0, value)
        checked += 1

    assert checked > 20
    assert seal(state) == before


def test_position_is_part_of_the_seal() -> None:
    """The same rows at another message are sealed otherwise."""
    state = State()
    before = seal(state)

    state.sequence = 1

    assert seal(state) != before
