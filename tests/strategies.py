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
"""Set by ``tools/test --long``: ten times as many examples, and others each time."""

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


def examples(count: int) -> settings:
    """Return settings for a law that is tried on *count* examples in the gate."""
    return settings(
        max_examples=count * (10 if LONG else 1),
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
def events(draw: DrawFn, of: SearchStrategy[Fact] = facts, ids: int = 2**40) -> Event:
    """Draw an event of one of the facts *of*, with one of so many *ids*."""
    return Event(
        ev.Identifier(f"e-{draw(st.integers(0, ids))}"),
        draw(_BY_TYPE[Region]),
        draw(of),
        draw(st.none() | times),
        draw(_BY_TYPE[ev.Name]),
        draw(_BY_TYPE[ev.Name]),
        draw(_BY_TYPE[ev.Name]),
    )


@st.composite
def logs(
    draw: DrawFn, of: SearchStrategy[Fact] = facts, most: int = 12
) -> list[RecordedMessage]:
    """Draw up to *most* messages as the log holds them: late, repeated, set aside."""
    stored_ns = START_NS
    sequence = 0
    found = []
    for _ in range(draw(st.integers(1, most))):
        sequence += draw(st.sampled_from([1, 1, 1, 5]))
        stored_ns += draw(st.sampled_from(STEPS_NS))
        items: list[Recorded | SetAside] = []
        for index in range(draw(st.sampled_from([1, 1, 2, 4]))):
            if draw(st.integers(0, 19)) == 0:
                items.append(SetAside(sequence, index, stored_ns, "BYTES_UNREADABLE"))
                continue
            time_ns = stored_ns - draw(st.sampled_from(AGES_NS))
            event = draw(events(of, ids=40))
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
