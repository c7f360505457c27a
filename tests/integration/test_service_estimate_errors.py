"""What PlacementService refuses to answer in seconds: each reason, field and limit."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from placement.api.reasons import REASONS
from placement.api.server import ServerSettings
from placement.client import PlacementClient
from placement.core.errors import InputError
from placement.runtime.publisher import Publisher
from placement.runtime.tokens import make_token
from placement.v1 import basis_pb2
from placement.v1 import events_pb2 as events_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.requests import LIMITS
from tests.builders import (
    AMD64,
    AMS,
    FRA,
    IAD,
    INDEX,
    LATEST,
    MANIFEST,
    SIZE,
    WEB,
    B,
    descriptor,
    pushed,
)
from tests.serving import EPOCH, Service, refused, serving

Fields = dict[str, Any]

ARM = events_pb.Platform(os="linux", architecture="arm64")
LONG = events_pb.Platform(os="x" * 256)
IMAGE: Fields = {"repository": WEB, "reference": LATEST}
SELECTOR = pb.ImageSelector(**IMAGE)
RPCS: dict[str, tuple[type[Any], Fields]] = {
    "PlanPull": (pb.PlanPullRequest, {**IMAGE, "region": AMS}),
    "EstimateStarts": (pb.EstimateStartsRequest, {"images": [SELECTOR]}),
    "RankPushTargets": (
        pb.RankPushTargetsRequest,
        {"repository": WEB, "region": AMS},
    ),
    "ListRoutes": (pb.ListRoutesRequest, {}),
    "ExplainAnswer": (pb.ExplainAnswerRequest, {**IMAGE, "region": AMS}),
}
"""A request that succeeds, for every RPC that answers in seconds."""


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows one index of one platform, and waits for 150 ms."""
    async with serving(ServerSettings(default_deadline_ms=150)) as found:
        manifest = descriptor("amd", 1_000, MANIFEST, AMD64)
        await found.stage.happen(
            pushed("a", IAD),
            pushed("amd", IAD, size_bytes=1_000, references=[descriptor("a")]),
            pushed("i", IAD, references=[manifest], media_type=INDEX, tag=LATEST),
        )
        yield found


def asking(service: Service, method: str, **fields: object) -> Any:  # noqa: ANN401 - a call
    """Call *method* with its good request, in which *fields* are other than good."""
    kind, good = RPCS[method]
    return getattr(service.placement, method)(kind(**{**good, **fields}))


@pytest.mark.parametrize("method", RPCS)
async def test_good_request_is_answered(service: Service, method: str) -> None:
    """So that what follows fails for the reason that it names."""
    answer = await asking(service, method)

    assert answer.basis.sequence == 3


def selected(**fields: object) -> Fields:
    """Return a good image and then one with *fields* that are other than good."""
    wrong: Any = {**IMAGE, **fields}
    return {"images": [SELECTOR, pb.ImageSelector(**wrong)]}


def placed(latitude: float, longitude: float) -> Fields:
    """Return coordinates instead of a region."""
    place = pb.Coordinates(latitude=latitude, longitude=longitude)
    return {"region": "", "coordinates": place}


