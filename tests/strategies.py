"""Hypothesis: every fact, and logs in which facts collide, repeat and come late.

Names are few on purpose, so that facts are about the same things most of the time. A
fact's strategy follows from its annotations, so that a new fact is tried at once.
"""

import os
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from enum import IntEnum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from placement.core import event as ev
from placement.core.event import (
    Event,
    Fact,
    Recorded,
    RecordedMessage,
    SetAside,
)
from placement.core.oci import Descriptor, Digest, Platform, Repository, Tag
from placement.core.topology import Region, Topology
from tests.builders import (
    AMD64,
    AMS,
    ARM64,
    ATTESTATION,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    INDEX,
    LAYER,
    LHR,
    MANIFEST,
    NOWHERE,
    SCL,
    SECOND_NS,
    START_NS,
    TOPOLOGY,
    digest,
)

LONG: Final = bool(os.environ.get("PLACEMENT_LONG"))
"""Set by ``tools/test --long``: twelve times as many examples, others each time."""

FACTS: Final[tuple[type, ...]] = get_args(Fact)
REGIONS: Final[Sequence[Region]] = [AMS, FRA, IAD, LHR, SCL, NOWHERE]
DIGESTS: Final[Sequence[Digest]] = [digest(name) for name in "abcdef"]
OCTETS: Final = "application/octet-stream"
TYPES: Final = dict(
    zip(DIGESTS, (LAYER, LAYER, MANIFEST, MANIFEST, INDEX, OCTETS), strict=True)
)
"""What each digest mostly is; now and then somebody says otherwise."""

AGES_NS: Final = (
    0,
    1,
    10 * SECOND_NS,
    10 * SECOND_NS + 1,
    HOUR_NS,
    DAY_NS,
    DAY_NS + 1,
    8 * DAY_NS,
)
"""How long before it is stored an event happens: the limits, and one past them."""
STEPS_NS: Final = (SECOND_NS, SECOND_NS, 1, 0, 61 * SECOND_NS, HOUR_NS, 9 * DAY_NS, -2)
"""How long after the message before it a message is stored; clocks do go back."""
CALM_AGES_NS: Final = (0, 0, 0, 0, 1, 30 * SECOND_NS, DAY_NS + 1)
CALM_STEPS_NS: Final = (SECOND_NS, SECOND_NS, SECOND_NS, 1, 61 * SECOND_NS, 31 * DAY_NS)


