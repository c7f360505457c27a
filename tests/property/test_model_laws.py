"""Folding equals the reference model, on any log of any facts."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from placement.core import event as ev
from placement.core.event import Fact, RecordedMessage
from placement.core.fingerprint import canonical_rows, fingerprint, fingerprint_of
from placement.core.fold import fold
from placement.core.state import State
from placement.core.tables.table import Table
from tests.model import Limits, Model
from tests.strategies import FACT_STRATEGIES, FACTS, deciding_logs, examples, logs

CONTENT = (
    ev.ContentPushed,
    ev.ContentAnnounced,
    ev.ContentReplicated,
    ev.ContentEvicted,
    ev.TagMoved,
    ev.InventoryTaken,
    ev.OwnershipDeclared,
)
USE = (
    ev.ContentPushed,
    ev.ContentPulled,
    ev.StartsRequested,
    ev.AppWithdrawn,
    ev.MachineStarted,
    ev.MachineStopped,
    ev.MachinesCounted,
    ev.TransferMeasured,
)
STEERING = (ev.TagMoved, *(k for k in FACTS if k not in (*CONTENT, *USE)))
SMALL = Limits(
    regions=4,
    mentioned=2,
    mentioned_by_one=1,
    event_ids=8,
    set_aside=2,
    requests=2,
    stopped=2,
    decisions=2,
    policies=2,
    versions_open=2,
    shapes=2,
    start_days=2,
)
LEARNING = (
    ev.ContentPushed,
    ev.TagMoved,
    ev.ContentPulled,
    ev.MachineStarted,
    ev.AppWithdrawn,
)


def of(*kinds: type) -> SearchStrategy[Fact]:
    """Return a strategy of some of the facts."""
    return st.one_of(*(FACT_STRATEGIES[kind] for kind in kinds))


def small_state() -> State:
    """Return a state that forgets as much as SMALL says."""
    state = State()
    for name in ("event_ids", "set_aside", "requests", "stopped", "start_days"):
        columns = getattr(state, name).columns
        setattr(state, name, Table(name, columns, getattr(SMALL, name)))
    state.decisions = Table("decisions", state.decisions.columns, SMALL.decisions)
    return state


def assert_agree(state: State, model: Model) -> None:
    """Compare row by row, so that a difference can be read, and then the hash."""
    rows = list(model.rows())

    assert sorted(map(repr, canonical_rows(state))) == sorted(map(repr, rows))
    assert fingerprint(state) == fingerprint_of(rows)


@examples(300)
@given(logs())
def test_fold_equals_the_model(log: list[RecordedMessage]) -> None:
    """On a log of any facts the fold's rows are those of the plain model."""
    state, model = State(), Model()

    for message in log:
        fold(state, message)
        model.fold(message)

    assert_agree(state, model)


@pytest.mark.parametrize(
    "kinds",
    [CONTENT, USE, STEERING, LEARNING],
    ids=["content", "use", "steering", "learning"],
)
@examples(200)
@given(st.data())
def test_fold_equals_the_model_where_facts_meet(
    kinds: tuple[type, ...], data: st.DataObject
) -> None:
    """Facts of one kind meet more often alone; they agree after every message."""
    log = data.draw(logs(of(*kinds)))
    state, model = State(), Model()

    for message in log:
        fold(state, message)
        model.fold(message)
        assert_agree(state, model)


@pytest.mark.parametrize(
    "kinds",
    [FACTS, USE, STEERING, LEARNING],
    ids=["all", "use", "steering", "learning"],
)
@examples(150)
@given(st.data())
def test_fold_forgets_as_the_model_does(
    kinds: tuple[type, ...], data: st.DataObject
) -> None:
    """With room for four regions and two of everything else, both forget the same."""
    log = data.draw(logs(of(*kinds)))
    fold_little(log)


@examples(200)
@given(deciding_logs())
def test_decisions_are_opened_carried_out_and_judged_as_the_model_does(
    log: list[RecordedMessage],
) -> None:
    """About few images, by few ids: most are refused, and starts find the others."""
    state, model = State(), Model()

    for message in log:
        fold(state, message)
        model.fold(message)
        assert_agree(state, model)


@examples(120)
@given(deciding_logs())
def test_decisions_are_forgotten_as_the_model_does(log: list[RecordedMessage]) -> None:
    """What a row was about before never shows through."""
    fold_little(log)


def fold_little(log: list[RecordedMessage]) -> None:
    """Fold *log* into a state and a model with little room, and compare them."""
    state, model = small_state(), Model(SMALL)

    with (
        patch("placement.core.folds.mentions.REGION_COUNT_MAX", SMALL.regions),
        patch("placement.core.folds.mentions.MENTIONED_MAX", SMALL.mentioned),
        patch(
            "placement.core.folds.mentions.MENTIONED_BY_ONE_MAX",
            SMALL.mentioned_by_one,
        ),
        patch("placement.core.folds.orders.POLICIES_REMEMBERED", SMALL.policies),
        patch("placement.core.folds.trials.VERSIONS_OPEN_MAX", SMALL.versions_open),
        patch("placement.core.folds.versions.VERSIONS_OPEN_MAX", SMALL.versions_open),
        patch("placement.core.folds.trials.SHAPES_MAX", SMALL.shapes),
    ):
        for message in log:
            fold(state, message)
            model.fold(message)

    assert_agree(state, model)