LATITUDE, LONGITUDE = "coordinates.latitude", "coordinates.longitude"
BAD: list[tuple[str, Fields, str, str]] = [
    ("PlanPull", {"repository": "Acme"}, "NAME_INVALID", "repository"),
    ("PlanPull", {"reference": ".a"}, "TAG_INVALID", "reference"),
    ("PlanPull", {"region": ""}, "REGION_INVALID", "region"),
    ("PlanPull", {"platform": LONG}, "TEXT_INVALID", "platform.os"),
    ("ExplainAnswer", {"repository": ""}, "NAME_INVALID", "repository"),
    ("ExplainAnswer", {"reference": "md5:1"}, "DIGEST_INVALID", "reference"),
    ("ExplainAnswer", {"region": "-"}, "REGION_INVALID", "region"),
    ("ExplainAnswer", {"platform": LONG}, "TEXT_INVALID", "platform.os"),
    ("EstimateStarts", {"images": []}, "LIMIT_INVALID", "images"),
    (
        "EstimateStarts",
        selected(repository="/"),
        "NAME_INVALID",
        "images[1].repository",
    ),
    ("EstimateStarts", selected(reference=""), "TAG_INVALID", "images[1].reference"),
    (
        "EstimateStarts",
        selected(platform=LONG),
        "TEXT_INVALID",
        "images[1].platform.os",
    ),
    ("EstimateStarts", {"candidates": "ams,mars"}, "CANDIDATES_INVALID", "candidates"),
    ("EstimateStarts", {"candidates": "ams,"}, "CANDIDATES_INVALID", "candidates"),
    ("EstimateStarts", {"machine_count": -1}, "LIMIT_INVALID", "machine_count"),
    ("EstimateStarts", {"max_region_count": -1}, "LIMIT_INVALID", "max_region_count"),
    ("EstimateStarts", {"request_id": "a b"}, "TEXT_INVALID", "request_id"),
    ("RankPushTargets", {"repository": "a//b"}, "NAME_INVALID", "repository"),
    ("RankPushTargets", {"region": "IAD!"}, "REGION_INVALID", "region"),
    ("RankPushTargets", {"region": ""}, "INPUT_INVALID", "region"),
    (
        "RankPushTargets",
        {"coordinates": pb.Coordinates()},
        "INPUT_INVALID",
        "coordinates",
    ),
    ("RankPushTargets", placed(90.5, 0), "INPUT_INVALID", LATITUDE),
    ("RankPushTargets", placed(float("nan"), 0), "INPUT_INVALID", LATITUDE),
    ("RankPushTargets", placed(0, -180.5), "INPUT_INVALID", LONGITUDE),
    ("RankPushTargets", placed(0, float("inf")), "INPUT_INVALID", LONGITUDE),
    ("RankPushTargets", {"size_bytes": -1}, "LIMIT_INVALID", "size_bytes"),
    ("RankPushTargets", {"max_target_count": -1}, "LIMIT_INVALID", "max_target_count"),
    ("ListRoutes", {"source_region": "a b"}, "REGION_INVALID", "source_region"),
    ("ListRoutes", {"target_region": "-"}, "REGION_INVALID", "target_region"),
]


@pytest.mark.parametrize(("method", "fields", "reason", "field"), BAD)
async def test_bad_field_is_named_with_its_reason_and_remedy(
    service: Service, method: str, fields: Fields, reason: str, field: str
) -> None:
    """INVALID_ARGUMENT; a program finds the field, a person what to do about it."""
    refusal = await refused(asking(service, method, **fields))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.info.reason == reason
    assert refusal.field == refusal.info.metadata["field"] == field
    assert refusal.violations[0].description != ""


@pytest.mark.parametrize(
    "edge", [placed(90, 180), placed(-90, -180), placed(0, 0)], ids=str
)
async def test_edge_of_the_world_is_a_place(service: Service, edge: Fields) -> None:
    """And so is the point without a number."""
    answer = await asking(service, "RankPushTargets", **edge)

    assert len(answer.targets) == 3


def over(name: str) -> int:
    """Return one more than the limit of this name."""
    return LIMITS[name] + 1


def padded(length: int) -> Fields:
    """Return a candidates expression of this length."""
    return {"candidates": "ams".ljust(length)}


LIMITED: list[tuple[str, Fields, Fields, str]] = [
    (
        "EstimateStarts",
        {"images": [SELECTOR] * LIMITS["images"]},
        {"images": [SELECTOR] * over("images")},
        "LIMIT_INVALID",
    ),
    (
        "EstimateStarts",
        {"max_region_count": LIMITS["max_region_count"]},
        {"max_region_count": over("max_region_count")},
        "LIMIT_INVALID",
    ),
    (
        "EstimateStarts",
        padded(LIMITS["candidates_length"]),
        padded(over("candidates_length")),
        "LIMIT_INVALID",
    ),
    (
        "EstimateStarts",
        {"request_id": "r" * LIMITS["request_id_length"]},
        {"request_id": "r" * over("request_id_length")},
        "TEXT_INVALID",
    ),
    (
        "RankPushTargets",
        {"max_target_count": LIMITS["max_target_count"]},
        {"max_target_count": over("max_target_count")},
        "LIMIT_INVALID",
    ),
    (
        "RankPushTargets",
        {"size_bytes": LIMITS["size_bytes"]},
        {"size_bytes": over("size_bytes")},
        "LIMIT_INVALID",
    ),
]


@pytest.mark.parametrize(("method", "most", "too_many", "reason"), LIMITED)
async def test_limit_is_accepted_and_one_more_is_not(
    service: Service, method: str, most: Fields, too_many: Fields, reason: str
) -> None:
    """Each limit that GetServiceInfo reports holds to the last one."""
    await asking(service, method, **most)

    refusal = await refused(asking(service, method, **too_many))

    assert refusal.info.reason == reason
    assert refusal.field in too_many


def imaged(**fields: object) -> Fields:
    """Return one image with *fields* that nobody knows."""
    unknown: Any = {**IMAGE, **fields}
    return {"images": [pb.ImageSelector(**unknown)]}


