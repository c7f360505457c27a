"""PlacementService in seconds: pulls, starts, pushes, routes, arrivals, and why."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from placement.client import PlacementClient
from placement.core.event import (
    ContentAnnounced,
    ContentPushed,
    ContentReplicated,
    Event,
    Identifier,
    MachineStarted,
    Operation,
    RegionChanged,
    RegionState,
    ReplicationRequested,
    TransferMeasured,
)
from placement.core.oci import Descriptor, Platform
from placement.core.topology import CatalogueRegion, Region, Topology
from placement.v1 import events_pb2 as events_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.fields import nanoseconds
from tests import serving as stage
from tests.builders import (
    AMD64,
    AMS,
    API,
    ARM64,
    FRA,
    IAD,
    INDEX,
    LATEST,
    LAYER,
    LHR,
    MANIFEST,
    SCL,
    SECOND_NS,
    SYD,
    TOPOLOGY,
    WEB,
    descriptor,
    digest,
    event,
    pushed,
    seconds,
    started,
)
from tests.serving import Service, serving

CONFIG = "application/vnd.oci.image.config.v1+json"
BASE = descriptor("base", 30_000_000)
OWN = {"amd": descriptor("amd layer", 10_000_000), "arm": descriptor("arm layer", 200)}
CONFIGS = {name: descriptor(f"{name} config", 2_000, CONFIG) for name in OWN}
MANIFESTS = {
    "amd": descriptor("amd", 1_000, MANIFEST, AMD64),
    "arm": descriptor("arm", 1_000, MANIFEST, ARM64),
}
THE_INDEX = descriptor("index", 500, INDEX)
AMD_BYTES = 500 + 1_000 + 2_000 + 30_000_000 + 10_000_000
ARM_BYTES = 500 + 1_000 + 2_000 + 30_000_000 + 200
ARM_ALONE_BYTES = 1_000 + 2_000 + 200
"""What only the second platform needs."""

DFW = Region("dfw")
DALLAS = CatalogueRegion(DFW, "Dallas", 32.9, -97.04, endpoint="https://dfw.test")


def image_pushed(region: Region) -> list[Event]:
    """Return the pushes of an index of two platforms that share their base layer."""
    blobs = [BASE, *OWN.values(), *CONFIGS.values()]
    return [
        *(_push(blob, region) for blob in blobs),
        *(
            _push(MANIFESTS[name], region, (CONFIGS[name], BASE, OWN[name]))
            for name in MANIFESTS
        ),
        _push(THE_INDEX, region, tuple(MANIFESTS.values())),
    ]


def _push(
    content: Descriptor, region: Region, references: tuple[Descriptor, ...] = ()
) -> Event:
    tag = LATEST if content == THE_INDEX else None
    bare = replace(content, platform=None)
    return event(region, ContentPushed(bare, WEB, tag, references))


def arrived(region: Region, *contents: Descriptor) -> Event:
    """Return the arrival of copies."""
    bare = tuple(replace(content, platform=None) for content in contents)
    return event(region, ContentReplicated(bare, WEB))


def amd_arrived(region: Region) -> Event:
    """Return the arrival of all that the first platform needs."""
    return arrived(
        region, THE_INDEX, MANIFESTS["amd"], CONFIGS["amd"], BASE, OWN["amd"]
    )


def image(platform: Platform | None = None) -> pb.ImageSelector:
    """Return the image for one platform."""
    selector = pb.ImageSelector(repository=WEB, reference=LATEST)
    if platform is not None:
        proto = events_pb.Platform(
            os=platform.os, architecture=platform.architecture, variant=platform.variant
        )
        selector.platform.CopyFrom(proto)
    return selector


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows the image whole in Ashburn, one platform in Amsterdam."""
    async with serving() as found:
        await found.stage.happen(*image_pushed(IAD), amd_arrived(AMS))
        yield found


@pytest.fixture
async def client(service: Service) -> AsyncIterator[PlacementClient]:
    """A client of that service."""
    async with PlacementClient(service.target) as found:
        yield found


async def estimates(service: Service, **fields: Any) -> dict[str, pb.StartEstimate]:  # noqa: ANN401 - the request's own
    """Return the estimates of one request by region, in the answer's order."""
    request = pb.EstimateStartsRequest(**{"images": [image(AMD64)], **fields})
    answer = await service.placement.EstimateStarts(request)
    return {estimate.region: estimate for estimate in answer.estimates}


