"""What is to be watched, parsed once."""

from dataclasses import dataclass

from placement.core.errors import LimitInvalidError
from placement.core.oci import parse_repository
from placement.core.topology import REGION_COUNT_MAX, parse_region
from placement.core.watched import Interest
from placement.v1 import placement_service_pb2 as pb
from placement.wire.requests import REPOSITORY_PREFIXES_MAX


@dataclass(frozen=True, slots=True)
class WatchQuery:
    """What is watched, and where to go on; an empty token: with a snapshot."""

    interest: Interest
    resume_token: str
    packed: bool = False
    """Whether it is told in columns."""


def decode_watch(request: pb.WatchPlacementsRequest) -> WatchQuery:
    """Return what is to be watched; raises InputError."""
    for field, values, maximum in (
        ("regions", request.regions, REGION_COUNT_MAX),
        ("repository_prefixes", request.repository_prefixes, REPOSITORY_PREFIXES_MAX),
    ):
        if len(values) > maximum:
            raise LimitInvalidError(field, len(values), f"give at most {maximum}")
    regions = frozenset(
        parse_region(region, f"regions[{position}]")
        for position, region in enumerate(request.regions)
    )
    prefixes = tuple(
        parse_repository(prefix, f"repository_prefixes[{position}]")
        for position, prefix in enumerate(request.repository_prefixes)
    )
    interest = Interest(regions, prefixes, tags=request.include_tags)
    return WatchQuery(interest, request.resume_token, request.packed)
