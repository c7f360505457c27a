"""Compiled code is ready before it is needed: nobody waits for a compiler."""

from placement.bench.busy import BusyLog
from placement.bench.made_state import StateMaker
from placement.config import Config, load_topology
from placement.core.fold_block import fold_block
from placement.core.tables.compiled import COMPILED, use_numpy
from placement.runtime.reader import compiled
from placement.wire.columns import decode_block


def variants() -> dict[str, int]:
    """Return for how many kinds of arguments each function was compiled."""
    functions = vars(COMPILED.kernels).items()
    return {
        name: len(function.signatures)
        for name, function in functions
        if hasattr(function, "signatures")
    }


def test_nothing_is_compiled_while_events_are_folded() -> None:
    """Whatever the arrays are: read-only, of narrow cells, of keys of any size."""
    try:
        read = compiled()
        before = variants()
        state = StateMaker(load_topology(Config())).made(2_000)
        busy = BusyLog(state)

        for message in busy.mix(3) + busy.uses(1):
            block = decode_block([message], None, read)
            fold_block(state, block, lambda _frame: None)

        assert variants() == before
        assert before["search"] > 1
    finally:
        use_numpy()
