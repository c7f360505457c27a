"""Every documented error, as any client gets it: code, reason, field and remedy."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from placement.api import placement_servicer
from placement.api.reasons import REASONS
from placement.api.server import METADATA_BYTES_MAX
from placement.api.status import DOMAIN
from placement.core.oci import REPOSITORY_LENGTH_MAX, TAG_LENGTH_MAX
from placement.v1 import basis_pb2
from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import placement_service_pb2 as pb
from placement.v1 import replication_service_pb2 as replication_pb
from placement.wire.requests import LIMITS, REQUEST_BYTES_MAX
from tests.builders import AMS, IAD, LATEST, WEB, A, B, pushed
from tests.serving import Service, refused, serving

Fields = dict[str, Any]

LEAK = "/var/lib/placement/secret"
RPCS: dict[str, tuple[type[Any], Fields]] = {
    "RankSources": (
        pb.RankSourcesRequest,
        {"repository": WEB, "digest": A, "region": AMS},
    ),
    "BatchRankSources": (
        pb.BatchRankSourcesRequest,
        {"repository": WEB, "digests": [A], "region": AMS},
    ),
    "ResolveReference": (
        pb.ResolveReferenceRequest,
        {"repository": WEB, "reference": LATEST},
    ),
    "GetPlacement": (
        pb.GetPlacementRequest,
        {"repository": WEB, "reference": LATEST},
    ),
    "ListReplicas": (pb.ListReplicasRequest, {}),
    "PreviewReplications": (replication_pb.PreviewReplicationsRequest, {}),
}
"""A request that succeeds, for every RPC that asks a question."""


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows one tagged content."""
    async with serving() as found:
        await found.stage.happen(pushed("a", IAD, tag=LATEST))
        yield found


def asking(service: Service, method: str, **fields: object) -> Any:  # noqa: ANN401 - a call
    """Call *method* with its good request, in which *fields* are other than good."""
    kind, good = RPCS[method]
    stub = service.replication if method.startswith("Preview") else service.placement
    return getattr(stub, method)(kind(**{**good, **fields}))


@pytest.mark.parametrize("method", RPCS)
async def test_good_request_is_answered(service: Service, method: str) -> None:
    """So that what follows fails for the reason that it names."""
    answer = await asking(service, method)

    assert answer.basis.sequence == 1


BAD: list[tuple[str, Fields, str, str]] = [
    ("RankSources", {"repository": "Acme"}, "NAME_INVALID", "repository"),
    ("RankSources", {"digest": "sha256:12"}, "DIGEST_INVALID", "digest"),
    ("RankSources", {"region": "IAD!"}, "REGION_INVALID", "region"),
    ("RankSources", {"region": ""}, "REGION_INVALID", "region"),
    ("RankSources", {"max_source_count": -1}, "LIMIT_INVALID", "max_source_count"),
    ("BatchRankSources", {"repository": ""}, "NAME_INVALID", "repository"),
    ("BatchRankSources", {"digests": [A, "x"]}, "DIGEST_INVALID", "digests[1]"),
    ("BatchRankSources", {"digests": []}, "LIMIT_INVALID", "digests"),
    ("BatchRankSources", {"region": "-"}, "REGION_INVALID", "region"),
    ("ResolveReference", {"repository": "a//b"}, "NAME_INVALID", "repository"),
    ("ResolveReference", {"reference": ".a"}, "TAG_INVALID", "reference"),
    ("ResolveReference", {"reference": "md5:1"}, "DIGEST_INVALID", "reference"),
    ("GetPlacement", {"reference": ""}, "TAG_INVALID", "reference"),
    ("ListReplicas", {"region": "a b"}, "REGION_INVALID", "region"),
    ("ListReplicas", {"repository": "/"}, "NAME_INVALID", "repository"),
    ("ListReplicas", {"page_size": -1}, "LIMIT_INVALID", "page_size"),
    ("ListReplicas", {"page_token": "x"}, "PAGE_TOKEN_INVALID", "page_token"),
    ("PreviewReplications", {"policy": "best"}, "POLICY_UNKNOWN", "policy"),
    ("PreviewReplications", {"reference": "v1"}, "INPUT_INVALID", "repository"),
    ("PreviewReplications", {"target_region": "-"}, "REGION_INVALID", "target_region"),
    (
        "PreviewReplications",
        {"max_transfer_bytes": -1},
        "LIMIT_INVALID",
        "max_transfer_bytes",
    ),
    (
        "PreviewReplications",
        {"max_replication_count": -1},
        "LIMIT_INVALID",
        "max_replication_count",
    ),
]


