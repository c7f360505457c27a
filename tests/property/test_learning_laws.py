"""What is learned depends on the log alone, and on nothing but versions and starts."""

from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from placement.core import event as ev
from placement.core.betting import open_trials
from placement.core.event import Event, Recorded, RecordedMessage
from placement.core.fingerprint import fingerprint
from placement.core.fold import fold
from placement.core.forecast import Forecaster
from placement.core.policy import LIMITS, Policy
from placement.core.state import State
from placement.core.tables.table import Row
from tests.builders import AMS, SECOND_NS, WEB, folded_log, message, rows_of
from tests.learning import (
    REGIONS,
    VERSIONS,
    image,
    learned_rows,
    lessons,
    log_of,
    reloaded,
)
from tests.model import Limits, Model
from tests.strategies import examples

Told = list[tuple[int, Event]]
FEW = Limits(versions_open=2, shapes=2)


@examples(100)
@given(lessons())
def test_learning_equals_the_model(told: Told) -> None:
    """Versions that follow each other leave the rows of the plain model."""
    state, model = State(), Model()

    for item in log_of(told):
        fold(state, item)
        model.fold(item)

    assert rows_of(state) == sorted(model.rows(), key=repr)


@examples(60)
@given(lessons())
def test_limits_equal_the_model(told: Told) -> None:
    """With two open versions an app and two shapes, both give up the same ones."""
    state, model = State(), Model(FEW)

    with (
        patch("placement.core.folds.trials.VERSIONS_OPEN_MAX", FEW.versions_open),
        patch("placement.core.folds.versions.VERSIONS_OPEN_MAX", FEW.versions_open),
        patch("placement.core.folds.trials.SHAPES_MAX", FEW.shapes),
    ):
        for item in log_of(told):
            fold(state, item)
            model.fold(item)

    assert rows_of(state) == sorted(model.rows(), key=repr)


@examples(60)
@given(lessons(), st.sets(st.integers(0, 39)))
def test_reloading_between_any_two_messages_changes_nothing(
    told: Told, after: set[int]
) -> None:
    """What chunks do not hold is made again as it was: the order of all open trials."""
    log = log_of(told)
    state = whole = State()

    for number, item in enumerate(log):
        if state is not whole:
            fold(whole, item)
        fold(state, item)
        if number in after:
            state = reloaded(state)

        assert open_in_order(state) == open_in_order(whole)
    assert rows_of(state) == rows_of(folded_log(log))


def open_in_order(state: State) -> list[tuple[list[Row], list[list[bytes]]]]:
    """Return, by app, its versions with open trials, and the keys of those."""
    trials = state.indexes.trials
    found = []
    for app in range(len(state.apps)):
        versions = trials.versions_of(Row(app))
        found.append((versions, [trials.of_version(version) for version in versions]))
    return found


@examples(60)
@given(lessons(late=False), st.sets(st.integers(1, 39)))
def test_cuts_into_messages_change_nothing(told: Told, ends: set[int]) -> None:
    """Events of one message, or of a message each, teach the same.

    The log's time of an event is that of its message plus its place in it; where both
    logs have the same times, what they teach is the same.
    """
    together: list[RecordedMessage] = []
    alone: list[RecordedMessage] = []
    for number, (stored_ns, event) in enumerate(told, 1):
        named = replace(event, event_id=ev.Identifier(f"e-{number}"))
        if not together or number - 1 in ends:
            together.append(RecordedMessage(number, stored_ns, b"", ()))
        last = together[-1]
        place = len(last.items)
        base_ns = last.store_time_ns
        item = Recorded(last.sequence, place, base_ns, base_ns, named)
        together[-1] = replace(last, items=(*last.items, item))
        single = Recorded(number, 0, base_ns, base_ns + place, named)
        alone.append(RecordedMessage(number, base_ns + place, b"", (single,)))

    found = learned_rows(folded_log(together))

    assert found == learned_rows(folded_log(alone))


@examples(60)
@given(lessons(), st.data())
def test_duplicates_teach_nothing(told: Told, data: st.DataObject) -> None:
    """An event that is stored again, even months later, is no outcome."""
    log = log_of(told)
    repeated: list[RecordedMessage] = []
    for item in log:
        repeated.append(replace(item, sequence=2 * item.sequence))
        again = data.draw(st.sampled_from(log[: item.sequence]))
        late_ns = item.store_time_ns
        repeated.append(
            replace(again, sequence=2 * item.sequence + 1, store_time_ns=late_ns)
        )

    found = learned_rows(folded_log(repeated))

    assert found == learned_rows(folded_log(log))