async def test_starts_differ_by_platform_where_one_is_present(service: Service) -> None:
    """Amsterdam has all of amd64, and of arm64 all that both share."""
    amd = await estimates(service, candidates="ams,fra")
    arm = await estimates(service, candidates="ams,fra", images=[image(ARM64)])

    assert list(amd) == list(arm) == [AMS, FRA]
    assert (amd[AMS].missing_bytes, amd[FRA].missing_bytes) == (0, AMD_BYTES)
    assert arm[AMS].missing_bytes == ARM_ALONE_BYTES
    assert arm[FRA].missing_bytes == ARM_BYTES
    assert amd[AMS].images[0].arrival == pb.ARRIVAL_READY
    assert amd[AMS].images[0].phase == pb.REPLICA_PHASE_COMPLETE
    assert arm[AMS].images[0].arrival == pb.ARRIVAL_UNWANTED
    assert arm[AMS].images[0].source_region == IAD
    waits = [nanoseconds(found[AMS].expected_wait.p50) for found in (amd, arm)]
    assert 0 < waits[0] < waits[1]
    assert amd[AMS].reason == "all of it is there"


async def test_layer_that_images_share_counts_once(service: Service) -> None:
    """Both platforms on one machine: the base layer travels once."""
    found = await estimates(
        service, candidates=FRA, images=[image(AMD64), image(ARM64)]
    )

    both = found[FRA]
    assert both.missing_bytes == AMD_BYTES + ARM_ALONE_BYTES
    assert [one.missing_bytes for one in both.images] == [AMD_BYTES, ARM_BYTES]
    assert [one.digest for one in both.images] == [THE_INDEX.digest] * 2


async def test_image_without_a_platform_is_its_largest(service: Service) -> None:
    """Nobody has to know what an index holds."""
    found = await estimates(service, candidates=FRA, images=[image()])

    assert found[FRA].missing_bytes == AMD_BYTES


async def test_region_without_storage_waits_through_its_serving_order(
    service: Service,
) -> None:
    """Santiago stores nothing: Ashburn, which is nearest, serves it."""
    found = await estimates(service, candidates="scl,iad")

    assert found[SCL].storage_region == TOPOLOGY.serving_order(SCL)[0] == IAD
    assert found[SCL].missing_bytes == 0
    assert found[SCL].reason == "all of it is there (stored in iad)"
    far, near = (nanoseconds(found[region].expected_wait.p50) for region in (SCL, IAD))
    assert far > near > 0


async def test_candidates_are_all_unless_they_are_named_or_limited(
    service: Service,
) -> None:
    """Empty is any; the best come first, and a limit keeps those."""
    every = await estimates(service)
    few = await estimates(service, max_region_count=2)

    assert set(every) == set(TOPOLOGY.regions)
    assert list(few) == list(every)[:2]
    assert every == {**every, **few}


async def test_draining_region_comes_last(service: Service) -> None:
    """However soon a start would be there."""
    order = RegionChanged(AMS, RegionState.DRAINING, Operation())
    await service.stage.happen(event(IAD, order))

    found = await estimates(service, candidates="ams,iad,syd")

    assert list(found)[-1] == AMS


async def test_estimates_learn_from_transfers(service: Service) -> None:
    """A path that is slow is expected to be slow, and says what it was learned from."""
    before = await estimates(service, candidates=FRA)
    for source in (AMS, IAD):
        fact = TransferMeasured(source, 40_000_000, seconds(90))
        await service.stage.happen(*(event(FRA, fact) for _ in range(6)))

    after = await estimates(service, candidates=FRA)

    assert (before[FRA].sample_count, after[FRA].sample_count) == (0, 6)
    cold, learned = (
        nanoseconds(found[FRA].expected_wait.p50) for found in (before, after)
    )
    assert learned > 5 * cold


async def test_path_that_turned_slow_is_left(service: Service) -> None:
    """Frankfurt fetches from Amsterdam, until that is slower than over the ocean."""
    before = await estimates(service, candidates=FRA)
    fact = TransferMeasured(AMS, 40_000_000, seconds(90))
    await service.stage.happen(*(event(FRA, fact) for _ in range(5)))

    after = await estimates(service, candidates=FRA)

    assert before[FRA].images[0].source_region == AMS
    assert after[FRA].images[0].source_region == IAD


