"""Laws of the fold: cuts into messages, redelivery, checkpoints.

What they do not promise is said in each law's sentence.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from placement.core import event as ev
from placement.core.chunks import load, take_dirty
from placement.core.event import Event, Recorded, RecordedMessage
from placement.core.fingerprint import fingerprint
from placement.core.fold import FOLD_VERSION, fold
from placement.core.state import State
from placement.core.tables.indexes import Indexes
from placement.core.tables.table import Row
from placement.ports import CheckpointHeader, Chunk
from placement.runtime.checkpoint import Restored
from tests.builders import DAY_NS, SECOND_NS, START_NS, folded_log, rows_of
from tests.small_pages import small_pages
from tests.strategies import (
    DECIDING_REGIONS,
    FACT_STRATEGIES,
    deciding_facts,
    deciding_logs,
    events,
    examples,
    logs,
)

flags: st.SearchStrategy[bool] = st.booleans()
requests: st.SearchStrategy[ev.Fact] = st.one_of(
    FACT_STRATEGIES[ev.ReplicationRequested], FACT_STRATEGIES[ev.StartsRequested]
)


# Any cut of a log into messages.


@st.composite
def dated_events(draw: DrawFn) -> list[Event]:
    """Draw events that state when they happened, at no limit of lateness."""
    ages = st.sampled_from([1, 30, 600, 7200, 30 * 3600])
    found: list[Event] = []
    for number in range(draw(st.integers(1, 14))):
        happened = ev.TimeNs(START_NS - draw(ages) * SECOND_NS)
        event = replace(draw(events()), occur_time_ns=happened)
        found.append(replace(event, event_id=ev.Identifier(f"e-{number}")))
    return found


def cut(happened: Sequence[Event], ends: Iterable[int]) -> Iterator[RecordedMessage]:
    """Yield *happened* in messages that end before the positions *ends*.

    A message is stored at the position of its first event, in nanoseconds: an event's
    order is its message's time and its place in it, so each keeps its own order.
    """
    begin = 0
    for sequence, end in enumerate(sorted({*ends, len(happened)} - {0}), 1):
        stored_ns = START_NS + begin
        items = tuple(
            Recorded(sequence, index, event.occur_time_ns, stored_ns, event)
            for index, event in enumerate(happened[begin:end])
            if event.occur_time_ns is not None
        )
        yield RecordedMessage(sequence, stored_ns, b"", items)
        begin = end


@examples(150)
@given(dated_events(), st.sets(st.integers(1, 13)))
def test_any_cut_into_messages_folds_to_the_same_rows(
    happened: list[Event], ends: set[int]
) -> None:
    """Batching changes nothing but where the events that were set aside are listed.

    That is, while each event keeps its order (the time of its message plus its place in
    it), states its own time, and does not cross a limit of lateness by that place.
    """
    whole = folded_log(cut(happened, []))

    parts = folded_log(cut(happened, {end for end in ends if end < len(happened)}))

    assert rows_of(parts, "set_aside") == rows_of(whole, "set_aside")


# Redelivery.


@examples(200)
@given(logs(), st.data())
def test_redelivery_changes_nothing(
    log: list[RecordedMessage], data: st.DataObject
) -> None:
    """Events stored again, up to ten times, whole messages or single ones, are none.

    Refused events too; only messages that nobody can read are counted each time.
    """
    once = folded_log(log)
    spread = [at_sequence(message, message.sequence * 100) for message in log]
    repeated = [spread[0]]
    for message in spread[1:]:
        repeated.extend(redelivered(data, repeated))
        repeated.append(message)
    repeated.extend(redelivered(data, repeated))

    again = folded_log(repeated)

    assert rows_of(again, "set_aside") == rows_of(once, "set_aside")
    assert fingerprint(again) == fingerprint(folded_log(spread))


def redelivered(
    data: st.DataObject, before: list[RecordedMessage]
) -> Iterator[RecordedMessage]:
    """Yield up to ten repeats of what was stored *before*, stored later still."""
    last = before[-1]
    for number in range(1, data.draw(st.sampled_from([0, 1, 10])) + 1):
        original = data.draw(st.sampled_from(before))
        kept = [item for item in original.items if isinstance(item, Recorded)]
        alone: bool = data.draw(flags)
        if kept and alone:
            kept = [kept[data.draw(st.integers(0, len(kept) - 1))]]
        message = replace(original, items=tuple(kept))
        later = data.draw(st.sampled_from([0, SECOND_NS, 9 * DAY_NS]))
        yield at_sequence(message, last.sequence + number, later)


def at_sequence(
    message: RecordedMessage, sequence: int, later_ns: int = 0
) -> RecordedMessage:
    """Return *message* as it would be at another sequence, *later_ns* later."""
    stored_ns = message.store_time_ns + later_ns
    items = tuple(
        replace(item, sequence=sequence, store_time_ns=stored_ns)
        for item in message.items
    )
    return replace(message, sequence=sequence, store_time_ns=stored_ns, items=items)


# Checkpoints.


@examples(150)
@given(logs(most=20), st.data())
def test_save_load_and_the_rest_equal_the_whole(
    log: list[RecordedMessage], data: st.DataObject
) -> None:
    """Killed at any point and restored from changed chunks, the fold ends the same.

    Pages are small here, so that most of them are not saved each time.
    """
    saved: dict[tuple[str, int], bytes] = {}
    saves = data.draw(st.sets(st.integers(0, len(log) - 1)), label="saves after")
    killed = data.draw(st.integers(0, len(log) - 1), label="killed after")

    header = CheckpointHeader("epoch", 0, 0, FOLD_VERSION, b"")
    with small_pages():
        state, position = State(), 0
        for number, item in enumerate(log[: killed + 1]):
            fold(state, item)
            if number in saves:
                chunks = take_dirty(state)
                saved |= {(table, chunk): body for table, chunk, body in chunks}
                position = number + 1
                header = replace(
                    header,
                    sequence=state.sequence,
                    store_time_ns=state.store_time_ns,
                    message_hash=state.message_hash,
                )
        restoring = Restored(FOLD_VERSION)
        take = restoring.begin(header)
        for place, body in sorted(saved.items()):
            take(Chunk(*place, body))
        restored = restoring.state()
        for item in log[position:]:
            fold(restored, item)

    whole = folded_log(log)
    assert rows_of(restored) == rows_of(whole)
    assert fingerprint(restored) == fingerprint(whole)
    assert restored.sequence == whole.sequence
    assert restored.store_time_ns == whole.store_time_ns
    assert restored.message_hash == whole.message_hash


@examples(150)
@given(
    logs(st.one_of(deciding_facts, requests), 20, DECIDING_REGIONS, calm=True),
    st.data(),
)
def test_indexes_of_a_checkpoint_are_those_of_the_fold(
    log: list[RecordedMessage], data: st.DataObject
) -> None:
    """What is derived from the rows is the same, however the rows came to be."""
    folded, restored = folded_log(log), State()

    load(restored, take_dirty(folded))

    assert looked_up(restored) == looked_up(folded)
    later = data.draw(deciding_logs(), label="after the restart")
    for message in later:
        for state in (folded, restored):
            fold(state, at_sequence(message, message.sequence + 1000))
    assert looked_up(restored) == looked_up(folded)
    assert fingerprint(restored) == fingerprint(folded)


def looked_up(state: State) -> list[object]:
    """Return all that the indexes of decisions and requests say."""
    indexes: Indexes = state.indexes
    decisions = indexes.decisions
    regions = [Row(row) for row in range(len(state.regions))]
    placements = [Row(row) for row in range(len(state.placements))]
    owners = [Row(row) for row in range(len(state.repositories))]
    return [
        [decisions.about(owner) for owner in owners],
        [decisions.of(placement) for placement in placements],
        [decisions.planned_into(region) for region in regions],
        [sorted(decisions.copies_into(region)) for region in regions],
        [sorted(decisions.removals_from(region)) for region in regions],
        [sorted(decisions.flows_from(region)) for region in regions],
        decisions.open_targets(),
        [indexes.wanted_of(placement) for placement in placements],
        [indexes.awaited_of(placement) for placement in placements],
    ]