def examples(count: int) -> settings:
    """Return settings for a law that is tried on *count* examples.

    In the gate on a quarter of them, the same ones each time; `tools/test --long` draws
    three times as many, others each time: every run of it adds to what was tried.
    """
    return settings(
        max_examples=count * 3 if LONG else -(-count // 4),
        deadline=None,
        derandomize=not LONG,
        print_blob=True,
        phases=set(Phase) - {Phase.explain},
    )


@st.composite
def descriptors(draw: DrawFn) -> Descriptor:
    """Draw a descriptor; one in ten contradicts the others of its digest."""
    named = draw(st.sampled_from(DIGESTS))
    size = 100 + DIGESTS.index(named)
    media = TYPES[named]
    odd = draw(st.integers(0, 19))
    if odd == 0:
        size, media = 7, draw(st.sampled_from(["", LAYER, MANIFEST, INDEX]))
    elif odd < 4:
        size = 0
    elif odd < 7:
        media = draw(st.sampled_from(["", OCTETS, media]))
    platform = draw(st.sampled_from([None, None, AMD64, ARM64, ATTESTATION]))
    return Descriptor(named, media, size, platform)


times = st.one_of(
    st.sampled_from([1, START_NS - DAY_NS, START_NS, 2**62]),
    st.integers(0, 60).map(lambda n: START_NS + n * SECOND_NS),
).map(ev.TimeNs)

_BY_TYPE: Final[dict[Any, SearchStrategy[Any]]] = {
    Descriptor: descriptors(),
    Digest: st.sampled_from(DIGESTS),
    Repository: st.sampled_from([Repository("acme/web"), Repository("api")]),
    Tag: st.sampled_from([Tag(t) for t in ("latest", "v1", "v2.1", "main-0a1b2c3d")]),
    Region: st.sampled_from(REGIONS),
    Platform: st.sampled_from([AMD64, ARM64, ATTESTATION, Platform()]),
    ev.Identifier: st.sampled_from([ev.Identifier(f"id-{n}") for n in range(5)]),
    ev.Name: st.sampled_from([ev.Name(text) for text in ("", "", "", "acme", "É b")]),
    ev.Text: st.sampled_from([ev.Text(text) for text in ("", "why\n\tnot")]),
    ev.Document: st.sampled_from([ev.Document(text) for text in ("", "a = 1\n")]),
    ev.TimeNs: times,
    ev.DurationNs: st.sampled_from([0, 1, SECOND_NS, 366 * DAY_NS]).map(ev.DurationNs),
    int: st.sampled_from([0, 1, 2, 3, 4, 2**50]),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
}


def values_of(hint: Any) -> SearchStrategy[Any]:  # noqa: ANN401 - any annotation
    """Return the strategy that an annotation asks for."""
    if hint in _BY_TYPE:
        return _BY_TYPE[hint]
    if get_origin(hint) in {Union, UnionType}:
        parts = [part for part in get_args(hint) if part is not NoneType]
        strategies = [values_of(part) for part in parts]
        return st.one_of(*([st.none()] if len(parts) == 1 else []), *strategies)
    if get_origin(hint) is tuple:
        return st.lists(values_of(get_args(hint)[0]), max_size=3).map(tuple)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return st.sampled_from(hint)
    assert is_dataclass(hint), f"no strategy for {hint}"
    assert isinstance(hint, type), f"no strategy for {hint}"
    hints = get_type_hints(hint)
    named = {field.name: values_of(hints[field.name]) for field in fields(hint)}
    return st.builds(hint, **named)


FACT_STRATEGIES: Final[dict[type, SearchStrategy[Fact]]] = {
    fact: values_of(fact) for fact in FACTS
}
facts: Final[SearchStrategy[Fact]] = st.one_of(*FACT_STRATEGIES.values())
"""Every fact, each as often as any other."""


@st.composite
def events(
    draw: DrawFn,
    of: SearchStrategy[Fact] = facts,
    ids: int = 2**40,
    where: Sequence[Region] = REGIONS,
) -> Event:
    """Draw an event of one of the facts *of*, with one of so many *ids*."""
    return Event(
        ev.Identifier(f"e-{draw(st.integers(0, ids))}"),
        draw(st.sampled_from(where)),
        draw(of),
        draw(st.none() | times),
        draw(_BY_TYPE[ev.Name]),
        draw(_BY_TYPE[ev.Name]),
        draw(_BY_TYPE[ev.Name]),
    )


@st.composite
def logs(
    draw: DrawFn,
    of: SearchStrategy[Fact] = facts,
    most: int = 12,
    where: Sequence[Region] = REGIONS,
    *,
    calm: bool = False,
) -> list[RecordedMessage]:
    """Draw up to *most* messages as the log holds them: late, repeated, set aside.

    Of a *calm* log most are neither late nor far apart.
    """
    steps, ages = (CALM_STEPS_NS, CALM_AGES_NS) if calm else (STEPS_NS, AGES_NS)
    stored_ns = START_NS
    sequence = 0
    found = []
    for _ in range(draw(st.integers(1, most))):
        sequence += draw(st.sampled_from([1, 1, 1, 5]))
        stored_ns += draw(st.sampled_from(steps))
        items: list[Recorded | SetAside] = []
        for index in range(draw(st.sampled_from([1, 1, 2, 4]))):
            if draw(st.integers(0, 19)) == 0:
                items.append(SetAside(sequence, index, stored_ns, "BYTES_UNREADABLE"))
                continue
            time_ns = stored_ns - draw(st.sampled_from(ages))
            event = draw(events(of, 2**40 if calm else 40, where))
            items.append(Recorded(sequence, index, time_ns, stored_ns, event))
        mark = b"%016d" % sequence
        found.append(RecordedMessage(sequence, stored_ns, mark, tuple(items)))
    return found


@st.composite
def topologies(draw: DrawFn) -> Topology:
    """Draw a catalogue of some real regions, some without storage, some with orders."""
    codes = draw(
        st.lists(st.sampled_from(list(TOPOLOGY.regions)), min_size=1, unique=True)
    )
    storing = draw(st.lists(st.sampled_from(codes), min_size=1, unique=True))
    orders = st.lists(st.sampled_from(storing), unique=True).map(tuple)
    regions = {
        code: replace(
            TOPOLOGY.regions[code], stores=code in storing, serving_order=draw(orders)
        )
        for code in codes
    }
    return Topology(regions, draw(st.sampled_from(storing)))


# Decisions that meet: about two images and their layer, for starts in two regions.

DECIDING_REGIONS: Final[Sequence[Region]] = [AMS, FRA]
_SHOP: Final = Repository("acme/web")
_LAYER, _IMAGE, _INDEX = (
    Descriptor(DIGESTS[n], TYPES[DIGESTS[n]], 9) for n in (0, 2, 4)
)
_decided = st.sampled_from([c.digest for c in (_IMAGE, _IMAGE, _LAYER, _INDEX)])
_started = st.sampled_from([c.digest for c in (_IMAGE, _IMAGE, _IMAGE, _INDEX)])
_copy_ids = st.sampled_from([ev.Identifier(f"copy-{n}") for n in range(5)])
_targets = st.sampled_from(DECIDING_REGIONS)
_starts = st.sampled_from([(AMS, FRA), (AMS, FRA), (FRA,)])
_subjects = st.builds(
    ev.ReplicationSubject, _copy_ids, st.just(_SHOP), _decided, _targets
)
_waits = st.sampled_from([None, 0, 1, 5 * SECOND_NS])
_worth: Final[dict[str, SearchStrategy[Any]]] = {
    "transfer_bytes": st.integers(0, 9),
    "trigger": values_of(ev.ReplicationTrigger),
    "trigger_sequence": st.integers(0, 7),
    "policy": values_of(ev.Name),
    "start_regions": _starts,
    "probability": st.sampled_from([-1.0, 0.0, 1 / 3, 0.5000005, 1.0, 7.5]),
    "saved_duration_ns": _waits,
    "expected_duration_ns": _waits,
    "reason": values_of(ev.Name),
}
_planned = st.builds(
    ev.ReplicationPlanned,
    _subjects,
    _targets,
    expire_time_ns=st.none() | times,
    priority=st.integers(1, 4),
    **_worth,
)
_withheld = st.builds(
    ev.ReplicationWithheld,
    _subjects,
    source_region=st.none() | _targets,
    cause=values_of(ev.WithholdReason),
    **_worth,
)
_progress: SearchStrategy[Fact] = st.one_of(
    st.builds(
        ev.ReplicationStarted, _subjects, st.none() | _targets, st.integers(0, 2)
    ),
    st.builds(ev.ReplicationCompleted, _subjects, st.integers(0, 9), _waits),
    st.builds(
        ev.ReplicationFailed,
        _subjects,
        attempt=st.integers(0, 2),
        retryable=st.booleans(),
        cause=values_of(ev.FailureCause),
    ),
    st.builds(ev.ReplicationCancelled, _subjects),
    st.builds(ev.ReplicationExpired, _subjects),
)
_removals: SearchStrategy[Fact] = st.one_of(
    st.builds(
        ev.EvictionPlanned,
        _copy_ids,
        st.just(_SHOP),
        _decided,
        _targets,
        reason=st.sampled_from([ev.Text(t) for t in ("", " ", "unused for 90 days")]),
        reclaimed_bytes=st.integers(0, 9),
        start_regions=_starts,
        trigger_sequence=st.integers(0, 7),
        expire_time_ns=st.none() | times,
    ),
    st.builds(ev.EvictionCancelled, _copy_ids, _targets),
    st.builds(
        ev.ContentEvicted,
        st.just(_SHOP),
        _decided.map(lambda one: (one,)),
        eviction_id=st.none() | _copy_ids,
    ),
)
_uses: SearchStrategy[Fact] = st.one_of(
    st.builds(
        ev.MachineStarted,
        _started,
        st.just(_SHOP),
        st.sampled_from([ev.Identifier("m1"), ev.Identifier("m2")]),
        request_time_ns=st.none() | times,
        image_wait_ns=_waits,
        source_region=st.none() | _targets,
        cache=st.sampled_from([ev.CacheKind.REMOTE, *ev.CacheKind]),
    ),
    st.builds(
        ev.ContentPulled,
        _started,
        st.just(_SHOP),
        st.just(Tag("v1")),
        pull_duration_ns=_waits,
        media_type=st.just(ev.Name(MANIFEST)),
    ),
)
_images: SearchStrategy[Fact] = st.sampled_from(
    [
        ev.ContentPushed(_IMAGE, _SHOP, None, (_LAYER,)),
        ev.ContentPushed(_INDEX, _SHOP, Tag("v1"), (_IMAGE,)),
        ev.ContentPushed(_LAYER, _SHOP),
        ev.ReplicationPaused((AMS,)),
        ev.ReplicationPaused((), ev.Operation(expire_time_ns=ev.TimeNs(START_NS + 9))),
        ev.ReplicationResumed((AMS,)),
    ]
)
deciding_facts: Final[SearchStrategy[Fact]] = st.one_of(
    _planned,
    _planned,
    _withheld,
    _progress,
    _progress,
    _removals,
    _uses,
    _uses,
    _images,
)
"""Decisions that open, are refused, carried out and judged; ids are few."""


def deciding_logs(most: int = 20) -> SearchStrategy[list[RecordedMessage]]:
    """Return logs of decisions, and of starts in the regions that they are for."""
    return logs(deciding_facts, most, DECIDING_REGIONS, calm=True)


NOW_NS: Final = START_NS + 40 * DAY_NS


def image_facts() -> SearchStrategy[Fact]:
    """Return facts about where images are, who runs them, and what regions may do."""
    kinds = (
        ev.ContentPushed,
        ev.ContentPushed,
        ev.ContentPushed,
        ev.ContentReplicated,
        ev.ContentEvicted,
        ev.TagMoved,
        ev.MachineStarted,
        ev.MachineStarted,
        ev.ContentPulled,
        ev.RegionChanged,
    )
    return st.one_of(*(FACT_STRATEGIES[kind] for kind in kinds))
