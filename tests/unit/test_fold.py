"""The fold: what is folded once, what is set aside, what orders facts, what is late."""

from dataclasses import replace

import pytest

from placement.core.event import (
    ContentPushed,
    ContentReplicated,
    Event,
    EventQuarantined,
    Identifier,
    Name,
    Operation,
    RegionChanged,
    RegionState,
    ReplicationPaused,
    SetAside,
    StartsRequested,
    TickPassed,
    TimeNs,
)
from placement.core.event_keys import event_key
from placement.core.fingerprint import fingerprint
from placement.core.fold import fold
from placement.core.oci import Descriptor
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.table import ABSENT
from placement.core.topology import Region
from tests.builders import (
    AMS,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    INDEX,
    LATEST,
    LAYER,
    MANIFEST,
    SECOND_NS,
    START_NS,
    WEB,
    A,
    descriptor,
    event,
    evicted,
    fold_in,
    folded,
    message,
    pulled,
    pushed,
    rows_of,
)


def set_aside(state: State) -> list[str]:
    """Return what is listed as set aside: sequence, place and reason."""
    rows = (key.decode().replace("\0", " ") for key, _ in state.set_aside.rows())
    return sorted(rows)


def phase(state: State, region: Region = AMS) -> ReplicaPhase:
    """Return how far content a of acme/web has arrived in *region*."""
    return state.phase(state.find_placement(WEB, A), state.region_row(region))


def test_state_stands_where_the_last_message_does() -> None:
    """Sequence, time and hash are those of the message that was folded last."""
    state = State()

    fold(state, message(5, pushed("a", AMS)))

    assert state.sequence == 5
    assert state.store_time_ns == START_NS + 5 * SECOND_NS
    assert state.message_hash == b"%016d" % 5


def test_log_goes_forward_only() -> None:
    """Folding a message again is a bug of the caller, and crashes."""
    state = folded(pushed("a", AMS))

    with pytest.raises(AssertionError, match="forward"):
        fold(state, message(1, pushed("a", AMS)))


def test_time_of_the_state_never_goes_back() -> None:
    """A log whose clock was set back leaves the newest time that was seen."""
    state = folded(pushed("a", AMS))

    fold(state, message(2, pushed("b", AMS), store_time_ns=START_NS))

    assert state.store_time_ns == START_NS + SECOND_NS


def test_event_is_folded_once_however_often_it_is_stored() -> None:
    """The id alone says so, ten times over, whatever the repeat holds."""
    pull = replace(pulled("a", FRA), event_id=Identifier("same"))
    once = folded(pull)
    before = fingerprint(once)

    again = fold_in(once, *[replace(pull, app=Name(f"app{n}")) for n in range(10)])

    assert (again.count("folded"), again.count("duplicate")) == (1, 10)
    assert fingerprint(again) == before


def test_refused_event_that_is_stored_again_is_a_duplicate() -> None:
    """It is set aside once: what was stored twice changes nothing."""
    lie = replace(pushed("a", FRA, size_bytes=7), event_id=Identifier("lie"))
    once = folded(pushed("a", AMS), lie)
    before = fingerprint(once)

    again = fold_in(once, lie)

    assert (again.count("set_aside"), again.count("duplicate")) == (1, 1)
    assert fingerprint(again) == before


def test_ids_are_remembered_by_their_hash() -> None:
    """A long id takes 16 bytes like any other."""
    told = replace(pushed("a", AMS), event_id=Identifier("x" * 128))

    state = folded(told)

    assert state.event_ids.find(event_key(told)) != ABSENT
    assert len(event_key(told)) == 16


def test_what_cannot_be_read_is_counted_and_listed() -> None:
    """The place and the reason are kept, and the sequence goes on."""
    state = State()

    fold(state, message(3, SetAside(3, 0, START_NS, "BYTES_UNREADABLE")))

    assert (state.sequence, state.count("set_aside")) == (3, 1)
    assert set_aside(state) == ["3 0 BYTES_UNREADABLE"]


def test_only_the_newest_10000_that_were_set_aside_are_listed() -> None:
    """All are counted; the first is forgotten when the 10,001st comes."""
    state = State()

    for sequence in range(1, 10_002):
        fold(state, message(sequence, SetAside(sequence, 0, START_NS, "X")))

    assert state.count("set_aside") == 10_001
    assert len(state.set_aside) == 10_000
    assert state.set_aside.find(b"1\x000\x00X") == ABSENT


