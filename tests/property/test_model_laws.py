"""Folding equals the reference model, on any log of any facts."""

from hypothesis import given

from placement.core.event import RecordedMessage
from placement.core.fingerprint import canonical_rows, fingerprint_of
from placement.core.fold import fold
from placement.core.state import State
from tests.model import Model
from tests.strategies import examples, logs


def assert_agree(state: State, model: Model) -> None:
    """Compare row by row, so that a difference can be read, and then the hash."""
    ours, theirs = (
        sorted(map(repr, canonical_rows(state))),
        sorted(map(repr, model.rows())),
    )

    assert ours == theirs
    assert fingerprint_of(canonical_rows(state)) == fingerprint_of(model.rows())


@examples(600)
@given(logs())
def test_fold_equals_the_model(log: list[RecordedMessage]) -> None:
    """After every message the fold's rows are those of the plain model."""
    state, model = State(), Model()

    for message in log:
        fold(state, message)
        model.fold(message)

    assert_agree(state, model)
