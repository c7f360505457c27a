"""Folding a block of messages is folding them one by one, on any log of any facts."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from placement.core import event as ev
from placement.core.event import Event, Fact, Recorded, RecordedMessage, SetAside
from placement.core.fingerprint import canonical_rows
from placement.core.fold import fold
from placement.core.fold_block import fold_block
from placement.core.oci import Descriptor, Repository
from placement.core.state import State
from tests.blocks import block_of
from tests.builders import AMS, DAY_NS, FRA, HOUR_NS, SECOND_NS, START_NS
from tests.model import Model
from tests.strategies import DIGESTS, FACT_STRATEGIES, TYPES, examples, facts, logs

WEB, API = Repository("acme/web"), Repository("api")
CONTENTS = [Descriptor(named, TYPES[named], 9) for named in DIGESTS]
AROUND = (
    ev.ContentPushed,
    ev.MachineStarted,
    ev.TransferMeasured,
    ev.OwnershipDeclared,
    ev.TagMoved,
    ev.ContentPulled,
    ev.InventoryTaken,
)


def rows_of(state: State) -> list[str]:
    """Return what the fingerprint is of, so that a difference can be read."""
    return sorted(map(repr, canonical_rows(state)))


def assert_alike(log: list[RecordedMessage], known: int, cuts: set[int]) -> None:
    """Fold *known* messages, then the others in blocks that end before *cuts*."""
    one_by_one, in_blocks, model = State(), State(), Model()
    for message in log:
        fold(one_by_one, message)
        model.fold(message)
    for message in log[:known]:
        fold(in_blocks, message)
    begin = known
    for end in sorted({*(cut for cut in cuts if known < cut < len(log)), len(log)}):
        if begin < end:
            fold_block(in_blocks, block_of(log[begin:end]), lambda _: None)
        begin = end

    assert rows_of(in_blocks) == rows_of(one_by_one)
    assert rows_of(in_blocks) == sorted(map(repr, model.rows()))
    assert in_blocks.sequence == one_by_one.sequence
    assert in_blocks.message_hash == one_by_one.message_hash
    assert in_blocks.store_time_ns == one_by_one.store_time_ns


@examples(100)
@given(st.data())
def test_block_is_folded_as_its_messages_are(data: st.DataObject) -> None:
    """Whatever stands in it, and however a log is cut into blocks."""
    log = data.draw(logs(facts, 24, calm=data.draw(st.booleans())))
    known = data.draw(st.integers(0, len(log)))
    cuts = data.draw(st.sets(st.integers(0, 24), max_size=3))

    assert_alike(log, known, cuts)


# A busy log: what is pulled was pushed before, and little stands around the pulls.


@st.composite
def pulls(draw: DrawFn) -> Fact:
    """Draw the pull of one of few contents, mostly as agents report it."""
    content = draw(st.sampled_from(CONTENTS))
    odd = draw(st.integers(0, 9))
    return ev.ContentPulled(
        content.digest,
        draw(st.sampled_from([WEB, WEB, API])),
        client_region=draw(st.sampled_from([None, AMS, FRA])),
        source_region=draw(st.sampled_from([None, AMS, FRA])),
        transferred_bytes=draw(st.sampled_from([0, 5, 6, 7])),
        pull_duration_ns=draw(st.sampled_from([None, ev.DurationNs(SECOND_NS)])),
        client_kind=draw(st.sampled_from(ev.ClientKind)) if odd == 0 else CLIENT,
        media_type=draw(st.sampled_from(["", content.media_type])),
    )


CLIENT = list(ev.ClientKind)[1]
told = st.sampled_from([ev.Name(""), ev.Name(""), ev.Name("acme"), ev.Name("shop")])


@st.composite
def busy_logs(draw: DrawFn) -> list[RecordedMessage]:
    """Draw a log that begins with pushes, and then holds hardly anything but pulls."""
    typed = st.builds(ev.ContentPushed, st.sampled_from(CONTENTS), st.just(WEB))
    any_of = [FACT_STRATEGIES[kind] for kind in AROUND]
    around: SearchStrategy[Fact] = st.one_of(typed, typed, typed, *any_of)
    untyped = draw(st.booleans())
    pushed = [
        ev.ContentPushed(replace(c, media_type="" if untyped else c.media_type), where)
        for c in CONTENTS
        for where in (WEB, API)
    ]
    batches: list[list[tuple[Fact, ev.Name, int]]] = [
        [(fact, ev.Name(""), 0) for fact in pushed],
        [(draw(FACT_STRATEGIES[ev.MachineStarted]), ev.Name(""), 0)]
        if draw(st.booleans())
        else [],
    ]
    ages = st.sampled_from([0, 0, 0, HOUR_NS, 23 * HOUR_NS, DAY_NS + 1])
    for _ in range(draw(st.integers(1, 5))):
        batches.append([])
        for _ in range(draw(st.integers(1, 12))):
            if draw(st.integers(0, 5)):
                batches[-1].append((draw(pulls()), ev.Name(""), draw(ages)))
            else:
                batches[-1].append((draw(around), draw(told), draw(ages)))
    return [
        _message(number, batch, draw(st.sampled_from([0, 0, 1, 7 * DAY_NS])))
        for number, batch in enumerate(batches, start=1)
    ]


def _message(
    number: int, batch: list[tuple[Fact, ev.Name, int]], late_ns: int
) -> RecordedMessage:
    stored_ns = START_NS + number * 3 + late_ns
    items: list[Recorded | SetAside] = []
    for index, (fact, app, age_ns) in enumerate(batch):
        where = (AMS, FRA)[number % 2]
        named = Event(ev.Identifier(f"e-{number}-{index}"), where, fact, app=app)
        items.append(Recorded(number, index, stored_ns - age_ns, stored_ns, named))
    return RecordedMessage(number, stored_ns, b"%016d" % number, tuple(items))


@examples(150)
@given(busy_logs(), st.integers(0, 4), st.sets(st.integers(0, 8), max_size=2))
def test_calm_pulls_are_folded_as_each_by_itself(
    log: list[RecordedMessage], known: int, cuts: set[int]
) -> None:
    """Nearly all pulls are calm: times, transfers, kinds and owners are as in turn."""
    assert_alike(log, known, cuts)
