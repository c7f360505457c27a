"""PlacementService over a real connection, asked with plain stubs: the answers."""

from collections.abc import AsyncIterator

import pytest

from placement import __version__
from placement.core.event import (
    Operation,
    RegionChanged,
    RegionState,
)
from placement.core.fold import FOLD_VERSION
from placement.v1 import basis_pb2, events_pb2
from placement.v1 import placement_service_pb2 as pb
from placement.wire.fields import nanoseconds
from placement.wire.requests import LIMITS
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    LATEST,
    LHR,
    MANIFEST,
    SCL,
    SECOND_NS,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    D,
    digest,
    event,
    pulled,
    pushed,
    replicated,
    started,
)
from tests.serving import EPOCH, LAYER_BYTES, LAYERS, Service, serving

IMAGE = digest("image")
IMAGE_BYTES = 1_000 + 2_000 + LAYER_BYTES


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows one image in Ashburn, its manifest also in Frankfurt."""
    async with serving() as found:
        await found.stage.happen(
            pushed("config", IAD, size_bytes=2_000, media_type=LAYERS[0].media_type),
            pushed("layer", IAD, size_bytes=LAYER_BYTES),
            pushed("image", IAD, size_bytes=1_000, references=LAYERS, tag=LATEST),
            pushed("image", FRA, size_bytes=1_000, references=LAYERS),
        )
        yield found


async def test_sources_are_ranked_with_what_they_rest_on(service: Service) -> None:
    """The whole image comes before a nearer part of it, each with its expectation."""
    asked = pb.RankSourcesRequest(repository=WEB, digest=IMAGE, region=AMS)

    answer = await service.placement.RankSources(asked)

    assert [source.region for source in answer.sources] == [IAD, FRA]
    best = answer.sources[0]
    assert best.endpoint == "https://registry.iad.test"
    assert best.repository == WEB
    assert best.phase == pb.REPLICA_PHASE_COMPLETE
    p50, p90 = best.expected_duration.p50, best.expected_duration.p90
    assert 0 < nanoseconds(p50) < nanoseconds(p90)
    factors = {factor.name: factor.value for factor in best.factors}
    assert factors["transfer_bytes"] == IMAGE_BYTES
    assert answer.fallback.region == IAD
    assert answer.fallback.phase == pb.REPLICA_PHASE_COMPLETE
    assert answer.size_bytes == 1_000


async def test_basis_says_what_an_answer_rests_on(service: Service) -> None:
    """Sequence, epoch, times and a token that stands for them."""
    asked = pb.RankSourcesRequest(repository=WEB, digest=IMAGE, region=AMS)

    basis = (await service.placement.RankSources(asked)).basis

    assert (basis.epoch, basis.sequence) == (EPOCH, 4)
    assert basis.state == basis_pb2.SERVING_STATE_LIVE
    assert nanoseconds(basis.store_time) == START_NS + 4 * SECOND_NS
    assert nanoseconds(basis.answer_time) == START_NS + 4 * SECOND_NS
    assert nanoseconds(basis.staleness) == 0
    assert basis.token == service.stage.view.basis().token


async def test_unknown_content_has_no_sources_and_the_fallback(
    service: Service,
) -> None:
    """A lost notification never breaks a pull: home is always worth asking."""
    asked = pb.RankSourcesRequest(repository="never/heard", digest=D, region=SYD)

    answer = await service.placement.RankSources(asked)

    assert not answer.sources
    assert answer.fallback.region == IAD
    assert answer.fallback.endpoint == "https://registry.iad.test"
    assert answer.fallback.repository == "never/heard"
    assert answer.fallback.phase == pb.REPLICA_PHASE_UNSPECIFIED
    assert nanoseconds(answer.fallback.expected_duration.p50) > 0


async def test_blob_of_another_repository_is_a_mount_and_no_source(
    service: Service,
) -> None:
    """It would be 404 there, but can be mounted without moving a byte."""
    asked = pb.RankSourcesRequest(repository=API, digest=digest("layer"), region=IAD)

    answer = await service.placement.RankSources(asked)

    assert not answer.sources
    assert [(mount.region, mount.repository) for mount in answer.mounts] == [(IAD, WEB)]


async def test_sources_are_three_unless_more_are_asked_for(service: Service) -> None:
    """0 stands for 3; a number is taken at its word."""
    await service.stage.happen(*(replicated("a", region) for region in (AMS, FRA)))
    await service.stage.happen(*(replicated("a", region) for region in (LHR, SYD)))
    asked = pb.RankSourcesRequest(repository=WEB, digest=A, region=AMS)

    few = await service.placement.RankSources(asked)
    asked.max_source_count = 32
    many = await service.placement.RankSources(asked)

    assert [source.region for source in few.sources] == [AMS, FRA, LHR]
    assert [source.region for source in many.sources] == [AMS, FRA, LHR, SYD]


async def test_batch_answers_each_digest_in_order(service: Service) -> None:
    """One ranking for each digest, known or not, equal to the single answer."""
    digests = [D, IMAGE, *(digest(f"number {number}") for number in range(1_022))]
    asked = pb.BatchRankSourcesRequest(repository=WEB, digests=digests, region=AMS)
    single = pb.RankSourcesRequest(repository=WEB, digest=IMAGE, region=AMS)

    answer = await service.placement.BatchRankSources(asked)

    assert [ranking.digest for ranking in answer.rankings] == digests
    assert not answer.rankings[0].sources
    alone = await service.placement.RankSources(single)
    assert list(answer.rankings[1].sources) == list(alone.sources)
    assert answer.fallback.region == IAD
    assert answer.basis.sequence == 4


async def test_tag_resolves_with_who_set_it_and_when(service: Service) -> None:
    """A stale tag would start the wrong version, so the answer says how fresh it is."""
    asked = pb.ResolveReferenceRequest(repository=WEB, reference=LATEST)

    answer = await service.placement.ResolveReference(asked)

    assert answer.content == events_pb2.Descriptor(
        digest=IMAGE, media_type=MANIFEST, size_bytes=1_000
    )
    assert (answer.set_region, answer.set_sequence) == (IAD, 3)
    assert nanoseconds(answer.set_time) == START_NS + 3 * SECOND_NS


async def test_digest_resolves_to_itself_and_nobody_set_it(service: Service) -> None:
    """Content has no date; only pointers do."""
    asked = pb.ResolveReferenceRequest(repository=WEB, reference=IMAGE)

    answer = await service.placement.ResolveReference(asked)

    assert answer.content.digest == IMAGE
    assert (answer.set_region, answer.set_sequence) == ("", 0)
    assert not answer.HasField("set_time")


async def test_placement_says_what_each_region_has_and_uses(service: Service) -> None:
    """Where the image is whole, what is missing elsewhere, and who asks for it."""
    await service.stage.happen(pulled("image", AMS), started("image", AMS))
    asked = pb.GetPlacementRequest(repository=WEB, reference=LATEST)

    placement = (await service.placement.GetPlacement(asked)).placement

    assert (placement.organization, placement.app) == ("acme", WEB)
    assert placement.content.digest == IMAGE
    assert placement.image_size_bytes == IMAGE_BYTES
    assert list(placement.tags) == [LATEST]
    part, whole = placement.regions
    assert (whole.region, whole.complete, whole.missing_bytes) == (IAD, True, 0)
    assert (part.region, part.complete) == (FRA, False)
    assert part.missing_bytes == 2_000 + LAYER_BYTES
    assert part.HasField("create_time")
    (demand,) = placement.demands
    assert (demand.region, demand.pull_count, demand.start_count) == (AMS, 1, 1)
    assert demand.running_count == 1
    assert demand.app_demand == pytest.approx(2)


async def test_service_info_says_what_is_accepted_and_how_far_it_is(
    service: Service,
) -> None:
    """Version, counts, limits, RPCs and the catalogue with what operators said."""
    order = RegionChanged(FRA, RegionState.DRAINING, Operation())
    await service.stage.happen(event(FRA, order))

    info = await service.placement.GetServiceInfo(pb.GetServiceInfoRequest())

    assert (info.version, info.fold_version) == (__version__, FOLD_VERSION)
    assert info.pending_message_count == 0
    assert info.counts == pb.FoldCounts(folded_count=5)
    assert {limit.name: limit.value for limit in info.limits} == dict(LIMITS)
    assert set(info.capabilities) == {
        "PlacementService.RankSources",
        "PlacementService.BatchRankSources",
        "PlacementService.BatchRankSourcesPacked",
        "PlacementService.ResolveReference",
        "PlacementService.GetPlacement",
        "PlacementService.PlanPull",
        "PlacementService.EstimateStarts",
        "PlacementService.RankPushTargets",
        "PlacementService.ListRoutes",
        "PlacementService.ExplainAnswer",
        "PlacementService.ListReplicas",
        "PlacementService.WatchPlacements",
        "PlacementService.GetServiceInfo",
        "ReplicationService.PreviewReplications",
        "ReplicationService.RequestReplication",
        "ReplicationService.CancelReplication",
        "ReplicationService.WatchReplication",
        "ReplicationService.WatchReplications",
        "ReplicationService.ListReplications",
        "ReplicationService.GetReplication",
        "ReplicationService.ExplainStart",
        "OperationsService.SetRegionState",
        "OperationsService.PauseReplication",
        "OperationsService.ResumeReplication",
        "OperationsService.PinContent",
        "OperationsService.UnpinContent",
        "OperationsService.SetPolicy",
        "OperationsService.ListOrders",
        "OperationsService.StreamCheckpoint",
        "ReportService.GetReport",
        "EventService.PublishEvents",
    }
    assert info.home_region == IAD
    regions = {region.code: region for region in info.regions}
    assert list(regions) == sorted(TOPOLOGY.regions)
    assert regions[FRA].state == events_pb2.REGION_STATE_DRAINING
    assert regions[AMS].state == events_pb2.REGION_STATE_ACTIVE
    assert (regions[SCL].stores, regions[AMS].stores) == (False, True)
    assert regions[AMS].serving_order[0] == AMS
    assert info.fingerprint == ""


async def test_fingerprint_comes_when_asked_for(service: Service) -> None:
    """It reads the whole state, so nobody gets it by accident."""
    asked = pb.GetServiceInfoRequest(include_fingerprint=True)

    before = await service.placement.GetServiceInfo(asked)
    again = await service.placement.GetServiceInfo(asked)
    await service.stage.happen(pushed("a", SYD))
    after = await service.placement.GetServiceInfo(asked)

    assert len(before.fingerprint) == 32
    assert again.fingerprint == before.fingerprint != after.fingerprint


async def test_pending_messages_are_unknown_while_the_log_is_silent(
    service: Service,
) -> None:
    """A number from before would be a guess."""
    view = service.stage.view
    view.reached(service.stage.now_ns, view.state.sequence + 7)
    asked = pb.GetServiceInfoRequest()

    behind = await service.placement.GetServiceInfo(asked)
    service.stage.now_ns += 60 * SECOND_NS
    silent = await service.placement.GetServiceInfo(asked)

    assert behind.pending_message_count == 7
    assert not silent.HasField("pending_message_count")
    assert silent.basis.state == basis_pb2.SERVING_STATE_STALE
