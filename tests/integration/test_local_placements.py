"""LocalPlacements beside a real server: what it knows, and what it outlives."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from placement.api.server import ServerSettings
from placement.client import (
    LocalPlacements,
    LocalStaleError,
    PlacementCallError,
    PlacementClient,
)
from placement.core.errors import (
    DigestInvalidError,
    LimitInvalidError,
    ManifestUnknownError,
    RegionUnknownError,
    TagInvalidError,
)
from placement.core.event import (
    ContentAnnounced,
    ContentEvicted,
    RegionState,
    TagMoved,
)
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.changes import Changes
from placement.runtime.view import ServingState
from placement.runtime.watcher import WatchSettings
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    LATEST,
    LHR,
    SCL,
    SECOND_NS,
    SYD,
    TOPOLOGY,
    WEB,
    A,
    B,
    C,
    D,
    changed,
    descriptor,
    event,
    measured,
    pushed,
    replicated,
)
from tests.serving import LAYER_BYTES, LAYERS, Service, Stage, serving

PATIENCE_S = 10.0
BOOKMARK_SECONDS = WatchSettings().bookmark_interval_s
OTHER_HASH = "sha512:" + 128 * "5"


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows an image in two regions and a layer in one."""
    async with serving() as found:
        await found.stage.happen(
            pushed("config", IAD, size_bytes=2_000),
            pushed("layer", IAD, size_bytes=LAYER_BYTES),
            pushed("a", IAD, references=LAYERS, tag=LATEST),
            replicated("a", FRA),
            pushed("b", IAD, API),
        )
        yield found


@asynccontextmanager
async def replica(service: Service, **options: Any) -> AsyncIterator[LocalPlacements]:  # noqa: ANN401 - of start
    """Start a replica of *service* whose clock is the stage's."""
    options.setdefault("clock", lambda: service.stage.now_ns)
    async with await LocalPlacements.start(service.target, **options) as local:
        yield local


async def until(local: LocalPlacements, holds: Callable[[], bool]) -> None:
    """Wait until something *holds* of what is known."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await local.changed()


async def caught_up(local: LocalPlacements, stage: Stage) -> None:
    """Wait until all that is folded is known."""
    sequence = stage.view.state.sequence
    await until(local, lambda: local.basis.sequence >= sequence)


async def test_replica_knows_what_is_where(service: Service) -> None:
    """By region and repository; of what nobody announced it knows nothing."""
    async with replica(service) as local:
        assert local.holds(WEB, A, IAD)
        assert local.holds(WEB, A, FRA)
        assert not local.holds(WEB, A, AMS)
        assert not local.holds(WEB, A, "mars")
        assert not local.holds(API, A, IAD)
        assert not local.holds("never/heard", A, IAD)
        assert not local.holds(WEB, D, IAD)
        assert local.phase(WEB, A, IAD) is ReplicaPhase.COMPLETE
        assert local.phase(WEB, D, IAD) is ReplicaPhase.ABSENT
        assert local.placement_count == 4
        assert local.basis.state is ServingState.LIVE
        assert local.basis.sequence == 5
        assert local.basis.epoch == "memory-1"
        for region in TOPOLOGY.regions:
            order = TOPOLOGY.serving_order(region)
            assert local.topology.serving_order(region) == order


async def test_what_changes_is_known_soon(service: Service) -> None:
    """Arrivals, departures, what is on its way, and tags."""
    async with replica(service) as local:
        await service.stage.happen(
            replicated("b", SYD, API),
            event(FRA, ContentEvicted(WEB, (A,))),
            event(AMS, ContentAnnounced(descriptor("a"), WEB, 5)),
            event(IAD, TagMoved(WEB, LATEST, C)),
        )
        await caught_up(local, service.stage)

        assert local.holds(API, B, SYD)
        assert not local.holds(WEB, A, FRA)
        assert local.phase(WEB, A, AMS) is ReplicaPhase.PARTIAL
        assert local.resolve(WEB, LATEST).digest == C


async def test_whoever_waits_late_misses_nothing(service: Service) -> None:
    """What comes between the question and the wait is news, not the next bookmark."""
    async with replica(service) as local:
        changed = local.changed()
        await service.stage.happen(replicated("b", SYD, API))
        await caught_up(local, service.stage)

        async with asyncio.timeout(BOOKMARK_SECONDS / 2):
            await changed


async def test_answers_are_those_of_the_service(service: Service) -> None:
    """The same order, the same seconds: of contents, images, regions that drain."""
    stage = service.stage
    await stage.happen(
        replicated("a", LHR),
        replicated("layer", LHR, size_bytes=LAYER_BYTES),
        measured(IAD, SYD, 50_000_000, 9),
        measured(FRA, SYD, 90_000_000, 2),
        changed(FRA, RegionState.DRAINING),
        pushed("layer", AMS, API, size_bytes=LAYER_BYTES),
    )
    async with replica(service) as local, PlacementClient(service.target) as client:
        for repository, digest in (
            (WEB, A),
            (API, B),
            (WEB, LAYERS[1].digest),
            (WEB, D),
        ):
            for region in TOPOLOGY.regions:
                answer = await client.rank_sources(repository, digest, region)
                mine = local.rank_sources(repository, digest, region)
                assert list(sources(mine.sources)) == list(told(answer.sources))
                assert list(sources([mine.fallback])) == list(told([answer.fallback]))
                assert mine.size_bytes == answer.size_bytes
        batch = await client.batch_rank_sources(WEB, [A, LAYERS[1].digest, D], SYD)
        many = local.rank_many(WEB, [A, LAYERS[1].digest, D], SYD)
        assert [list(sources(one.sources)) for one in many] == [
            list(told(one.sources)) for one in batch.rankings
        ]


def sources(found: Any) -> Iterator[tuple[object, ...]]:  # noqa: ANN401 - local ones
    """Yield what a local source says."""
    for one in found:
        yield (one.region, one.endpoint, one.p50_ns, one.p90_ns, int(one.phase))


def told(found: Any) -> Iterator[tuple[object, ...]]:  # noqa: ANN401 - messages
    """Yield what a source of the service says."""
    for one in found:
        expected = one.expected_duration
        seconds = (expected.p50.ToNanoseconds(), expected.p90.ToNanoseconds())
        yield (one.region, one.endpoint, *seconds, int(one.phase))


@pytest.mark.parametrize("request_id", ["", "scheduler-7"])
async def test_estimates_are_those_of_the_service(
    service: Service, request_id: str
) -> None:
    """Each region's wait, what is missing there, and why, best first."""
    await service.stage.happen(
        replicated("layer", FRA, size_bytes=LAYER_BYTES),
        measured(IAD, SYD, 50_000_000, 9),
    )
    images = [(WEB, LATEST, ""), (API, B, "")]
    async with replica(service) as local, PlacementClient(service.target) as client:
        answer = await client.estimate_starts(images, "any", 2, request_id)
        mine = local.estimate(images, "any", 2, request_id)

        assert [one.region for one in mine] == [e.region for e in answer.estimates]
        for local_one, service_one in zip(mine, answer.estimates, strict=True):
            assert local_one.wait is not None
            expected = service_one.expected_wait
            assert local_one.wait.p50_ns == expected.p50.ToNanoseconds()
            assert local_one.wait.p90_ns == expected.p90.ToNanoseconds()
            assert local_one.missing_bytes == service_one.missing_bytes
            assert local_one.reason == service_one.reason


