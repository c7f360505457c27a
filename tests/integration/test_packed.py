"""BatchRankSourcesPacked against the real server, by way of the client library."""

from collections.abc import AsyncIterator

import grpc
import pytest

from placement.api import rank_servicer
from placement.client import PlacementClient
from placement.core.errors import InputError
from placement.v1 import placement_service_pb2 as pb
from placement.wire.fields import nanoseconds
from placement.wire.requests import LIMITS
from tests.builders import AMS, FRA, IAD, SYD, WEB, A, B, C, descriptor, digest, pushed
from tests.serving import Service, refused, serving

NAMES = [f"layer-{number}" for number in range(40)]
DIGESTS = [A, B, C, *(digest(name) for name in NAMES), digest("unheard of"), A]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows forty layers, and an image that Frankfurt has in part."""
    layers = [
        pushed(name, region, size_bytes=1_000_000 * number)
        for number, name in enumerate(NAMES)
        for region in (AMS, FRA, IAD, SYD)[: number % 5]
    ]
    async with serving() as found:
        await found.stage.happen(
            pushed("a", FRA, references=[descriptor("b", 9_000_000)]),
            pushed("a", SYD, references=[descriptor("b", 9_000_000)]),
            pushed("b", SYD, size_bytes=9_000_000),
            *layers,
        )
        yield found


@pytest.fixture
async def client(service: Service) -> AsyncIterator[PlacementClient]:
    """A client of that service."""
    async with PlacementClient(service.target) as found:
        yield found


async def test_packed_sources_are_those_of_each_content(
    client: PlacementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of the request, whatever is ranked at once; a repeat, too."""
    monkeypatch.setattr(rank_servicer, "RANKED_AT_ONCE", 16)

    packed = await client.batch_rank_sources_packed(WEB, DIGESTS, AMS, 8)

    batch = await client.batch_rank_sources(WEB, DIGESTS, AMS, 8)
    assert len(packed) == len(DIGESTS)
    for position, ranking in enumerate(batch.rankings):
        assert packed.sources(position) == [
            (
                source.region,
                source.endpoint,
                nanoseconds(source.expected_duration.p50),
                nanoseconds(source.expected_duration.p90),
            )
            for source in ranking.sources
        ]
    assert packed.response.fallback == batch.fallback
    assert packed.response.basis == batch.basis


async def test_best_region_of_each_content_is_the_home_for_what_nobody_has(
    client: PlacementClient,
) -> None:
    """The whole image before a nearer part of it, and the fallback at the end."""
    packed = await client.batch_rank_sources_packed(WEB, DIGESTS, AMS)

    batch = await client.batch_rank_sources(WEB, DIGESTS, AMS)
    assert packed.best() == [
        ranking.sources[0].region if ranking.sources else IAD
        for ranking in batch.rankings
    ]
    assert packed.best()[0] == SYD


async def test_repository_that_nobody_named_has_no_sources(
    client: PlacementClient,
) -> None:
    """It is no error, as in RankSources."""
    packed = await client.batch_rank_sources_packed("never/heard", [A], AMS)

    assert packed.sources(0) == []
    assert packed.response.fallback.region == IAD


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"sha256_digests": bytes(33)}, "DIGEST_INVALID", "sha256_digests"),
        ({"sha256_digests": b""}, "LIMIT_INVALID", "sha256_digests"),
        (
            {"sha256_digests": bytes(32 * (LIMITS["packed_digests"] + 1))},
            "LIMIT_INVALID",
            "sha256_digests",
        ),
        (
            {"max_source_count": LIMITS["packed_max_source_count"] + 1},
            "LIMIT_INVALID",
            "max_source_count",
        ),
    ],
    ids=["a byte too many", "none", "too many", "too many sources"],
)
async def test_what_is_beyond_a_limit_is_refused(
    service: Service, fields: dict[str, bytes | int], reason: str, field: str
) -> None:
    """With the field's name; the limits are those that GetServiceInfo tells."""
    request = pb.BatchRankSourcesPackedRequest(
        repository=WEB, sha256_digests=bytes(32), region=AMS
    )
    for name, value in fields.items():
        setattr(request, name, value)

    refusal = await refused(service.placement.BatchRankSourcesPacked(request))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.info.reason, refusal.field) == (reason, field)


async def test_as_many_as_the_limit_are_ranked(service: Service) -> None:
    """The largest request, with the most sources: its answer is a usual one in size."""
    key = bytes.fromhex(digest(NAMES[4])[7:])
    request = pb.BatchRankSourcesPackedRequest(
        repository=WEB,
        sha256_digests=key * LIMITS["packed_digests"],
        region=AMS,
        max_source_count=LIMITS["packed_max_source_count"],
    )

    response = await service.placement.BatchRankSourcesPacked(request)

    assert len(response.p90_ns) == 4 * LIMITS["packed_digests"]


async def test_digest_of_another_kind_is_refused_by_the_client(
    client: PlacementClient,
) -> None:
    """Columns have room for SHA-256 alone."""
    with pytest.raises(InputError) as raised:
        await client.batch_rank_sources_packed(WEB, [A, f"sha512:{'0' * 128}"], AMS)

    assert raised.value.field == "digests[1]"
