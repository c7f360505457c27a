"""The replicator between two real registries: what moves, and what it tells of it."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import NotThereError
from placement.agent.registry.opening import opened
from placement.agent.replicator.duties import NothingKnown, Removal, Withdrawal
from placement.agent.replicator.failures import CopyFailedError
from placement.agent.replicator.replicator import Replicator, ReplicatorSettings
from placement.agent.replicator.watched_decisions import WatchedDecisions
from placement.client import PlacementClient
from placement.core.event import (
    ContentAnnounced,
    ContentPushed,
    ContentReplicated,
    Event,
    ReplicationCompleted,
    ReplicationFailed,
    ReplicationPlanned,
    ReplicationStarted,
    ReplicationTrigger,
    TransferMeasured,
)
from placement.core.facts.values import FailureCause, Identifier, TimeNs
from placement.core.oci import Digest, Repository
from placement.core.topology import Region
from placement.v1 import replication_service_pb2 as pb
from tests.builders import event
from tests.copiers import FRA, IAD, SYD, copy_of, site, until
from tests.docker_registry import DockerRegistry, needs_openssl, needs_registry
from tests.link_proxy import LinkProxy
from tests.registry_images import WEB, push_blob, push_image, push_index, read_blob
from tests.serving import serving
from tests.token_service import TokenService, User

pytestmark = needs_registry

API = Repository("acme/api")
ABSENT = Digest(f"sha256:{'0' * 64}")
MEGABYTE = 1_000_000


@pytest.fixture
def source(tmp_path: Path) -> Iterator[DockerRegistry]:
    """Run the registry that has the images."""
    with DockerRegistry(tmp_path / "source", "iad") as registry:
        yield registry


@pytest.fixture
def target(tmp_path: Path) -> Iterator[DockerRegistry]:
    """Run the registry that is to have them."""
    with DockerRegistry(tmp_path / "target", "syd") as registry:
        yield registry


@asynccontextmanager
async def client(registry: DockerRegistry) -> AsyncIterator[Registry]:
    """Give our client of a registry."""
    async with opened(registry.settings()) as found:
        yield found


async def test_image_arrives_as_it_was_and_is_told_of(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """Every blob is there and read back, the manifest's bytes are the same."""
    async with client(source) as there, site(target, {IAD: source.url}) as here:
        image = await push_image(there, (3 * MEGABYTE, 200_000))

        await here.copied(copy_of(image.descriptor.digest))

        own = here.registries[SYD]
        assert await own.manifest(WEB, image.descriptor.digest) == image
        for blob in image.references:
            read = await read_blob(own, WEB, blob.digest)
            assert read == await read_blob(there, WEB, blob.digest)
            assert here.underway.proven.spares(WEB, blob.digest, "a client")
        started = here.told.facts(ReplicationStarted)
        assert [(one.source_region, one.attempt) for one in started] == [(IAD, 1)]
        arrived = here.told.facts(ContentReplicated)
        assert all(one.verified and one.source_region == IAD for one in arrived)
        assert {c.digest for one in arrived for c in one.contents} == {
            image.descriptor.digest,
            *(blob.digest for blob in image.references),
        }
        assert arrived[-1].references == image.references
        assert arrived[-1].replication_id == "r-1"
        [done] = here.told.facts(ReplicationCompleted)
        assert done.transferred_bytes == sum(b.size_bytes for b in image.references)
        measured = here.told.facts(TransferMeasured)
        assert {one.digest for one in measured} == {b.digest for b in image.references}
        ids = [event.event_id for event in here.told.events]
        assert len(ids) == len(set(ids))