async def test_digest_of_another_hash_is_known_like_any(service: Service) -> None:
    """A sha512 has no column of its own, and is told beside."""
    content = Descriptor(Digest(OTHER_HASH), "", 10)
    await service.stage.happen(event(IAD, ContentAnnounced(content, WEB, 5)))
    async with replica(service) as local:
        assert local.phase(WEB, OTHER_HASH, IAD) is ReplicaPhase.PARTIAL


@pytest.mark.parametrize("digest", ["", "sha256:12", "sha256:" + 64 * "z", A.upper()])
async def test_what_is_no_digest_is_refused(service: Service, digest: str) -> None:
    """As the service refuses it."""
    async with replica(service) as local:
        with pytest.raises(DigestInvalidError):
            local.holds(WEB, digest, IAD)


async def test_what_cannot_be_answered_is_refused(service: Service) -> None:
    """A region outside the catalogue, more sources than allowed, unknown tags."""
    async with replica(service) as local:
        with pytest.raises(RegionUnknownError):
            local.rank_sources(WEB, A, "mars")
        with pytest.raises(LimitInvalidError):
            local.rank_sources(WEB, A, IAD, 33)
        with pytest.raises(TagInvalidError):
            local.resolve(WEB, "-")
        with pytest.raises(ManifestUnknownError):
            local.resolve(WEB, "v9")


async def test_only_what_was_chosen_is_known(service: Service) -> None:
    """By repository, and by region."""
    async with (
        replica(service, repository_prefixes=["acme/api"]) as by_name,
        replica(service, regions=[FRA], tags=False) as by_region,
    ):
        assert by_name.holds(API, B, IAD)
        assert not by_name.holds(WEB, A, IAD)
        assert by_region.holds(WEB, A, IAD)
        assert not by_region.holds(API, B, IAD)
        with pytest.raises(ManifestUnknownError):
            by_region.resolve(WEB, LATEST)


async def test_dead_service_is_outlived_and_found_again(service: Service) -> None:
    """Answers go on, marked STALE with their age; then no second snapshot is read."""
    port = int(service.target.rpartition(":")[2])
    waits: list[float] = []

    def chance() -> float:
        waits.append(0.5)
        return 0.5

    async with replica(service, chance=chance) as local:
        feed = local._feed  # noqa: SLF001 - nothing else counts snapshots
        await service.server.stop(0)
        await until(local, lambda: local.basis.state is ServingState.STALE)
        service.stage.now_ns += 60 * SECOND_NS

        assert local.holds(WEB, A, FRA)
        assert local.rank_sources(WEB, A, AMS).sources[0].region == IAD
        assert local.basis.staleness_ns >= 60 * SECOND_NS
        with pytest.raises(LocalStaleError):
            local.resolve(WEB, LATEST)
        found = local.resolve(WEB, LATEST, accept_stale=True)
        assert (found.digest, found.basis.state) == (A, ServingState.STALE)

        await service.stage.happen(replicated("a", AMS))
        restarted = service.stage.server(ServerSettings(port=port))
        await restarted.start()
        await local.wait_live(PATIENCE_S)
        await caught_up(local, service.stage)

        assert local.holds(WEB, A, AMS)
        assert feed.snapshot_count == 1
        assert waits
        await restarted.stop(0)


