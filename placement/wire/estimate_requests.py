"""Requests about seconds, parsed once: pulls, starts, pushes, routes, explanations."""

from dataclasses import dataclass
from typing import Final

from placement.core.errors import InputError, LimitInvalidError
from placement.core.images import Selection
from placement.core.oci import Platform, Repository, parse_reference, parse_repository
from placement.core.topology import REGION_COUNT_MAX, Region, parse_region
from placement.v1 import events_pb2 as events_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.fields import COUNT_MAX, PLATFORM, parse_identifier
from placement.wire.requests import (
    CANDIDATES_LENGTH_MAX,
    IMAGES_MAX,
    PUSH_TARGET_COUNT_DEFAULT,
    PUSH_TARGET_COUNT_MAX,
    Consistency,
    bounded,
    check_number_of,
    decode_freshness,
)

LATITUDE_MAX: Final = 90.0
LONGITUDE_MAX: Final = 180.0


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """Which image is asked about, and for a puller where."""

    selection: Selection
    region: Region
    consistency: Consistency


@dataclass(frozen=True, slots=True)
class StartsQuery:
    """Which images a machine would need, and where it might be started."""

    selections: tuple[Selection, ...]
    candidates: str
    """An expression that only the catalogue can read."""
    spread: str
    """What orders near-equal regions; empty: their codes."""
    region_count_max: int | None
    consistency: Consistency


@dataclass(frozen=True, slots=True)
class Place:
    """A place on earth; degrees north and east."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class PushQuery:
    """What would be pushed, and from where; *size_bytes* 0: as the repository's own."""

    repository: Repository
    pusher: Region | Place
    size_bytes: int
    target_count_max: int
    consistency: Consistency


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """Which routes to list; None: from, or to, all regions."""

    source: Region | None
    target: Region | None
    include_unobserved: bool
    consistency: Consistency


def decode_image(request: pb.PlanPullRequest | pb.ExplainAnswerRequest) -> ImageQuery:
    """Return what is asked about; raises InputError."""
    platform = request.platform if request.HasField("platform") else None
    return ImageQuery(
        Selection(
            parse_repository(request.repository),
            parse_reference(request.reference),
            _platform(platform, "platform"),
        ),
        parse_region(request.region),
        decode_freshness(request),
    )


def decode_starts(request: pb.EstimateStartsRequest) -> StartsQuery:
    """Return what would be started; raises InputError."""
    check_number_of(request.images, "images", IMAGES_MAX)
    length = len(request.candidates)
    if length > CANDIDATES_LENGTH_MAX:
        remedy = f"give at most {CANDIDATES_LENGTH_MAX} characters"
        raise LimitInvalidError("candidates", f"{length} characters", remedy)
    count = bounded(request.max_region_count, "max_region_count", REGION_COUNT_MAX)
    return StartsQuery(
        tuple(
            _selection(image, f"images[{position}]")
            for position, image in enumerate(request.images)
        ),
        request.candidates,
        _spread(request),
        count or None,
        decode_freshness(request),
    )


def decode_push(request: pb.RankPushTargetsRequest) -> PushQuery:
    """Return what would be pushed; raises InputError."""
    count = bounded(request.max_target_count, "max_target_count", PUSH_TARGET_COUNT_MAX)
    return PushQuery(
        parse_repository(request.repository),
        _pusher(request),
        bounded(request.size_bytes, "size_bytes", COUNT_MAX),
        count or PUSH_TARGET_COUNT_DEFAULT,
        decode_freshness(request),
    )


def decode_routes(request: pb.ListRoutesRequest) -> RouteQuery:
    """Return what is to be listed; raises InputError."""
    source, target = request.source_region, request.target_region
    return RouteQuery(
        parse_region(source, "source_region") if source else None,
        parse_region(target, "target_region") if target else None,
        request.include_unobserved,
        decode_freshness(request),
    )


def _selection(image: pb.ImageSelector, where: str) -> Selection:
    platform = image.platform if image.HasField("platform") else None
    return Selection(
        parse_repository(image.repository, f"{where}.repository"),
        parse_reference(image.reference, f"{where}.reference"),
        _platform(platform, f"{where}.platform"),
    )


def _platform(proto: events_pb.Platform | None, field: str) -> Platform | None:
    if proto is None:
        return None
    platform: Platform = PLATFORM.decode(proto, field)
    return platform


def _spread(request: pb.EstimateStartsRequest) -> str:
    """Return the caller's own order of near-equals, another for each machine count."""
    count = bounded(request.machine_count, "machine_count", None)
    if not request.request_id:
        return ""
    return f"{parse_identifier(request.request_id, 'request_id')}\0{max(1, count)}"


def _pusher(request: pb.RankPushTargetsRequest) -> Region | Place:
    if not request.HasField("coordinates"):
        if not request.region:
            raise InputError("region", "", "give a region, or coordinates")
        return parse_region(request.region)
    if request.region:
        remedy = "give a region or coordinates, not both"
        raise InputError("coordinates", request.region, remedy)
    place = request.coordinates
    return Place(
        _degrees(place.latitude, "coordinates.latitude", LATITUDE_MAX),
        _degrees(place.longitude, "coordinates.longitude", LONGITUDE_MAX),
    )


def _degrees(value: float, field: str, maximum: float) -> float:
    """Return *value*; raises InputError outside -maximum to maximum, and for NaN."""
    if not -maximum <= value <= maximum:
        raise InputError(field, value, f"give -{maximum:.0f} to {maximum:.0f}")
    return value
