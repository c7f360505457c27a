"""Two worlds that differ in nothing but what others have, and a tenant's questions.

In the one, another organization has images, layers that the tenant has too, machines,
copies and requests. In the other, the same happened under names that nobody asks for,
with content of its own. Whatever the tenant can tell apart has leaked.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from placement.core.event import (
    Event,
    Identifier,
    ReplicationCompleted,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationSubject,
    TagMoved,
)
from placement.core.oci import Repository, Tag
from placement.v1 import placement_service_pb2 as places
from placement.v1 import replication_service_pb2 as copies
from placement.v1 import report_service_pb2 as reports
from tests.builders import (
    AMS,
    FRA,
    IAD,
    LAYER,
    LHR,
    SYD,
    WEB,
    descriptor,
    digest,
    event,
    pulled,
    pushed,
    seconds,
    started,
)
from tests.copying import planned, released

SHOP = Repository("globex/shop")
FOREIGN = ("globex/shop", "globex/none", "acmecorp/web", "acm", "globex")
"""Names that are not the tenant's: of what there is, and of what there is not."""
Question = tuple[str, Any]


def own() -> list[Event]:
    """Return what the tenant has: an image, two copies, a machine and a request."""
    request = ReplicationRequested(Identifier("acme/r1"), WEB, Tag("v1"), FRA)
    return [
        *released(AMS),
        planned("copy-1"),
        event(SYD, ReplicationCompleted(_subject(planned("copy-1")), 60, seconds(2))),
        planned("copy-2", target=FRA),
        started("a", SYD, machine="m-own"),
        pulled("a", IAD),
        event(FRA, request),
    ]


def others(*, here: bool) -> list[Event]:
    """Return what others have; *here* under the names that are asked for."""
    shop = SHOP if here else Repository("initech/other")
    secret, shared = ("secret", "layer") if here else ("hidden", "another")
    image = "a" if here else "b"
    prefix = "" if here else "x-"
    layers = [descriptor(shared, 60_000_000, LAYER)]
    request = ReplicationRequested(
        Identifier(f"{prefix}globex/r1"), shop, Tag("v1"), IAD
    )
    pushes = [
        pushed(shared, region, shop, size_bytes=60_000_000)
        for region in (SYD, IAD, FRA)
    ]
    decided = [
        event(target, _moved(planned(f"{prefix}copy-{n}", name, target), shop))
        for n, (name, target) in enumerate(
            [(secret, IAD), (shared, FRA), (shared, LHR), (image, LHR), (image, SYD)],
            start=5,
        )
    ]
    return [
        *pushes,
        pushed(image, SYD, shop, references=layers, size_bytes=1_000),
        pushed(secret, SYD, shop, references=layers, size_bytes=999, tag=Tag("v1")),
        *decided,
        started(secret, SYD, shop, machine=f"{prefix}m-other"),
        started(image, LHR, shop, machine=f"{prefix}m-image"),
        event(SYD, TagMoved(shop, Tag("v2"), digest(secret))),
        event(IAD, request),
        pulled(secret, IAD, shop),
        pulled(image, LHR, shop),
        pulled(shared, FRA, shop),
    ]


def _subject(event_: Event) -> ReplicationSubject:
    assert isinstance(event_.fact, ReplicationPlanned)
    return event_.fact.subject


def _moved(event_: Event, repository: Repository) -> ReplicationPlanned:
    """Return a decision as one about *repository*."""
    fact = event_.fact
    assert isinstance(fact, ReplicationPlanned)
    return replace(fact, subject=replace(fact.subject, repository=repository))