def test_quarantined_event_is_listed() -> None:
    """What made a fold fail is for people to look at; it changes nothing else."""
    state = folded(event(AMS, EventQuarantined(17, 3)))

    assert set_aside(state) == ["17 3 QUARANTINED"]
    assert state.count("set_aside") == 0


# Regions.


def announced(*codes: str, by: Region = AMS) -> Event:
    """Return an event of a region, Amsterdam, that mentions other regions, too."""
    regions = tuple(Region(code) for code in codes)
    return event(by, StartsRequested(WEB, LATEST, regions))


def invented(first: int, count: int) -> list[str]:
    """Return so many codes of regions that are none, from a number on."""
    return [f"r{number}" for number in range(first, first + count)]


def test_two_hundred_regions_are_accepted_and_no_more() -> None:
    """The 201st is set aside with its reason; those that are known go on."""
    own = [pulled("a", Region(code)) for code in invented(0, 199)]

    state = folded(*own, pulled("a", AMS), pulled("a", FRA), pulled("a", Region("r7")))

    assert len(state.regions) == 200
    assert set_aside(state) == ["201 0 REGION_LIMIT"]
    assert state.count("folded") == 201


def test_event_that_names_too_many_regions_adds_none() -> None:
    """An event is folded whole or not at all."""
    state = folded(announced(*invented(0, 51)))

    assert len(state.regions) == 0
    assert set_aside(state) == ["1 0 REGION_LIMIT"]


def test_region_may_be_mentioned_before_it_has_an_event() -> None:
    """Starts are asked for where nothing ever happened: fifty regions of one."""
    state = folded(announced(*invented(0, 50)))

    assert len(state.regions) == 51
    assert set_aside(state) == []


def test_mentions_of_one_region_leave_the_places_of_the_others() -> None:
    """Whoever fills its own share with invented names refuses itself alone."""
    state = folded(
        announced(*invented(0, 50)),
        announced("one-more"),
        announced("r3"),
        announced("syd", by=FRA),
        *(pulled("a", Region(code)) for code in invented(1000, 120)),
    )

    assert set_aside(state) == ["2 0 REGION_LIMIT"]
    assert len(state.regions) == 1 + 50 + 2 + 120


def test_mentions_of_all_regions_leave_half_of_the_places() -> None:
    """However many regions invent names, those with events of their own get in."""
    tellers = [Region(code) for code in invented(5000, 5)]
    told = [
        announced(*invented(100 * number, 50), by=teller)
        for number, teller in enumerate(tellers)
    ]

    state = folded(*told, *(pulled("a", Region(c)) for c in invented(1000, 98)))

    assert set_aside(state) == [f"{n} 0 REGION_LIMIT" for n in (3, 4, 5)]
    assert len(state.regions) == 100 + 2 + 98


def test_decisions_and_orders_may_name_every_region() -> None:
    """Only who knows the catalogue stores them: they are no mentions."""
    regions = tuple(Region(code) for code in invented(0, 150))

    state = folded(event(AMS, ReplicationPaused(regions)))

    assert len(state.regions) == 151
    assert set_aside(state) == []


# Ids.


def test_id_is_one_in_its_region_and_kind_alone() -> None:
    """Whoever guesses the id of another region's event, or of a tick, voids neither."""
    own_id = Identifier("tick-60000000000-7")
    squat = replace(pulled("a", AMS), event_id=own_id)
    theirs = replace(pulled("a", FRA), event_id=own_id)
    order = event(AMS, RegionChanged(FRA, RegionState.DOWN))

    state = folded(
        squat,
        theirs,
        replace(event(AMS, TickPassed(7)), event_id=own_id),
        replace(squat, event_id=Identifier("order-1")),
        replace(order, event_id=Identifier("order-1")),
        squat,
    )

    assert state.count("tick_number") == 7
    assert state.region_state(FRA, START_NS) is RegionState.DOWN
    assert (state.count("folded"), state.count("duplicate")) == (5, 1)


# Contradictions.


def test_other_size_of_the_same_digest_is_set_aside() -> None:
    """One of the two lies; the first that was told is kept, and the rest untouched."""
    state = folded(pushed("a", AMS, size_bytes=10), pushed("a", FRA, size_bytes=11))

    assert set_aside(state) == ["2 0 CONTENT_CONTRADICTED"]
    assert state.size_bytes(state.find_digest(A)) == 10
    assert state.regions.find(b"fra") == ABSENT