async def test_near_equal_regions_are_spread_by_request_id(service: Service) -> None:
    """Without an id by code; callers with ids begin at different regions."""
    await service.stage.happen(*(amd_arrived(region) for region in (FRA, LHR)))
    candidates = "ams,fra,iad,lhr"

    plain = await estimates(service, candidates=candidates)
    firsts = {
        next(iter(await estimates(service, candidates=candidates, request_id=f"r{n}")))
        for n in range(40)
    }

    assert list(plain) == [AMS, FRA, IAD, LHR]
    assert firsts == {AMS, FRA, IAD, LHR}
    again = [
        list(await estimates(service, candidates=candidates, request_id="r1"))
        for _ in range(2)
    ]
    assert again[0] == again[1]


async def test_start_without_any_source_has_no_expected_wait(service: Service) -> None:
    """Absent is not zero: it comes after whatever can be expected."""
    await service.stage.happen(
        pushed("half", IAD, API, references=[descriptor("nowhere")], tag=LATEST)
    )
    half = pb.ImageSelector(repository=API, reference=LATEST)

    found = await estimates(service, candidates="iad,fra", images=[half])

    assert not any(one.HasField("expected_wait") for one in found.values())
    assert found[IAD].reason == "nobody is known to hold all of it"


async def test_plan_names_the_sources_of_what_is_missing(service: Service) -> None:
    """Content by content, manifests first; the whole has one expectation."""
    asked = pb.PlanPullRequest(
        repository=WEB, reference=LATEST, region=AMS, platform=image(ARM64).platform
    )

    plan = await service.placement.PlanPull(asked)

    assert (plan.digest, plan.storage_region) == (THE_INDEX.digest, AMS)
    by_digest = {content.content.digest: content for content in plan.contents}
    assert list(by_digest)[:2] == [THE_INDEX.digest, MANIFESTS["arm"].digest]
    assert plan.contents[0].content.media_type == INDEX
    assert by_digest[BASE.digest].present
    (source,) = by_digest[OWN["arm"].digest].sources
    assert (source.region, source.endpoint) == (IAD, TOPOLOGY.endpoint(IAD))
    assert (source.repository, source.phase) == (WEB, pb.REPLICA_PHASE_COMPLETE)
    assert (plan.total_bytes, plan.missing_bytes) == (ARM_BYTES, ARM_ALONE_BYTES)
    assert nanoseconds(plan.expected_duration.p90) > 0
    assert plan.fallback.region == IAD


async def test_plan_mounts_what_another_repository_has(service: Service) -> None:
    """It moves no byte, and is no part of what is missing."""
    await service.stage.happen(
        pushed("app", IAD, API, size_bytes=700, references=[BASE], tag=LATEST),
        pushed("base", IAD, API, size_bytes=BASE.size_bytes, media_type=LAYER),
    )
    asked = pb.PlanPullRequest(repository=API, reference=LATEST, region=AMS)

    plan = await service.placement.PlanPull(asked)

    assert (plan.missing_bytes, plan.mountable_bytes) == (700, BASE.size_bytes)
    mounts = [(each.region, each.repository) for each in plan.contents[1].mounts]
    assert mounts == [(AMS, WEB)]


async def test_plan_knows_a_source_that_still_receives(service: Service) -> None:
    """London is behind Ashburn until it has the layer, and says for how long."""
    fact = ContentAnnounced(OWN["amd"], WEB, held_bytes=9_000_000, source_region=IAD)
    await service.stage.happen(event(LHR, fact))
    asked = pb.PlanPullRequest(
        repository=WEB, reference=MANIFESTS["amd"].digest, region=FRA
    )

    plan = await service.placement.PlanPull(asked)

    layer = next(c for c in plan.contents if c.content.digest == OWN["amd"].digest)
    receiving = next(source for source in layer.sources if source.region == LHR)
    assert receiving.phase == pb.REPLICA_PHASE_PARTIAL
    assert [factor.name for factor in receiving.factors] == ["source_ready_seconds"]
    assert receiving.factors[0].value > 0


async def test_plan_without_sources_has_no_duration_and_the_fallback(
    service: Service,
) -> None:
    """Home is always worth asking."""
    await service.stage.happen(
        pushed("half", IAD, references=[descriptor("nowhere")], tag=LATEST)
    )
    asked = pb.PlanPullRequest(repository=WEB, reference=LATEST, region=AMS)

    plan = await service.placement.PlanPull(asked)

    assert not plan.HasField("expected_duration")
    assert plan.fallback.region == IAD


