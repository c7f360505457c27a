"""Requests in and answers out: protobuf to domain values and back, and page tokens."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.api.reading import SLICE_NS, Pace
from placement.core.arrival import Arrival
from placement.core.errors import (
    InputError,
    LimitInvalidError,
    PageTokenInvalidError,
    TimeInvalidError,
)
from placement.core.estimate import Duration
from placement.core.event import Event
from placement.core.ranking import FACTORS, Answer, Ranking, Source
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region
from placement.runtime.publisher import Outcome
from placement.runtime.view import Basis, ServingState
from placement.v1 import basis_pb2
from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import placement_service_pb2 as pb
from placement.v1 import replication_service_pb2 as replication_pb
from placement.wire.answers import encode_arrival, encode_basis, encode_source
from placement.wire.page_tokens import FIRST, make_page_token, parse_page_token
from placement.wire.preview_requests import decode_preview
from placement.wire.rank_answers import RankWriter
from placement.wire.requests import (
    LIMITS,
    PAGE_SIZE_DEFAULT,
    REPLICATION_COUNT_DEFAULT,
    SOURCE_COUNT_DEFAULT,
    bounded,
    decode_consistency,
    decode_events,
    decode_list,
    decode_rank,
)
from placement.wire.service_answers import (
    CAPABILITIES,
    SERVICE_NAMES,
    encode_published,
)
from tests.builders import AMS, IAD, START_NS, TOPOLOGY, WEB, A

BINDING = ("epoch", "iad", "acme/web")
VERIFIED = ReplicaPhase.VERIFIED
BASIS = Basis("epoch", 7, START_NS, ServingState.LIVE, 5, START_NS + 1)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


@given(st.tuples(NAMES, NAMES, NAMES).filter(lambda key: key != FIRST))
def test_page_token_gives_back_its_key(key: tuple[str, str, str]) -> None:
    """To its own listing, whatever the names."""
    token = make_page_token(BINDING, key)

    assert token.isascii()
    assert parse_page_token(token, BINDING) == key


@given(st.integers(0, 10_000), st.sampled_from("ABCabc019-_=.\u00e9"))
def test_page_token_with_another_letter_is_refused(place: int, letter: str) -> None:
    """Wherever the letter is."""
    token = make_page_token(BINDING, ("acme/web", A, "iad"))
    at = place % len(token)
    changed = token[:at] + letter + token[at + 1 :]

    if changed == token:
        assert parse_page_token(changed, BINDING)[0] == "acme/web"
    else:
        with pytest.raises(PageTokenInvalidError):
            parse_page_token(changed, BINDING)


@given(st.text(max_size=2_000).filter(bool))
def test_any_other_text_is_no_page_token(text: str) -> None:
    """And crashes nothing."""
    with pytest.raises(PageTokenInvalidError):
        parse_page_token(text, BINDING)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_page_token_is_bound_to_epoch_and_filter(position: int) -> None:
    """Another of either, and it is refused."""
    token = make_page_token(BINDING, ("acme/web", A, "iad"))
    other = list(BINDING)
    other[position] = "other"

    with pytest.raises(PageTokenInvalidError):
        parse_page_token(token, tuple(other))


def test_page_token_of_the_longest_key_can_be_read() -> None:
    """A name of 255, a sha512 and a region of 32 characters."""
    key = ("r" * 255, "sha512:" + "0" * 128, "x" * 32)

    assert parse_page_token(make_page_token(BINDING, key), BINDING) == key


def test_zero_stands_for_the_default() -> None:
    """Protobuf cannot tell 0 from nothing, so 0 is the usual number."""
    rank = pb.RankSourcesRequest(repository=WEB, digest=A, region=AMS)

    assert decode_rank(rank).source_count_max == SOURCE_COUNT_DEFAULT == 3
    assert decode_list(pb.ListReplicasRequest()).page_size == PAGE_SIZE_DEFAULT == 100
    preview = decode_preview(replication_pb.PreviewReplicationsRequest())
    assert preview.replication_count_max == REPLICATION_COUNT_DEFAULT == 100
    assert preview.transfer_bytes_max is None
    assert (preview.policy, preview.ruling) == (None, None)


@pytest.mark.parametrize("value", [-1, 11])
def test_number_outside_its_bounds_names_its_field(value: int) -> None:
    """0 and the maximum are inside."""
    assert bounded(0, "size", 10) == 0
    assert bounded(10, "size", 10) == 10

    with pytest.raises(LimitInvalidError) as raised:
        bounded(value, "size", 10)

    assert raised.value.field == "size"


def test_consistency_is_a_token_or_a_staleness_or_nothing() -> None:
    """Each with or without `fail`."""
    nothing = decode_consistency(basis_pb2.Consistency())
    token = decode_consistency(basis_pb2.Consistency(token="t", fail=True))  # noqa: S106 - no password
    proto = basis_pb2.Consistency()
    proto.max_staleness.FromMilliseconds(1_500)
    stale = decode_consistency(proto)

    assert (nothing.token, nothing.max_staleness_ns, nothing.fail) == ("", None, False)
    assert (token.token, token.max_staleness_ns, token.fail) == ("t", None, True)
    assert (stale.token, stale.max_staleness_ns) == ("", 1_500_000_000)


def test_staleness_beyond_all_reason_is_refused() -> None:
    """A year is enough."""
    proto = basis_pb2.Consistency()
    proto.max_staleness.seconds = 400 * 86_400

    with pytest.raises(TimeInvalidError) as raised:
        decode_consistency(proto)

    assert raised.value.field == "consistency.max_staleness"


def test_outcomes_go_to_the_events_that_were_valid() -> None:
    """In the order of the request, with the rejected ones in between."""
    request = event_pb.PublishEventsRequest()
    for event_id in ("1", "", "3"):
        event = request.events.add(event_id=event_id, region=IAD)
        event.tag_moved.repository, event.tag_moved.tag = WEB, "v1"
    decoded = list(decode_events(request, START_NS))

    results = ((Outcome.STORED, "first"), (Outcome.DUPLICATE, "third"))
    answer = encode_published(request, decoded, results, "token")

    assert [isinstance(item, Event) for item in decoded] == [True, False, True]
    assert [result.outcome for result in answer.results] == [1, 3, 2]
    assert [result.token for result in answer.results] == ["first", "", "third"]
    assert isinstance(decoded[1], InputError)
    assert answer.results[1].field == "event_id"


def ranked_source(region: Region, number: int) -> Source:
    """Return a source whose figures all are *number*."""
    factors = dict.fromkeys(FACTORS, float(number))
    duration = Duration(number, 2 * number)
    return Source(region, WEB, duration, VERIFIED, factors)


def ranking_of(*sources: Source) -> Ranking:
    """Return a ranking of *sources*."""
    return Ranking(A, sources, ((AMS, WEB),), 5)


def test_endpoints_come_from_the_catalogue() -> None:
    """No event can send a puller elsewhere."""
    source, home = ranked_source(AMS, 1), Source(IAD, WEB, Duration(3, 4), VERIFIED)

    answer = RankWriter(TOPOLOGY).rank(Answer(ranking_of(source), home), BASIS)

    assert answer.sources[0].endpoint == TOPOLOGY.endpoint(AMS)
    assert answer.sources[0].phase == pb.REPLICA_PHASE_VERIFIED


def test_source_that_is_filled_in_is_the_one_that_is_built() -> None:
    """One after another, whatever was in the form before; the fallback, too."""
    sources = [ranked_source(AMS, 1), ranked_source(IAD, 0), ranked_source(AMS, 7**20)]
    home = Source(IAD, WEB, Duration(3, 4), ReplicaPhase.ABSENT)
    writer = RankWriter(TOPOLOGY)

    answer = writer.rank(Answer(ranking_of(*sources), home), BASIS)
    batch = writer.batch([writer.ranking(ranking_of(*sources))], home, BASIS)

    built = [encode_source(TOPOLOGY, source) for source in sources]
    assert list(answer.sources) == list(batch.rankings[0].sources) == built
    assert answer.fallback == batch.fallback == encode_source(TOPOLOGY, home)
    assert answer.mounts[0] == pb.Mount(region=AMS, repository=WEB)


@pytest.mark.parametrize("state", ServingState)
def test_serving_state_has_one_number_everywhere(state: ServingState) -> None:
    """The runtime's words are those of the contract."""
    basis = Basis("epoch", 0, 0, state, 0, START_NS)

    proto = encode_basis(basis)

    assert basis_pb2.ServingState.Name(proto.state) == f"SERVING_STATE_{state.name}"
    assert not proto.HasField("store_time")