async def test_another_log_takes_the_place_of_all_that_was_known(
    service: Service,
) -> None:
    """Swapped whole: until the new snapshot is whole, the old one answers."""
    async with replica(service) as local:
        other = Stage()
        await other.happen(pushed("d", SYD, API))
        service.stage.view.replace(other.view.state, "memory-2", restored=False)
        service.stage.view.caught_up()
        await until(local, lambda: local.basis.epoch == "memory-2")
        await until(local, lambda: local.holds(API, D, SYD))

        assert not local.holds(WEB, A, IAD)
        assert local.placement_count == 1
        assert local.basis.sequence == 1


async def test_nobody_sees_half_a_snapshot() -> None:
    """Whoever reads between the chunks of a second snapshot reads the first."""
    settings = ServerSettings(watch=WatchSettings(slice_s=0.0))
    async with serving(settings) as service:
        stage = service.stage
        await stage.happen(pushed("a", IAD), pushed("b", IAD))
        async with replica(service) as local:
            seen = set()

            async def look() -> None:
                while True:
                    seen.add((local.holds(WEB, A, IAD), local.holds(WEB, C, IAD)))
                    await asyncio.sleep(0)

            looking = asyncio.create_task(look())
            other = Stage()
            await other.happen(pushed("c", IAD))
            stage.view.replace(other.view.state, "memory-2", restored=False)
            stage.view.caught_up()
            await until(local, lambda: local.holds(WEB, C, IAD))
            await asyncio.sleep(0)
            looking.cancel()

    assert seen == {(True, False), (False, True)}


async def test_replica_too_far_behind_begins_anew() -> None:
    """What changed meanwhile is forgotten at the service; the next snapshot heals."""
    async with serving() as service:
        stage = service.stage
        state = State()
        state.indexes.changes = Changes(2)
        stage.view.replace(state, "memory-1", restored=False)
        await stage.happen(pushed("a", IAD))
        port = int(service.target.rpartition(":")[2])
        async with replica(service, chance=lambda: 0.2) as local:
            await service.server.stop(0)
            await until(local, lambda: not local.basis.live)
            names = ("b", "c", "d")
            await stage.happen(*(pushed(name, FRA) for name in names))
            restarted = stage.server(ServerSettings(port=port))
            await restarted.start()
            await caught_up(local, stage)

            assert all(local.holds(WEB, digest, FRA) for digest in (B, C, D))
            assert local._feed.snapshot_count == 2  # noqa: SLF001 - nothing else counts
            await restarted.stop(0)


async def test_service_that_is_not_there_is_said_to_be_so() -> None:
    """Within the time that was given."""
    with pytest.raises((PlacementCallError, TimeoutError)):
        await LocalPlacements.start("127.0.0.1:1", timeout_s=0.5)


async def test_request_at_fault_is_refused_at_once(service: Service) -> None:
    """Not only when the time is over."""
    with pytest.raises(PlacementCallError) as raised:
        await LocalPlacements.start(service.target, regions=["no region"])

    assert raised.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.reason == "REGION_INVALID"


async def test_serving_state_of_the_service_is_the_replicas(service: Service) -> None:
    """A service that lost its log says so, and its tags are not to be trusted."""
    async with replica(service) as local:
        service.stage.view.broken("the log was replaced")
        await until(local, lambda: local.basis.state is ServingState.EPOCH_BROKEN)

        assert local.holds(WEB, A, FRA)
        with pytest.raises(LocalStaleError) as raised:
            local.resolve(WEB, LATEST)
        assert raised.value.basis.state is ServingState.EPOCH_BROKEN


async def test_silence_makes_a_replica_stale(service: Service) -> None:
    """A service that stands still is no dead one, and cannot be trusted either."""
    async with replica(service) as local:
        service.stage.now_ns += 16 * SECOND_NS

        assert local.basis.state is ServingState.STALE
        assert local.basis.staleness_ns >= 16 * SECOND_NS


async def test_closed_replica_can_be_read_on(service: Service) -> None:
    """And says that it is old."""
    async with replica(service) as local:
        pass

    assert local.holds(WEB, A, FRA)
    assert local.basis.state is ServingState.STALE


async def test_region_that_stores_nothing_can_ask(service: Service) -> None:
    """Its sources are those that others have."""
    async with replica(service) as local:
        ranking = local.rank_sources(Repository(WEB), A, SCL)

        assert {source.region for source in ranking.sources} == {IAD, FRA}
        assert ranking.sources[0].complete