async def test_placement_says_when_an_image_will_be_there(service: Service) -> None:
    """Ready, on its way, or wanted: each with its arrival, time and source."""
    wanted = ReplicationRequested(Identifier("r1"), WEB, LATEST, SYD)
    moving = ContentAnnounced(THE_INDEX, WEB, held_bytes=1, source_region=IAD)
    await service.stage.happen(event(SYD, wanted), event(FRA, moving))
    asked = pb.GetPlacementRequest(repository=WEB, reference=LATEST)

    found = (await service.placement.GetPlacement(asked)).placement.regions

    regions = {region.region: region for region in found}
    assert regions[IAD].arrival == regions[AMS].arrival == pb.ARRIVAL_READY
    assert regions[AMS].HasField("expected_ready")
    assert nanoseconds(regions[AMS].expected_ready.p90) == 0
    assert regions[AMS].source_region == ""
    assert regions[FRA].arrival == pb.ARRIVAL_UNDER_WAY
    assert regions[SYD].arrival == pb.ARRIVAL_WANTED
    for region in (FRA, SYD):
        assert nanoseconds(regions[region].expected_ready.p50) > 0
        assert regions[region].source_region in {IAD, AMS}


async def test_push_built_in_dallas_goes_where_the_app_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Built in dfw, runs in syd: one long way is enough."""
    topology = Topology({**TOPOLOGY.regions, DFW: DALLAS}, IAD)
    monkeypatch.setattr(stage, "TOPOLOGY", topology)
    asked = pb.RankPushTargetsRequest(repository=WEB, region=DFW)
    async with serving() as service:
        await service.stage.happen(*image_pushed(DFW))
        nowhere = await service.placement.RankPushTargets(asked)
        await service.stage.happen(started("index", SYD))

        answer = await service.placement.RankPushTargets(asked)

    assert nowhere.targets[0].region == DFW
    assert answer.size_bytes == AMD_BYTES + ARM_ALONE_BYTES
    best, *others = answer.targets
    assert (best.region, len(others)) == (SYD, 2)
    assert best.endpoint == TOPOLOGY.endpoint(SYD)
    assert best.reason == "reached from dfw; the app runs here"
    assert nanoseconds(best.expected_onward.p50) == 0
    assert all(nanoseconds(other.expected_onward.p50) > 0 for other in others)


async def test_coordinates_stand_for_the_nearest_region(service: Service) -> None:
    """Whoever pushes from Brussels pushes as Amsterdam would, and is told so."""
    place = pb.Coordinates(latitude=50.85, longitude=4.35)
    asked = pb.RankPushTargetsRequest(
        repository=WEB, coordinates=place, size_bytes=7, max_target_count=32
    )
    plain = pb.RankPushTargetsRequest(repository=WEB, region=AMS, size_bytes=7)

    answer = await service.placement.RankPushTargets(asked)

    ranked = await service.placement.RankPushTargets(plain)
    assert [one.region for one in answer.targets[:3]] == [
        one.region for one in ranked.targets
    ]
    assert len(answer.targets) == len(TOPOLOGY.serving_order(AMS))
    best = answer.targets[0]
    assert (best.region, answer.size_bytes) == (AMS, 7)
    assert best.reason.endswith("ams is the region nearest to the coordinates")
    factors = {factor.name: factor.value for factor in best.factors}
    assert factors["coordinates_distance_km"] == pytest.approx(165, abs=10)


async def test_draining_target_of_a_push_comes_last(service: Service) -> None:
    """And one that is down does not come at all."""
    for region, state in ((IAD, RegionState.DRAINING), (SYD, RegionState.DOWN)):
        order = RegionChanged(region, state, Operation())
        await service.stage.happen(event(region, order))
    asked = pb.RankPushTargetsRequest(repository=WEB, region=IAD, max_target_count=32)

    answer = await service.placement.RankPushTargets(asked)

    regions = [target.region for target in answer.targets]
    assert regions[-1] == IAD
    assert SYD not in regions


async def test_routes_are_those_that_were_observed(service: Service) -> None:
    """By source and target, each with what was learned beside what distance says."""
    slow = TransferMeasured(IAD, 40_000_000, seconds(90))
    await service.stage.happen(event(FRA, slow), event(FRA, slow), event(AMS, slow))

    answer = await service.placement.ListRoutes(pb.ListRoutesRequest())

    pairs = [(route.source_region, route.target_region) for route in answer.routes]
    assert pairs == [(IAD, AMS), (IAD, FRA)]
    route = answer.routes[1]
    assert (route.transfer_count, route.calibration) == (2, pb.Calibration())
    assert 0 < route.effective_sample_count <= 2
    assert nanoseconds(route.round_trip) == TOPOLOGY.round_trip_ns(IAD, FRA)
    p50 = nanoseconds(route.expected_duration.p50)
    start_up = nanoseconds(route.start_up)
    assert p50 == pytest.approx(start_up + 1e17 / route.bytes_per_second, rel=1e-6)
    assert nanoseconds(route.expected_duration.p90) > p50 > start_up > 0


async def test_calibration_counts_what_had_been_expected(service: Service) -> None:
    """A start that says what EstimateStarts had answered scores its route."""
    fact = MachineStarted(
        THE_INDEX.digest,
        WEB,
        Identifier("m1"),
        image_wait_ns=seconds(5),
        source_region=IAD,
        transferred_bytes=AMD_BYTES,
        expected_wait_p50_ns=seconds(4),
        expected_wait_p90_ns=seconds(6),
    )
    await service.stage.happen(event(FRA, fact))
    asked = pb.ListRoutesRequest(
        source_region=IAD, target_region=FRA, include_unobserved=True
    )

    (route,) = (await service.placement.ListRoutes(asked)).routes

    assert route.calibration == pb.Calibration(
        sample_count=1, below_p50_count=0, below_p90_count=1
    )


async def test_unobserved_routes_come_when_asked_for(service: Service) -> None:
    """Every pair of the catalogue that fits the filter, known by distance alone."""
    regions = sorted(TOPOLOGY.regions)

    every = await service.placement.ListRoutes(
        pb.ListRoutesRequest(include_unobserved=True)
    )
    some = await service.placement.ListRoutes(
        pb.ListRoutesRequest(include_unobserved=True, target_region=SYD)
    )
    none = await service.placement.ListRoutes(pb.ListRoutesRequest(target_region=SYD))

    pairs = [(route.source_region, route.target_region) for route in every.routes]
    assert pairs == [(source, target) for source in regions for target in regions]
    assert [route.source_region for route in some.routes] == regions
    assert {route.transfer_count for route in every.routes} == {0}
    assert not none.routes


async def test_explanation_goes_from_the_reference_to_the_wait(
    service: Service,
) -> None:
    """Its wait is that of the plan, to the digit."""
    asked = pb.ExplainAnswerRequest(repository=WEB, reference=LATEST, region=FRA)
    planned = pb.PlanPullRequest(repository=WEB, reference=LATEST, region=FRA)

    answer = await service.placement.ExplainAnswer(asked)

    names = [step.name for step in answer.steps]
    assert names[:3] == ["reference", "storage", "missing"]
    assert names[-1] == "wait"
    assert {"sources", "fallback", "route"} <= set(names)
    plan = await service.placement.PlanPull(planned)
    factors = {factor.name: factor.value for factor in answer.steps[-1].factors}
    p50_ns = nanoseconds(plan.expected_duration.p50)
    assert round(factors["p50_seconds"] * SECOND_NS) == p50_ns


async def test_client_asks_each_question(client: PlacementClient) -> None:
    """As typed methods; platforms are texts, as on a command line."""
    plan = await client.plan_pull(WEB, LATEST, AMS, "linux/arm64")
    amd, arm = (WEB, LATEST, "linux/amd64"), (WEB, LATEST, "linux/arm64/v8")
    starts = await client.estimate_starts(
        [amd, arm, image()], "ams", 3, "request", 1, fail=True
    )
    pushes = await client.rank_push_targets(WEB, AMS, max_target_count=1)
    near = await client.rank_push_targets(WEB, coordinates=(52.0, 5.0), size_bytes=1)
    routes = await client.list_routes(IAD, include_unobserved=True)
    steps = (await client.explain_answer(WEB, LATEST, AMS, "linux/amd64")).steps

    assert plan.missing_bytes == ARM_ALONE_BYTES
    assert len(starts.estimates[0].images) == 3
    assert starts.estimates[0].missing_bytes == ARM_ALONE_BYTES
    assert [target.region for target in pushes.targets] == [AMS]
    assert near.targets[0].region == AMS
    assert {route.source_region for route in routes.routes} == {IAD}
    assert steps[0].text.startswith(f"tag {LATEST} points to {digest('index')}")