@pytest.mark.parametrize("phase", ReplicaPhase)
def test_phase_has_one_number_everywhere(phase: ReplicaPhase) -> None:
    """ABSENT is none of the API's and travels as unspecified."""
    name = "UNSPECIFIED" if phase is ReplicaPhase.ABSENT else phase.name

    assert pb.ReplicaPhase.Name(int(phase)) == f"REPLICA_PHASE_{name}"  # type: ignore[arg-type]  # an int at run time


@pytest.mark.parametrize("arrival", Arrival)
def test_arrival_has_one_number_everywhere(arrival: Arrival) -> None:
    """The core's words are those of the contract."""
    assert pb.Arrival.Name(encode_arrival(arrival)) == f"ARRIVAL_{arrival.name}"


def test_limits_and_capabilities_are_named_for_programs() -> None:
    """Snake case, and Service.Method of the services that there are."""
    assert all(name == name.lower() and value > 0 for name, value in LIMITS.items())
    services = {name.rpartition(".")[2] for name in SERVICE_NAMES}
    assert {name.partition(".")[0] for name in CAPABILITIES} == services


async def test_long_work_lets_others_run() -> None:
    """After each slice, and not before."""
    ran = asyncio.Event()
    pace = Pace()
    asyncio.get_running_loop().call_soon(ran.set)

    await pace.step()
    early = ran.is_set()
    pace._began_ns -= SLICE_NS  # noqa: SLF001 - as if a slice had passed
    await pace.step()

    assert (early, ran.is_set()) == (False, True)