UNKNOWN: list[tuple[str, Fields, str]] = [
    ("PlanPull", {"region": "atlantis"}, "REGION_UNKNOWN"),
    ("PlanPull", {"reference": "v9"}, "MANIFEST_UNKNOWN"),
    ("PlanPull", {"reference": B}, "BLOB_UNKNOWN"),
    ("PlanPull", {"platform": ARM}, "PLATFORM_UNKNOWN"),
    ("EstimateStarts", imaged(reference="v9"), "MANIFEST_UNKNOWN"),
    ("EstimateStarts", imaged(reference=B), "BLOB_UNKNOWN"),
    ("EstimateStarts", imaged(platform=ARM), "PLATFORM_UNKNOWN"),
    ("RankPushTargets", {"region": "atlantis"}, "REGION_UNKNOWN"),
    ("ListRoutes", {"source_region": "atlantis"}, "REGION_UNKNOWN"),
    ("ListRoutes", {"target_region": "atlantis"}, "REGION_UNKNOWN"),
    ("ExplainAnswer", {"region": "atlantis"}, "REGION_UNKNOWN"),
    ("ExplainAnswer", {"reference": "v9"}, "MANIFEST_UNKNOWN"),
    ("ExplainAnswer", {"reference": B}, "BLOB_UNKNOWN"),
    ("ExplainAnswer", {"platform": ARM}, "PLATFORM_UNKNOWN"),
]


@pytest.mark.parametrize(("method", "fields", "reason"), UNKNOWN)
async def test_what_nobody_named_is_not_found(
    service: Service, method: str, fields: Fields, reason: str
) -> None:
    """NOT_FOUND with the remedy, and no field at fault."""
    refusal = await refused(asking(service, method, **fields))

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert refusal.info.reason == reason
    assert refusal.info.metadata["remedy"] == REASONS[reason].action
    assert not refusal.violations


async def test_unknown_platform_is_answered_with_those_that_there_are(
    service: Service,
) -> None:
    """Whoever reads it can correct the request at once."""
    refusal = await refused(asking(service, "PlanPull", platform=ARM))

    assert refusal.info.metadata["platform"] == "linux/arm64"
    assert refusal.message.endswith("it has linux/amd64")


@pytest.mark.parametrize("method", RPCS)
async def test_past_is_refused_where_there_is_none(
    service: Service, method: str
) -> None:
    """Better than answering about now what was asked about then."""
    refusal = await refused(asking(service, method, as_of=basis_pb2.AsOf(sequence=1)))

    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    assert refusal.info.reason == "AS_OF_UNSUPPORTED"


@pytest.mark.parametrize("method", RPCS)
async def test_token_not_reached_fails_if_the_caller_wants_that(
    service: Service, method: str
) -> None:
    """Or else the answer is marked STALE."""
    token = make_token(EPOCH, 9)
    strict = basis_pb2.Consistency(token=token, fail=True)
    lenient = basis_pb2.Consistency(token=token)

    refusal, answer = await asyncio.gather(
        refused(asking(service, method, consistency=strict)),
        asking(service, method, consistency=lenient),
    )

    assert refusal.info.reason == "STATE_BEHIND"
    assert answer.basis.state == basis_pb2.SERVING_STATE_STALE


async def test_token_is_waited_for_before_an_estimate_is_made(
    service: Service,
) -> None:
    """A push and a question right after it: the question knows of the push."""
    again = pushed("a", FRA)
    publisher = Publisher(service.stage.log, service.stage.view)
    published = await publisher.publish([again])
    token = published.token
    wish = basis_pb2.Consistency(token=token)
    asked = asking(service, "EstimateStarts", candidates=FRA, consistency=wish)
    waiting = asyncio.ensure_future(asked)
    await asyncio.sleep(0.03)
    assert not waiting.done()

    await service.stage.fold_all()
    answer = await waiting

    assert answer.basis.sequence == 4
    assert answer.estimates[0].missing_bytes == SIZE + 1_000


@pytest.mark.parametrize("text", ["linux", "linux/", "/amd64", "a/b/c/d", "a//b"])
async def test_client_refuses_a_platform_that_is_none(
    service: Service, text: str
) -> None:
    """Before the call, with what would be one."""
    async with PlacementClient(service.target) as client:
        with pytest.raises(InputError) as raised:
            await client.plan_pull(WEB, LATEST, AMS, text)

    assert raised.value.field == "platform"


async def test_client_says_which_image_has_no_such_platform(service: Service) -> None:
    """As the service itself would name the field."""
    images = [(WEB, LATEST, ""), (WEB, LATEST, "linux")]
    async with PlacementClient(service.target) as client:
        with pytest.raises(InputError) as raised:
            await client.estimate_starts(images)

    assert raised.value.field == "images[1].platform"
