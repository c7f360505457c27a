"""Requests of the calls that are made most, also for those who time their bytes."""

from collections.abc import Sequence
from typing import Unpack

from placement.client.freshness import Question, asked
from placement.v1 import placement_service_pb2 as pb


def rank_request(
    repository: str,
    digest: str,
    region: str,
    max_source_count: int = 0,
    **freshness: Unpack[Question],
) -> pb.RankSourcesRequest:
    """Return what ``PlacementClient.rank_sources`` asks."""
    return pb.RankSourcesRequest(
        repository=repository,
        digest=digest,
        region=region,
        max_source_count=max_source_count,
        **asked(**freshness),
    )


def packed_request(
    repository: str,
    digests: Sequence[str],
    region: str,
    max_source_count: int = 0,
    **freshness: Unpack[Question],
) -> pb.BatchRankSourcesPackedRequest:
    """Return what ``PlacementClient.batch_rank_sources_packed`` asks."""
    from placement.client.packed import pack_digests  # noqa: PLC0415 - numpy, 0.1 s

    return pb.BatchRankSourcesPackedRequest(
        repository=repository,
        sha256_digests=pack_digests(digests),
        region=region,
        max_source_count=max_source_count,
        **asked(**freshness),
    )
