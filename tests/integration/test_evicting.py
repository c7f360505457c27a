"""Removals at a real registry: by digest, in order, with its garbage looked after."""

import asyncio
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from placement.agent.registry.client import Registry
from placement.agent.registry.opening import opened
from placement.agent.replicator.duties import Removal, Withdrawal
from placement.agent.replicator.evicting import Evictor
from placement.core.event import ContentEvicted, Event
from placement.core.facts.values import Identifier, Text, TimeNs
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.wire.events import decode_event, encode_event
from tests.builders import fold_in
from tests.copiers import IAD, SYD, copy_of, site, until
from tests.docker_registry import DockerRegistry, needs_registry
from tests.registry_images import WEB, push_blob, push_image, push_index

pytestmark = needs_registry

SECONDS_MAX = 30.0


@pytest.fixture
def own(tmp_path: Path) -> Iterator[DockerRegistry]:
    """Run the registry that content leaves."""
    with DockerRegistry(tmp_path / "own", "syd") as registry:
        yield registry


@asynccontextmanager
async def client(registry: DockerRegistry) -> AsyncIterator[Registry]:
    """Give our client of a registry."""
    async with opened(registry.settings()) as found:
        yield found


def removal_of(
    digest: Digest, own_id: str = "e-1", expire: int | None = None
) -> Removal:
    """Return the decision to remove a digest."""
    end = None if expire is None else TimeNs(expire)
    return Removal(Identifier(own_id), WEB, digest, SYD, end, Text("superseded"))


async def test_removed_image_leaves_with_its_bytes(own: DockerRegistry) -> None:
    """The manifest goes at once, its blobs with the garbage; others' blobs stay."""
    command = tuple(own.collect())
    async with (
        client(own) as registry,
        site(own, {}, evict=True, garbage_collect_command=command) as here,
    ):
        image = await push_image(registry, (100_000, 200_000), seed=1)
        kept = await push_image(registry, (100_000,), seed=1)
        shared, alone = image.references[1].digest, image.references[2].digest

        handed = here.orders.give(removal_of(image.descriptor.digest))
        await until(lambda: len(here.told.facts(ContentEvicted)) == 2)

        assert handed.settled.is_set()
        first, second = here.told.facts(ContentEvicted)
        assert (first.digests, first.eviction_id) == ((image.descriptor.digest,), "e-1")
        assert second.digests == (alone,)
        assert second.eviction_id is None
        assert await registry.find_manifest(WEB, image.descriptor.digest) is None
        assert await registry.find_blob(WEB, alone) is None
        assert not own.blob_path(alone).exists()
        assert await registry.find_blob(WEB, shared) == 100_000
        assert await registry.manifest(WEB, kept.descriptor.digest) == kept


async def test_state_of_a_removal_that_comes_again(own: DockerRegistry) -> None:
    """What is not there any more is told as removed, under the same id of event."""
    async with client(own) as registry, site(own, {}, evict=True) as here:
        image = await push_image(registry, (1000,))
        for _ in range(2):
            handed = here.orders.give(removal_of(image.descriptor.digest))
            async with asyncio.timeout(SECONDS_MAX):
                await handed.settled.wait()

        assert len({event.event_id for event in here.told.events}) == 1
        assert len(here.told.events) == 2


async def test_log_of_a_copy_and_its_removal_folds_to_the_truth(
    own: DockerRegistry, tmp_path: Path
) -> None:
    """What we tell is believed: all is verified there, and gone after the removal."""
    command = tuple(own.collect())
    with DockerRegistry(tmp_path / "source", "iad") as source:
        async with (
            client(source) as there,
            site(
                own, {IAD: source.url}, evict=True, garbage_collect_command=command
            ) as here,
        ):
            children = [await push_image(there, (2000 + n,), seed=n) for n in (1, 2)]
            index = await push_index(there, children)
            digests = {
                content.digest
                for manifest in (*children, index)
                for content in (manifest.descriptor, *manifest.references)
            }

            await here.copied(copy_of(index.descriptor.digest))
            copied = folded(here.told.events)
            here.orders.give(removal_of(children[0].descriptor.digest))
            await until(lambda: len(here.told.facts(ContentEvicted)) == 2)
            left = folded(here.told.events)

        assert phases(copied, digests) == {ReplicaPhase.VERIFIED}
        gone = {children[0].descriptor.digest, children[0].references[1].digest}
        assert phases(left, gone) == {ReplicaPhase.ABSENT}
        assert phases(left, digests - gone) >= {ReplicaPhase.VERIFIED}


def folded(events: Sequence[Event]) -> State:
    """Return the state after *events*, which were written and read as the log does."""
    state = fold_in(State(), *(decode_event(encode_event(one)) for one in events))
    assert not len(state.set_aside), "nothing of what we tell is refused"
    return state


def phases(state: State, digests: Collection[Digest]) -> set[ReplicaPhase]:
    """Return how far contents have come in syd."""
    region = state.regions.find(SYD.encode())
    found = set()
    for digest in digests:
        placement = state.find_placement(WEB, digest)
        found.add(state.phase(placement, region))
    return found