@pytest.mark.parametrize(("method", "fields", "reason", "field"), BAD)
async def test_bad_field_is_named_with_its_reason_and_remedy(
    service: Service, method: str, fields: Fields, reason: str, field: str
) -> None:
    """INVALID_ARGUMENT; a program finds the field, a person what to do about it."""
    refusal = await refused(asking(service, method, **fields))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (refusal.info.reason, refusal.info.domain) == (reason, DOMAIN)
    assert refusal.field == refusal.info.metadata["field"] == field
    assert refusal.info.metadata["remedy"] == refusal.violations[0].description != ""
    assert refusal.violations[0].reason == reason
    assert refusal.message.startswith(f"{field}: ")
    assert refusal.retry_ms is None


def over(name: str) -> int:
    """Return one more than the limit of this name."""
    return LIMITS[name] + 1


LIMITED: list[tuple[str, Fields, Fields, str]] = [
    (
        "RankSources",
        {"max_source_count": LIMITS["max_source_count"]},
        {"max_source_count": over("max_source_count")},
        "LIMIT_INVALID",
    ),
    (
        "BatchRankSources",
        {"max_source_count": LIMITS["max_source_count"]},
        {"max_source_count": over("max_source_count")},
        "LIMIT_INVALID",
    ),
    (
        "BatchRankSources",
        {"digests": [A] * LIMITS["digests"]},
        {"digests": [A] * over("digests")},
        "LIMIT_INVALID",
    ),
    (
        "ListReplicas",
        {"page_size": LIMITS["page_size"]},
        {"page_size": over("page_size")},
        "LIMIT_INVALID",
    ),
    (
        "PreviewReplications",
        {"max_replication_count": LIMITS["max_replication_count"]},
        {"max_replication_count": over("max_replication_count")},
        "LIMIT_INVALID",
    ),
    (
        "RankSources",
        {"repository": "a" * REPOSITORY_LENGTH_MAX},
        {"repository": "a" * (REPOSITORY_LENGTH_MAX + 1)},
        "NAME_INVALID",
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


async def test_tag_of_full_length_is_a_tag_and_one_more_is_none(
    service: Service,
) -> None:
    """128 characters: then it is unknown; 129: then it is not valid."""
    full, longer = "t" * TAG_LENGTH_MAX, "t" * (TAG_LENGTH_MAX + 1)

    unknown = await refused(asking(service, "ResolveReference", reference=full))
    invalid = await refused(asking(service, "ResolveReference", reference=longer))

    assert unknown.info.reason == "MANIFEST_UNKNOWN"
    assert invalid.info.reason == "TAG_INVALID"


async def test_request_over_the_size_limit_is_refused_unread(service: Service) -> None:
    """GRPC itself answers RESOURCE_EXHAUSTED, before there is anything to parse."""
    request = event_pb.PublishEventsRequest()
    request.events.add(publisher="x" * REQUEST_BYTES_MAX)

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await service.events.PublishEvents(request)

    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_metadata_over_the_limit_is_refused_and_the_next_call_answered(
    service: Service,
) -> None:
    """GRPC refuses it unread; the connection stays good for others."""
    request = pb.GetServiceInfoRequest()
    over = (("x-long", "x" * (METADATA_BYTES_MAX + 1)),)

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await service.placement.GetServiceInfo(request, metadata=over)

    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await service.placement.GetServiceInfo(request)


UNKNOWN: list[tuple[str, Fields, str]] = [
    ("RankSources", {"region": "atlantis"}, "REGION_UNKNOWN"),
    ("BatchRankSources", {"region": "atlantis"}, "REGION_UNKNOWN"),
    ("ListReplicas", {"region": "atlantis"}, "REGION_UNKNOWN"),
    ("PreviewReplications", {"target_region": "atlantis"}, "REGION_UNKNOWN"),
    ("ResolveReference", {"reference": "v9"}, "MANIFEST_UNKNOWN"),
    ("ResolveReference", {"reference": B}, "BLOB_UNKNOWN"),
    ("ResolveReference", {"repository": "no/body"}, "MANIFEST_UNKNOWN"),
    ("GetPlacement", {"reference": "v9"}, "MANIFEST_UNKNOWN"),
    ("GetPlacement", {"reference": B}, "BLOB_UNKNOWN"),
    ("ListReplicas", {"repository": "no/body"}, "NAME_UNKNOWN"),
    ("PreviewReplications", {"repository": "no/body"}, "NAME_UNKNOWN"),
    (
        "PreviewReplications",
        {"repository": WEB, "reference": "v9"},
        "MANIFEST_UNKNOWN",
    ),
    ("PreviewReplications", {"repository": WEB, "reference": B}, "BLOB_UNKNOWN"),
]


@pytest.mark.parametrize(("method", "fields", "reason"), UNKNOWN)
async def test_what_nobody_named_is_not_found(
    service: Service, method: str, fields: Fields, reason: str
) -> None:
    """NOT_FOUND with what was looked for, and no field at fault."""
    refusal = await refused(asking(service, method, **fields))

    assert refusal.code is grpc.StatusCode.NOT_FOUND
    assert (refusal.info.reason, refusal.info.domain) == (reason, DOMAIN)
    assert refusal.info.metadata["remedy"] == REASONS[reason].action
    assert set(refusal.info.metadata.values()) & {str(v) for v in fields.values()}
    assert not refusal.violations
    assert refusal.retry_ms is None


@pytest.mark.parametrize("method", RPCS)
async def test_past_is_refused_where_there_is_none(
    service: Service, method: str
) -> None:
    """Better than answering about now what was asked about then."""
    then = basis_pb2.AsOf(sequence=1)
    now = basis_pb2.AsOf()

    await asking(service, method, as_of=now)
    refusal = await refused(asking(service, method, as_of=then))

    assert refusal.code is grpc.StatusCode.UNIMPLEMENTED
    assert refusal.info.reason == "AS_OF_UNSUPPORTED"


@pytest.mark.parametrize("method", [*RPCS, "GetServiceInfo", "PublishEvents"])
async def test_bytes_that_are_no_request_are_an_input_error(
    service: Service, method: str
) -> None:
    """Whatever comes over the wire is answered, and crashes nothing."""
    name = {"PreviewReplications": "Replication", "PublishEvents": "Event"}
    path = f"/placement.v1.{name.get(method, 'Placement')}Service/{method}"
    send: Any = service.channel.unary_unary(path)

    refusal = await refused(send(b"\xff\xff\xff"))

    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.info.reason == "INPUT_INVALID"
    assert refusal.field == "request"


async def test_text_that_is_not_utf_8_is_an_input_error(service: Service) -> None:
    """Protobuf's texts are UTF-8; other bytes in their place are no request."""
    send: Any = service.channel.unary_unary(
        "/placement.v1.PlacementService/RankSources"
    )

    refusal = await refused(send(b"\x0a\x02\xc3\x28"))

    assert refusal.info.reason == "INPUT_INVALID"


async def test_crash_says_nothing_but_an_id_that_the_log_has_too(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No stack and no path leaves the service."""

    def crash(*_: object) -> None:
        raise RuntimeError(LEAK)

    monkeypatch.setattr(placement_servicer, "resolve", crash)

    with capture_logs() as lines:
        refusal = await refused(asking(service, "ResolveReference"))

    (line,) = [line for line in lines if line["event"] == "call_failed"]
    assert refusal.code is grpc.StatusCode.INTERNAL
    assert refusal.info.reason == "INTERNAL"
    assert refusal.info.metadata["error_id"] == line["error_id"]
    assert line["log_level"] == "error"
    assert line["exc_info"]
    assert LEAK not in f"{refusal.message}{refusal.info}"