def questions() -> Iterator[Question]:
    """Yield methods and requests that name what is others', or could tell of it."""
    for repository in (*FOREIGN, WEB, "acme/none"):
        yield from _about(repository)
    for request in (
        places.ListReplicasRequest(),
        places.ListReplicasRequest(region=SYD),
        places.ListReplicasRequest(page_size=1),
    ):
        yield "PlacementService/ListReplicas", request
    yield (
        "ReplicationService/PreviewReplications",
        copies.PreviewReplicationsRequest(policy="set_60d"),
    )
    for listing in (
        copies.ListReplicationsRequest(),
        copies.ListReplicationsRequest(page_size=1),
        copies.ListReplicationsRequest(target_region=IAD),
    ):
        yield "ReplicationService/ListReplications", listing
    for own_id in ("copy-1", "copy-2", "copy-5", "copy-8", "copy-none"):
        yield (
            "ReplicationService/GetReplication",
            copies.GetReplicationRequest(replication_id=own_id),
        )
        yield (
            "ReplicationService/WatchReplication",
            copies.WatchReplicationRequest(replication_id=own_id),
        )
    for own_id in ("copy-5", "copy-9", "copy-none"):
        yield (
            "ReplicationService/CancelReplication",
            copies.CancelReplicationRequest(
                replication_id=own_id, actor="me", reason="a test"
            ),
        )
    for request_id in ("globex/r1", "acme/r1", "none"):
        yield (
            "ReplicationService/WatchReplication",
            copies.WatchReplicationRequest(request_id=request_id),
        )
    for machine in ("m-own", "m-other", "m-image", "m-none"):
        yield (
            "ReplicationService/ExplainStart",
            copies.ExplainStartRequest(machine_id=machine),
        )
    for grouping in reports.ReportGrouping.values():
        yield "ReportService/GetReport", reports.GetReportRequest(grouping=grouping)


def _about(repository: str) -> Iterator[Question]:
    """Yield every question that names a repository."""
    contents = [digest(name) for name in ("a", "layer", "secret", "none")]
    packed = b"".join(bytes.fromhex(each.partition(":")[2]) for each in contents)
    for content in contents:
        yield (
            "PlacementService/RankSources",
            places.RankSourcesRequest(
                repository=repository, digest=content, region=FRA
            ),
        )
    yield (
        "PlacementService/BatchRankSources",
        places.BatchRankSourcesRequest(
            repository=repository, digests=contents, region=FRA
        ),
    )
    yield (
        "PlacementService/BatchRankSourcesPacked",
        places.BatchRankSourcesPackedRequest(
            repository=repository, sha256_digests=packed, region=FRA
        ),
    )
    yield (
        "PlacementService/RankPushTargets",
        places.RankPushTargetsRequest(repository=repository, region=FRA),
    )
    for reference in ("v1", "v2", "none", *contents):
        named: dict[str, Any] = {"repository": repository, "reference": reference}
        yield (
            "PlacementService/ResolveReference",
            places.ResolveReferenceRequest(**named),
        )
        yield "PlacementService/GetPlacement", places.GetPlacementRequest(**named)
        yield "PlacementService/PlanPull", places.PlanPullRequest(**named, region=LHR)
        yield (
            "PlacementService/ExplainAnswer",
            places.ExplainAnswerRequest(**named, region=LHR),
        )
        selector = places.ImageSelector(**named)
        yield (
            "PlacementService/EstimateStarts",
            places.EstimateStartsRequest(images=[selector], candidates="any"),
        )
        yield (
            "ReplicationService/PreviewReplications",
            copies.PreviewReplicationsRequest(**named, policy="set_60d"),
        )
        if repository != WEB:
            yield (
                "ReplicationService/RequestReplication",
                copies.RequestReplicationRequest(
                    **named, target_region=IAD, actor="me", request_id="acme/new"
                ),
            )
    for request_id in ("r1", "globex/r1", "globex/none"):
        yield (
            "ReplicationService/RequestReplication",
            copies.RequestReplicationRequest(
                repository=repository,
                reference="v1",
                target_region=IAD,
                actor="me",
                request_id=request_id,
            ),
        )
    yield (
        "PlacementService/ListReplicas",
        places.ListReplicasRequest(repository=repository),
    )
    yield (
        "ReplicationService/ListReplications",
        copies.ListReplicationsRequest(repository=repository),
    )
    for packed_too in (False, True):
        yield (
            "PlacementService/WatchPlacements",
            places.WatchPlacementsRequest(
                repository_prefixes=[repository], include_tags=True, packed=packed_too
            ),
        )
        yield (
            "PlacementService/WatchPlacements",
            places.WatchPlacementsRequest(include_tags=True, packed=packed_too),
        )
