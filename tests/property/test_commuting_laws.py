"""What may come in any order: late facts, and counts."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from placement.core import event as ev
from placement.core.event import Event, Fact
from placement.core.fingerprint import CanonicalRow
from placement.core.oci import Descriptor, Repository, Tag
from placement.core.state import State
from placement.core.topology import Region
from tests.builders import (
    HOUR_NS,
    LAYER,
    MANIFEST,
    SECOND_NS,
    START_NS,
    fold_in,
    folded_log,
    message,
    rows_of,
)
from tests.strategies import DIGESTS, REGIONS, examples, values_of


def plain(name: int, media_type: str = LAYER) -> Descriptor:
    """Return a descriptor that no other contradicts."""
    return Descriptor(DIGESTS[name], media_type, 100)


contents = st.integers(0, 2).map(plain)
digests = st.sampled_from(DIGESTS[:3])
repositories = values_of(Repository)
machines = st.sampled_from([ev.Identifier("m1"), ev.Identifier("m2")])
presence_facts: st.SearchStrategy[Fact] = st.one_of(
    st.builds(ev.ContentPushed, contents, repositories, st.none() | values_of(Tag)),
    st.builds(
        ev.ContentAnnounced, contents, repositories, held_bytes=st.integers(0, 3)
    ),
    st.builds(
        ev.ContentReplicated,
        st.tuples(contents),
        repositories,
        verified=st.booleans(),
    ),
    st.builds(
        ev.ContentEvicted,
        repositories,
        st.tuples(digests) | st.just(()),
        whole_repository=st.booleans(),
    ),
    st.builds(ev.TagMoved, repositories, values_of(Tag), digest=st.none() | digests),
)
use_facts: st.SearchStrategy[Fact] = st.one_of(
    st.builds(
        ev.ContentPulled,
        digests,
        repositories,
        client_region=st.none() | values_of(Region),
        client_kind=values_of(ev.ClientKind),
        media_type=st.sampled_from([ev.Name(LAYER), ev.Name(MANIFEST)]),
    ),
    st.builds(ev.MachineStarted, digests, repositories, machines),
    st.builds(ev.MachineStopped, machines),
)
WHAT_COMMUTES = {"replica", "cleared", "tag", "use", "demand", "membership"}


def commuting_rows(state: State) -> list[CanonicalRow]:
    """Return the rows that answers rest on, where facts of any order must agree."""
    return [row for row in rows_of(state) if row[0] in WHAT_COMMUTES]


@examples(300)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(REGIONS[:2]),
            presence_facts | use_facts,
            st.integers(120, 82_000),
        ),
        min_size=2,
        max_size=8,
        unique_by=lambda told: told[2],
    ),
    st.randoms(use_true_random=False),
)
def test_late_facts_commute(
    told: list[tuple[Region, Fact, int]], random: Random
) -> None:
    """Facts that come more than ten seconds late may come in any order.

    That holds where no two happened in the same nanosecond and none contradicts
    another:
    of two sizes, types, subjects or apps of one thing the first that is told is kept.
    The order in which stopped machines are forgotten and routes' last transfers are
    those of the log, and a list of tags in an inventory yields to what is known.
    """
    late = [
        Event(
            ev.Identifier(f"e-{age}"),
            region,
            fact,
            ev.TimeNs(START_NS - age * SECOND_NS),
        )
        for region, fact, age in told
    ]
    straight = fold_in(State(), *late)

    random.shuffle(late)
    mixed = fold_in(State(), *late)

    assert commuting_rows(mixed) == commuting_rows(straight)


@examples(200)
@given(
    st.lists(
        st.tuples(st.sampled_from(REGIONS[:2]), use_facts, st.integers(0, 21 * 24 * 2)),
        min_size=2,
        max_size=10,
        unique_by=lambda told: told[2],
    ),
    st.randoms(use_true_random=False),
)
def test_counts_commute(told: list[tuple[Region, Fact, int]], random: Random) -> None:
    """Uses over three weeks count alike in whatever order the log holds them."""
    happened = [
        (
            Event(ev.Identifier(f"e-{half_hour}"), region, fact),
            START_NS + half_hour * HOUR_NS // 2,
        )
        for region, fact, half_hour in told
    ]
    shuffled = list(happened)
    random.shuffle(shuffled)

    straight, mixed = (
        folded_log(
            message(sequence, event, store_time_ns=time_ns)
            for sequence, (event, time_ns) in enumerate(order, 1)
        )
        for order in (happened, shuffled)
    )

    assert commuting_rows(mixed) == commuting_rows(straight)