def test_manifest_is_no_index() -> None:
    """A digest that is told to be both is contradicted."""
    state = folded(
        pushed("a", AMS, media_type=MANIFEST), pushed("a", FRA, media_type=INDEX)
    )

    assert set_aside(state) == ["2 0 CONTENT_CONTRADICTED"]


def test_fact_that_contradicts_itself_is_set_aside() -> None:
    """Two sizes of one digest in one event need no history."""
    both = (descriptor("a", 10), descriptor("a", 11))

    state = folded(event(AMS, ContentReplicated(both, WEB)))

    assert set_aside(state) == ["1 0 CONTENT_CONTRADICTED"]


@pytest.mark.parametrize(
    "content",
    [
        Descriptor(A, LAYER, 0),
        Descriptor(A, "", 10_000_000),
        Descriptor(A, "application/octet-stream", 10_000_000),
        Descriptor(A, MANIFEST, 10_000_000),
    ],
    ids=["no size", "no type", "octets", "a better type"],
)
def test_saying_less_is_no_contradiction(content: Descriptor) -> None:
    """Registries leave sizes out and call blobs an octet stream."""
    state = folded(pushed("a", AMS), event(FRA, ContentPushed(content, WEB)))

    assert set_aside(state) == []
    assert phase(state, FRA) is ReplicaPhase.COMPLETE


# What orders facts.


def test_log_orders_what_is_fresh() -> None:
    """Within ten seconds the log's order holds, whatever publishers' clocks say."""
    removed = evicted("a", AMS, at_ns=START_NS - 5 * SECOND_NS)

    state = folded(pushed("a", AMS), removed)

    assert phase(state) is ReplicaPhase.ABSENT


@pytest.mark.parametrize(
    ("late_ns", "expected"),
    [
        (11 * SECOND_NS, ReplicaPhase.ABSENT),
        (11 * SECOND_NS + 1, ReplicaPhase.COMPLETE),
    ],
)
def test_own_time_orders_what_is_late(late_ns: int, expected: ReplicaPhase) -> None:
    """A removal that is told long after it happened does not undo a newer push."""
    stored_ns = START_NS + 2 * SECOND_NS

    state = folded(pushed("a", AMS), evicted("a", AMS, at_ns=stored_ns - late_ns))

    assert phase(state) is expected


def test_place_in_a_batch_orders_what_is_stored_at_once() -> None:
    """Events of one message are ordered as they stand in it."""
    there, gone = pushed("a", AMS), evicted("a", AMS)
    one, other = State(), State()

    fold(one, message(1, there, gone))
    fold(other, message(1, gone, there))

    assert phase(one) is ReplicaPhase.ABSENT
    assert phase(other) is ReplicaPhase.COMPLETE


@pytest.mark.parametrize(
    ("late_ns", "late", "pulls"), [(DAY_NS, 0, 1), (DAY_NS + 1, 1, 0)]
)
def test_what_is_told_a_day_late_is_no_demand(
    late_ns: int, late: int, pulls: int
) -> None:
    """Presence is folded however late it is told, and demand for 24 hours."""
    stored_ns = START_NS + 2 * SECOND_NS

    state = folded(pushed("a", IAD), pulled("a", AMS, at_ns=stored_ns - late_ns))

    assert state.count("late") == late
    assert len(state.uses) == pulls


def test_tick_passes_time() -> None:
    """A quiet hour is a message of its own; it changes nothing but the time."""
    state = folded(pushed("a", AMS))
    before = rows_of(state, "event_id", "counter")

    fold(state, message(2, event(AMS, TickPassed(1)), store_time_ns=START_NS + DAY_NS))

    assert state.store_time_ns == START_NS + DAY_NS
    assert rows_of(state, "event_id", "counter") == before


def test_region_state_ends_by_itself() -> None:
    """An order that has expired holds no longer; nobody has to take it back."""
    hour = Operation(expire_time_ns=TimeNs(START_NS + HOUR_NS))
    state = folded(event(AMS, RegionChanged(AMS, RegionState.DOWN, hour)))

    assert state.region_state(AMS, START_NS + HOUR_NS - 1) is RegionState.DOWN
    assert state.region_state(AMS, START_NS + HOUR_NS) is RegionState.ACTIVE
    assert state.region_state(FRA, START_NS) is RegionState.ACTIVE