async def test_copy_that_is_there_moves_nothing(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """A decision that comes again costs some questions, and nothing is counted."""
    async with (
        LinkProxy(source.address) as link,
        client(source) as there,
        site(target, {IAD: link.url}) as here,
    ):
        image = await push_image(there, (MEGABYTE,))
        await here.copied(copy_of(image.descriptor.digest, "r-1"))
        before = link.received

        await here.copied(copy_of(image.descriptor.digest, "r-2"))

        assert link.received == before
        last = here.told.facts(ReplicationCompleted)[-1]
        assert last.transferred_bytes == 0
        assert last.transfer_duration_ns is None


async def test_index_brings_all_its_platforms(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """Children come before their index; a layer that they share moves once."""
    async with (
        LinkProxy(source.address) as link,
        client(source) as there,
        site(target, {IAD: link.url}) as here,
    ):
        first = await push_image(there, (MEGABYTE, 100), seed=1)
        second = await push_image(there, (MEGABYTE,), seed=1)
        index = await push_index(there, [first, second])

        await here.copied(copy_of(index.descriptor.digest))

        own = here.registries[SYD]
        assert await own.manifest(WEB, index.descriptor.digest) == index
        for child in (first, second):
            assert await own.manifest(WEB, child.descriptor.digest) == child
        assert link.received < 1.2 * MEGABYTE
        told = [
            one.contents[0].digest
            for one in here.told.facts(ContentReplicated)
            if one.references
        ]
        assert told[-1] == index.descriptor.digest
        assert len(told) == 3


@pytest.mark.parametrize("media_type", ["", "application/vnd.oci.image.layer.v1.tar"])
async def test_first_layer_comes_before_any_manifest(
    source: DockerRegistry, target: DockerRegistry, media_type: str
) -> None:
    """A digest that is a layer means that blob alone, also where only its name came."""
    async with client(source) as there, site(target, {IAD: source.url}) as here:
        layer = await push_blob(there, WEB, random.Random(1).randbytes(MEGABYTE))

        await here.copied(copy_of(layer.digest, media_type=media_type))

        assert await here.registries[SYD].find_blob(WEB, layer.digest) == MEGABYTE
        [done] = here.told.facts(ReplicationCompleted)
        assert done.transferred_bytes == MEGABYTE


async def test_blob_of_another_repository_is_mounted(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """What our registry has elsewhere does not cross the ocean again."""
    async with (
        LinkProxy(source.address) as link,
        client(source) as there,
        site(target, {IAD: link.url}) as here,
    ):
        web = await push_image(there, (MEGABYTE,))
        api = await push_image(there, (MEGABYTE,), API)
        await here.copied(copy_of(web.descriptor.digest, "r-1"))
        before = link.received

        await here.copied(copy_of(api.descriptor.digest, "r-2", repository=API))

        assert await here.registries[SYD].manifest(API, api.descriptor.digest) == api
        assert link.received - before < 10_000
        for blob in api.references:  # nobody has looked at what was lent
            assert not here.underway.proven.spares(API, blob.digest, "a client")


async def test_mount_that_misses_is_an_ordinary_upload(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """A lookup may be wrong about what our registry has."""

    class Wrong:
        """Names repositories that have nothing."""

        def sources(self, _repository: Repository, _digest: Digest) -> tuple[Region]:
            """Return the right one."""
            return (IAD,)

        def mountable(self, _digest: Digest) -> tuple[Repository, ...]:
            """Return others than there are."""
            return (Repository("no/such"), Repository("nor/this"))

    async with (
        client(source) as there,
        site(target, {IAD: source.url}, lookup=Wrong()) as here,
    ):
        image = await push_image(there, (MEGABYTE,))

        await here.copied(copy_of(image.descriptor.digest))

        digest = image.descriptor.digest
        assert await here.registries[SYD].manifest(WEB, digest) == image


async def test_cuts_are_survived_by_asking_for_the_rest(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """After three cuts in one blob hardly anything has moved twice."""
    async with (
        LinkProxy(source.address) as link,
        client(source) as there,
        site(target, {IAD: link.url}) as here,
    ):
        image = await push_image(there, (8 * MEGABYTE,))
        link.cuts = [2 * MEGABYTE, 4 * MEGABYTE, 6 * MEGABYTE]

        await here.copied(copy_of(image.descriptor.digest))

        assert not link.cuts
        assert link.received < 9 * MEGABYTE
        [done] = here.told.facts(ReplicationCompleted)
        assert done.attempt == 1
        layer = image.references[1]
        read = await read_blob(here.registries[SYD], WEB, layer.digest)
        assert len(read) == layer.size_bytes
        measured = {one.digest for one in here.told.facts(TransferMeasured)}
        assert layer.digest not in measured, "a cut transfer measures no route"


async def test_damaged_blob_is_never_stored(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """Bytes of another digest end the copy; no manifest refers to them."""
    async with client(source) as there, site(target, {IAD: source.url}) as here:
        image = await push_image(there, (MEGABYTE,))
        layer = image.references[1].digest
        path = source.blob_path(layer)
        damaged = bytearray(path.read_bytes())
        damaged[500_000] ^= 1
        path.write_bytes(damaged)

        handed = await here.copied(copy_of(image.descriptor.digest))

        own = here.registries[SYD]
        assert await own.find_blob(WEB, layer) is None
        assert not target.blob_path(layer).exists()
        with pytest.raises(NotThereError):
            await own.manifest(WEB, image.descriptor.digest)
        failures = here.told.facts(ReplicationFailed)
        assert {one.cause for one in failures} == {FailureCause.CONTENT_CORRUPT}
        assert [one.retryable for one in failures] == [True] * 5 + [False]
        assert handed.delays == sorted(handed.delays)


async def test_damaged_blob_comes_from_another_source(
    source: DockerRegistry, target: DockerRegistry, tmp_path: Path
) -> None:
    """Another region's right bytes are taken, within the same attempt."""
    with DockerRegistry(tmp_path / "other", "fra") as second:
        sources = {IAD: source.url, FRA: second.url}
        async with (
            client(source) as there,
            client(second) as spare,
            site(target, sources) as here,
        ):
            image = await push_image(there, (MEGABYTE,))
            await push_image(spare, (MEGABYTE,))
            path = source.blob_path(image.references[1].digest)
            path.write_bytes(bytes(MEGABYTE))

            await here.copied(copy_of(image.descriptor.digest))

            [done] = here.told.facts(ReplicationCompleted)
            assert done.attempt == 1


async def test_source_that_lacks_it_is_not_the_last_word(
    source: DockerRegistry, target: DockerRegistry, tmp_path: Path
) -> None:
    """A decision's source may be wrong: the others are asked before it fails."""
    with DockerRegistry(tmp_path / "other", "fra") as second:
        sources = {IAD: source.url, FRA: second.url}
        async with client(second) as spare, site(target, sources) as here:
            image = await push_image(spare, (MEGABYTE,))

            await here.copied(copy_of(image.descriptor.digest, source=IAD))

            assert here.told.facts(ContentReplicated)[-1].source_region == FRA
            await here.copied(copy_of(ABSENT, "r-2"))
            [failed] = here.told.facts(ReplicationFailed)
            assert failed.cause is FailureCause.CONTENT_GONE
            assert not failed.retryable


async def test_source_that_is_down_is_tried_again(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """A source that cannot be reached is at fault, and another attempt follows."""
    async with client(source) as there:
        image = await push_image(there, (1000,))
    source.kill()
    async with site(target, {IAD: source.url}) as here:
        handed = here.orders.give(copy_of(image.descriptor.digest))
        await until(lambda: bool(here.told.facts(ReplicationFailed)))
        source.start()
        await handed.settled.wait()

        first = here.told.facts(ReplicationFailed)[0]
        assert (first.cause, first.retryable) == (FailureCause.SOURCE, True)
        assert here.told.facts(ReplicationCompleted)


async def test_budget_of_a_source_is_kept(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """4 MB at 2 MB/s take about two seconds, and measure no route."""
    budget = {IAD: 2 * MEGABYTE}
    async with (
        client(source) as there,
        site(target, {IAD: source.url}, bytes_per_second=budget) as here,
    ):
        image = await push_image(there, (2 * MEGABYTE, 2 * MEGABYTE))
        begun = time.monotonic()

        await here.copied(copy_of(image.descriptor.digest))

        took = time.monotonic() - begun
        assert 1.6 < took < 4
        moved = [one.transferred_bytes for one in here.told.facts(TransferMeasured)]
        assert 2 * MEGABYTE not in moved


async def test_pull_that_somebody_waits_for_goes_first(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """With all places and the budget taken, a waiting pull is served at once."""
    budget = {IAD: MEGABYTE}
    async with (
        client(source) as there,
        site(target, {IAD: source.url}, bytes_per_second=budget, copies=1) as here,
    ):
        large = await push_image(there, (6 * MEGABYTE,), seed=1)
        small = await push_image(there, (200_000,), API, seed=2)
        handed = here.orders.give(copy_of(large.descriptor.digest))
        await asyncio.sleep(0.5)
        begun = time.monotonic()

        digest = small.descriptor.digest
        pulls = [here.replicator.fetch_now(API, digest) for _ in range(20)]
        await asyncio.gather(*pulls)

        assert time.monotonic() - begun < 2
        assert not handed.settled.is_set()
        assert await here.registries[SYD].manifest(API, digest) == small
        with pytest.raises(CopyFailedError):
            await here.replicator.fetch_now(API, ABSENT)


async def test_layer_that_a_pull_waits_for_moves_at_its_rank(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """A decided copy that holds a layer is not slower than who waits for that layer."""
    budget = {IAD: 2 * MEGABYTE}
    async with (
        client(source) as there,
        site(target, {IAD: source.url}, bytes_per_second=budget) as here,
    ):
        first = await push_image(there, (10 * MEGABYTE,), seed=1)
        last = await push_image(there, (4 * MEGABYTE,), seed=2)
        pulled = await push_image(there, (4 * MEGABYTE,), API, seed=2)
        before = here.orders.give(copy_of(first.descriptor.digest, "r-1", priority=1))
        here.orders.give(copy_of(last.descriptor.digest, "r-2", priority=4))
        await until(lambda: len(here.told.facts(ReplicationStarted)) == 2)
        await asyncio.sleep(0.5)

        await here.replicator.fetch_now(API, pulled.descriptor.digest)

        assert not before.settled.is_set()


async def test_what_is_over_or_called_off_is_not_carried_out(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """An expired decision is left alone; one that is called off stops where it is."""
    budget = {IAD: MEGABYTE}
    async with (
        client(source) as there,
        site(target, {IAD: source.url}, bytes_per_second=budget) as here,
    ):
        image = await push_image(there, (8 * MEGABYTE,))
        digest = image.descriptor.digest

        await here.copied(copy_of(digest, "late", expire_time_ns=TimeNs(1)))
        assert not here.told.events

        begun = time.monotonic()
        handed = here.orders.give(copy_of(digest, "off"))
        await until(lambda: bool(here.told.facts(ReplicationStarted)))
        here.orders.give(Withdrawal("off"))
        await handed.settled.wait()
        assert time.monotonic() - begun < 4
        assert await here.registries[SYD].find_manifest(WEB, digest) is None


async def test_long_copy_tells_how_far_it_is(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """Bytes that are there are told every other second, and grow."""
    budget = {IAD: MEGABYTE}
    async with (
        client(source) as there,
        site(target, {IAD: source.url}, bytes_per_second=budget) as here,
    ):
        image = await push_image(there, (5 * MEGABYTE,))

        await here.copied(copy_of(image.descriptor.digest))

        told = [one.held_bytes for one in here.told.facts(ContentAnnounced)]
        assert told[0] == 0
        assert len(told) in {2, 3, 4}
        assert told == sorted(told)
        assert told[-1] < 5 * MEGABYTE


async def test_every_request_says_that_it_is_ours(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """The feeds know our copies by the User-Agent, and count no use by them."""
    async with client(source) as there:
        image = await push_image(there, (1000,))
    async with site(target, {IAD: source.url}) as here:
        await here.copied(copy_of(image.descriptor.digest))

    for registry in (source, target):
        lines = (registry.directory / "log").read_text().splitlines()
        requests = [json.loads(one) for one in lines if "http.request.useragent" in one]
        assert requests
        for one in requests:
            assert one["http.request.useragent"].startswith("placement-replicator/")


@needs_openssl
async def test_guarded_registries_are_copied_between(tmp_path: Path) -> None:
    """With tokens on both sides: pull there, push, mount and delete here."""
    users = {"robot": User("beep")}
    with (
        TokenService(tmp_path / "tokens", users) as tokens,
        DockerRegistry(
            tmp_path / "source", "iad", {"auth": tokens.registry_section()}
        ) as source,
        DockerRegistry(
            tmp_path / "target", "syd", {"auth": tokens.registry_section()}
        ) as target,
    ):
        who = {"user": "robot", "password": "beep"}
        async with (
            opened(source.settings(**who)) as there,
            site(target, {IAD: source.url}, who=who, evict=True) as here,
        ):
            web = await push_image(there, (MEGABYTE,))
            api = await push_image(there, (MEGABYTE, 5000), API)
            await here.copied(copy_of(web.descriptor.digest, "r-1"))
            await here.copied(copy_of(api.descriptor.digest, "r-2", repository=API))

            own = here.registries[SYD]
            assert await own.manifest(API, api.descriptor.digest) == api
            moved = [
                one.transferred_bytes for one in here.told.facts(ReplicationCompleted)
            ]
            assert moved[1] < 10_000, "the large layer was mounted"
            removal = Removal(Identifier("e-1"), API, api.descriptor.digest, SYD)
            gone = here.orders.give(removal)
            await until(gone.settled.is_set)
            assert await own.find_manifest(API, api.descriptor.digest) is None


@needs_openssl
async def test_mount_that_is_not_allowed_is_an_ordinary_upload(tmp_path: Path) -> None:
    """We may not read the repository that has the blob: then it crosses again."""

    class Elsewhere(NothingKnown):
        """Knows that a repository of somebody else has everything."""

        def mountable(self, digest: Digest) -> tuple[Repository, ...]:
            """Return it."""
            del digest
            return (Repository("other/private"),)

    users = {"robot": User("beep", prefixes=("acme/",))}
    with (
        TokenService(tmp_path / "tokens", users) as tokens,
        DockerRegistry(tmp_path / "source", "iad") as source,
        DockerRegistry(
            tmp_path / "target", "syd", {"auth": tokens.registry_section()}
        ) as target,
    ):
        who = {"user": "robot", "password": "beep"}
        async with (
            client(source) as there,
            site(target, {IAD: source.url}, who=who, lookup=Elsewhere()) as here,
        ):
            image = await push_image(there, (1000,))

            await here.copied(copy_of(image.descriptor.digest))

            [done] = here.told.facts(ReplicationCompleted)
            assert done.attempt == 1
            assert done.transferred_bytes > 1000


async def test_service_sees_its_decision_through(
    source: DockerRegistry, target: DockerRegistry
) -> None:
    """What a service decides is carried out, and it knows: it is there, verified."""
    async with (
        serving() as service,
        PlacementClient(service.target) as asking,
        client(source) as there,
        opened(target.settings()) as here,
    ):
        image = await push_image(there, (MEGABYTE, 1000))
        root = image.descriptor
        stage = service.stage

        async def report(events: Sequence[Event]) -> None:
            await stage.happen(*events)

        pushes = [ContentPushed(blob, WEB) for blob in image.references]
        pushes.append(ContentPushed(root, WEB, references=image.references))
        await stage.happen(*(event(IAD, fact) for fact in pushes))
        planned = ReplicationPlanned(
            copy_of(root.digest).subject,
            IAD,
            MEGABYTE,
            ReplicationTrigger.PUSH,
            trigger_sequence=1,
            priority=1,
        )
        await stage.happen(event(SYD, planned))
        replicator = Replicator(
            ReplicatorSettings(region=SYD),
            {SYD: here, IAD: there},
            report,
            decisions=WatchedDecisions(asking, SYD, removals=True),
            clock=lambda: stage.now_ns,
        )
        running = asyncio.create_task(replicator.run())
        try:
            async with asyncio.timeout(30):
                while True:
                    told = (await asking.get_replication("r-1")).replication
                    ranking = await asking.rank_sources(WEB, root.digest, SYD)
                    done = told.status == pb.REPLICATION_STATUS_COMPLETED
                    # Which of two registries of one machine is the nearer is luck.
                    if done and SYD in {each.region for each in ranking.sources}:
                        break
                    await asyncio.sleep(0.1)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

        assert told.attempt == 1
        refused = [key for key, _ in stage.view.state.set_aside.rows()]
        assert refused == []