async def test_layer_without_an_image_is_removed(own: DockerRegistry) -> None:
    """A decision may be about a blob that nothing refers to."""
    async with client(own) as registry, site(own, {}, evict=True) as here:
        layer = await push_blob(registry, WEB, b"orphan")

        handed = here.orders.give(removal_of(layer.digest))
        async with asyncio.timeout(SECONDS_MAX):
            await handed.settled.wait()

        assert await registry.find_blob(WEB, layer.digest) is None
        assert here.told.facts(ContentEvicted)[0].digests == (layer.digest,)


async def test_what_is_over_called_off_or_not_ours_stays(own: DockerRegistry) -> None:
    """An expired removal is left alone, and all are where removals are not made."""
    async with client(own) as registry:
        image = await push_image(registry, (1000,))
        digest = image.descriptor.digest
        async with site(own, {}, evict=True) as here:
            late = here.orders.give(removal_of(digest, "late", expire=1))
            off = here.orders.give(removal_of(digest, "off"))
            here.orders.give(Withdrawal("off"))
            async with asyncio.timeout(SECONDS_MAX):
                await late.settled.wait()
                await off.settled.wait()
        async with site(own, {}, evict=False) as here:
            no = here.orders.give(removal_of(digest, "no"))
            async with asyncio.timeout(SECONDS_MAX):
                await no.settled.wait()

        assert await registry.manifest(WEB, digest) == image


async def test_trap_of_the_descriptor_cache_is_shouted_about(tmp_path: Path) -> None:
    """A registry that claims what it collected is found out; the blob is told gone."""
    cache = {"cache": {"blobdescriptor": "inmemory"}, "delete": {"enabled": True}}
    store = {"filesystem": {"rootdirectory": str(tmp_path / "own" / "store")}}
    sections = {"storage": {**store, **cache}}
    with DockerRegistry(tmp_path / "own", "syd", sections) as own:
        command = tuple(own.collect())
        async with (
            client(own) as registry,
            site(own, {}, evict=True, garbage_collect_command=command) as here,
        ):
            image = await push_image(registry, (100_000,))
            layer = image.references[1].digest
            with capture_logs() as logs:
                here.orders.give(removal_of(image.descriptor.digest))
                await until(lambda: len(here.told.facts(ContentEvicted)) == 2)

            assert await registry.find_blob(WEB, layer) == 100_000, "so it claims"
            trapped = [
                one for one in logs if one["event"].startswith("descriptor_cache")
            ]
            assert layer in {one["digest"] for one in trapped}
            assert layer in here.told.facts(ContentEvicted)[1].digests


async def test_garbage_waits_for_copies_and_may_fail(
    own: DockerRegistry, tmp_path: Path
) -> None:
    """Garbage is collected when nothing is copied; a command that fails is told of."""
    command = (sys.executable, "-c", "print('no space'); raise SystemExit(3)")
    with DockerRegistry(tmp_path / "source", "iad") as source:
        async with (
            client(source) as there,
            client(own) as registry,
            site(
                own,
                {IAD: source.url},
                evict=True,
                garbage_collect_command=command,
                bytes_per_second={IAD: 1_000_000},
            ) as here,
        ):
            old = await push_image(registry, (1000,), seed=1)
            new = await push_image(there, (2_000_000,), seed=2)
            copying = here.orders.give(copy_of(new.descriptor.digest))
            await asyncio.sleep(0.5)
            with capture_logs() as logs:
                removed = here.orders.give(removal_of(old.descriptor.digest))
                async with asyncio.timeout(SECONDS_MAX):
                    await removed.settled.wait()
                    await asyncio.sleep(0.3)
                    assert not collected(logs)
                    await copying.settled.wait()
                    await until(lambda: bool(collected(logs)))

            [told] = collected(logs)
            assert (told["exit_code"], told["output"]) == (3, "no space\n")


def collected(logs: object) -> list[dict[str, object]]:
    """Return what the log says of garbage."""
    assert isinstance(logs, list)
    return [one for one in logs if one["event"] == "garbage_collected"]


async def test_bug_in_a_removal_ends_neither_that_nor_the_others(
    own: DockerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks once, at the registry and as garbage is collected, is done again."""
    command = tuple(own.collect())
    deleting, collecting = [ZeroDivisionError()], [ZeroDivisionError()]
    delete, collect = Registry.delete_manifest, Evictor._run_command  # noqa: SLF001 - the seams to break

    async def deleted(registry: Registry, repository: Repository, of: Digest) -> bool:
        if deleting:
            raise deleting.pop()
        return await delete(registry, repository, of)

    async def run(evictor: Evictor) -> bool:
        if collecting:
            raise collecting.pop()
        return await collect(evictor)

    monkeypatch.setattr(Registry, "delete_manifest", deleted)
    monkeypatch.setattr(Evictor, "_run_command", run)
    async with (
        client(own) as registry,
        site(own, {}, evict=True, garbage_collect_command=command) as here,
    ):
        images = [await push_image(registry, (1000 + n,), seed=n) for n in (1, 2)]
        with capture_logs() as logs:
            handed = [
                here.orders.give(removal_of(image.descriptor.digest, f"e-{number}"))
                for number, image in enumerate(images)
            ]
            await until(lambda: all(one.settled.is_set() for one in handed))
            paths = [own.blob_path(image.references[1].digest) for image in images]
            await until(lambda: not any(path.exists() for path in paths))

        broke = {one["event"] for one in logs if one["log_level"] == "error"}
        assert broke == {"removal_broken", "part_broke"}