@examples(60)
@given(lessons(), st.data())
def test_copies_and_scans_teach_nothing(told: Told, data: st.DataObject) -> None:
    """What we bring somewhere, and what a scanner reads there, is nobody's demand."""
    log = log_of(told)
    mixed: list[RecordedMessage] = []
    for item in log:
        region = data.draw(st.sampled_from(REGIONS))
        copied = image(data.draw(st.integers(0, VERSIONS - 1)))
        kinds = st.sampled_from([ev.ClientKind.SCANNER, ev.ClientKind.REPLICATOR])
        pull = ev.ContentPulled(copied.digest, WEB, client_kind=data.draw(kinds))
        copy = ev.ContentReplicated((copied,), WEB)
        told_of: list[ev.Fact] = [pull, copy]
        fact = data.draw(st.sampled_from(told_of))
        between = Event(ev.Identifier(f"copy-{item.sequence}"), region, fact)
        before_ns = item.store_time_ns - SECOND_NS // 2
        sequence = 2 * item.sequence
        mixed.append(message(sequence - 1, between, store_time_ns=before_ns))
        mixed.append(replace(item, sequence=sequence))

    found = learned_rows(folded_log(mixed))

    assert found == learned_rows(folded_log(log))


@examples(60)
@given(lessons(late=False))
def test_old_news_teaches_nothing(told: Told) -> None:
    """The same story told a day and an hour late leaves no version and no outcome."""
    late = [
        (stored_ns, replace(event, occur_time_ns=ev.TimeNs(stored_ns - 90_001 * 10**9)))
        for stored_ns, event in told
    ]

    assert learned_rows(folded_log(log_of(late))) == []


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw a policy of any numbers within their limits."""
    numbers = {key: draw(st.floats(*limits)) for key, limits in LIMITS.items()}
    return Policy(**numbers)  # type: ignore[arg-type] # every number has limits


@examples(60)
@given(lessons(late=False), policies())
def test_policy_changes_no_fingerprint(told: Told, policy: Policy) -> None:
    """Whatever is asked by whatever policy, the state stays as the log left it.

    And every chance is one.
    """
    state = folded_log(log_of(told))
    before = fingerprint(state)

    chances = asked(state, policy)

    assert fingerprint(state) == before
    assert all(0 <= chance <= 1 for chance in chances)


def asked(state: State, policy: Policy) -> Sequence[float]:
    """Return every chance of every version, and of the share that comes in time."""
    forecaster = Forecaster(state, policy)
    rows = [Row(int.from_bytes(key, "little")) for key, _ in state.versions.rows()]
    trials = [trial for row in rows for trial in open_trials(state, row)]
    timely = [forecaster.timely(trial, 30.0) for trial in trials]
    return [*(forecaster.chance(trial) for trial in trials), *timely]


@examples(60)
@given(lessons(late=False, pulls=False), st.integers(1, 2**31))
def test_same_instant_teaches_no_hit(told: Told, salt: int) -> None:
    """What starts within the second of its own trigger could not be foretold."""
    machine = ev.Identifier(f"machine-{salt}")
    at_once = [
        (stored_ns, event)
        for stored_ns, event in told
        if isinstance(event.fact, ev.ContentPushed)
    ]
    instants = [
        item
        for stored_ns, event in at_once
        if isinstance(event.fact, ev.ContentPushed)
        for item in (
            (stored_ns, event),
            *(
                (stored_ns, Event(event.event_id, region, start_of(event, machine)))
                for region in (AMS, *REGIONS[1:])
            ),
        )
    ]

    rows = learned_rows(folded_log(log_of(instants)))

    assert not [row for row in rows if row[0] == "outcomes" and row[8]]


def start_of(event: Event, machine: ev.Identifier) -> ev.MachineStarted:
    """Return a start of what an event pushed."""
    assert isinstance(event.fact, ev.ContentPushed)
    content, repository = event.fact.content, event.fact.repository
    return ev.MachineStarted(content.digest, repository, machine)
