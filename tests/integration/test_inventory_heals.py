"""Lost, doubled and shuffled notifications, and garbage collection: one scan heals."""

import asyncio
import random
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from placement.agent.feeds.distribution import translate
from placement.agent.feeds.translation import FeedSettings, IgnoredReason
from placement.agent.registry.client import Registry
from placement.agent.registry.errors import RegistryError
from placement.core.event import ContentPulled, Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from tests.docker_registry import DockerRegistry, needs_registry
from tests.inventories import (
    PUSHER,
    Folded,
    Sink,
    asked_by,
    inventory_of,
    reachable,
    stored,
    stored_tags,
    tag_as,
)
from tests.registry_images import WEB, push_image, push_index

IAD: Final = Region("iad")
FEED: Final = FeedSettings(region=IAD, publisher=Name("tests"))
REPOSITORIES: Final = tuple(Repository(f"acme/{name}") for name in ("web", "api", "db"))
STEPS: Final = 60

pytestmark = needs_registry


async def live(registry: Registry, chance: random.Random) -> None:
    """Push, tag again, delete and pull in several repositories, by chance."""
    pushed: dict[Repository, list[Digest]] = {name: [] for name in REPOSITORIES}
    for _ in range(STEPS):
        name = chance.choice(REPOSITORIES)
        there = pushed[name]
        kind = chance.choices(("push", "index", "tag", "delete"), (6, 1, 2, 2))[0]
        if kind == "push" or not there:
            seed = chance.randrange(40)  # some layers are shared between repositories
            image = await push_image(registry, [900, 400], name, seed)
            there.append(image.descriptor.digest)
        elif kind == "index":
            children = [await registry.manifest(name, there[-1])]
            index = await push_index(registry, children, name)
            there.append(index.descriptor.digest)
        elif kind == "delete":
            gone = there.pop(chance.randrange(len(there)))
            await registry.delete_manifest(name, gone)
            pushed[name] = [digest for digest in there if digest != gone]
            continue
        target = chance.choice(there)
        with suppress(RegistryError):  # an index of a manifest that was deleted
            await tag_as(registry, name, target, f"v{chance.randrange(6)}")


def damaged(
    envelopes: list[dict[str, Any]], chance: random.Random, lost: float
) -> list[dict[str, Any]]:
    """Return what arrives: some never, some twice, some out of their order."""
    kept = [one for one in envelopes if chance.random() >= lost]
    kept += chance.sample(kept, len(kept) // 50)
    places = [(number + chance.uniform(0, 8), number) for number in range(len(kept))]
    return [kept[number] for _, number in sorted(places)]


@pytest.mark.parametrize(
    ("seed", "lost"),
    [
        pytest.param(1, 0.01, marks=pytest.mark.long),
        pytest.param(2, 0.01, marks=pytest.mark.long),
        (3, 0.3),
        pytest.param(4, 1.0, marks=pytest.mark.long),
    ],
)
async def test_one_scan_makes_up_for_what_was_lost(
    tmp_path: Path, seed: int, lost: float
) -> None:
    """Then the state is what a direct listing says, digest by digest."""
    chance = random.Random(seed)
    folded = Folded(IAD)
    with Sink() as sink:
        sections = {"notifications": sink.section()}
        with DockerRegistry(tmp_path, sections=sections) as registry:
            async with asked_by(registry, PUSHER) as client:
                await live(client, chance)
            sink.settle()
            for envelope in damaged(list(sink.envelopes), chance, lost):
                await folded.report(translate(envelope, FEED).events)
            told = folded.present()
            async with asked_by(registry) as client:
                found = await inventory_of(client, folded).scan()

    assert found.position.complete
    there, known = stored(registry), folded.present()
    assert known <= there, "nothing is believed that is not there"
    assert reachable(registry) <= known, "all that a tag leads to is known"
    assert there & told <= known, "what was told and is there stays"
    for name in REPOSITORIES:
        tags, believed = stored_tags(registry, name), folded.pointed(name)
        assert {tag: believed[tag] for tag in tags} == tags
        gone = {(name, believed[tag]) for tag in believed.keys() - tags.keys()}
        assert not gone & (told - there), "no tag leads to what this scan missed"


@pytest.mark.parametrize("cache", [{}, {"cache": {"blobdescriptor": "inmemory"}}])
async def test_collected_garbage_disappears(
    tmp_path: Path, cache: dict[str, Any]
) -> None:
    """A registry that remembers blobs answers for them still: a byte is asked for."""
    folded = Folded(IAD)
    storage = {
        "filesystem": {"rootdirectory": str(tmp_path / "store")},
        "delete": {"enabled": True},
    }
    with DockerRegistry(tmp_path, sections={"storage": storage | cache}) as registry:
        async with asked_by(registry, PUSHER) as client:
            kept = await push_image(client, [700], WEB, 1)
            gone = await push_image(client, [800, 900], WEB, 2)
            await tag_as(client, WEB, kept.descriptor.digest, "kept")
            await tag_as(client, WEB, gone.descriptor.digest, "gone")
        async with asked_by(registry) as client:
            inventory = inventory_of(client, folded)
            await inventory.scan()
            await client.delete_manifest(WEB, gone.descriptor.digest)
            await asyncio.to_thread(subprocess.run, registry.collect(), check=True)
            lies = await client.find_blob(WEB, gone.references[-1].digest)
            found = await inventory.scan()

    assert (lies is not None) == bool(cache), "the trap is there"
    assert found.position.complete
    assert found.position.absence_count == 4
    assert folded.present() == stored(registry) == reachable(registry)


async def test_scan_is_no_demand(tmp_path: Path) -> None:
    """Its HEADs and GETs are notified by the registry, and none of them is a use."""
    folded = Folded(IAD)
    with Sink() as sink:
        sections = {"notifications": sink.section()}
        with DockerRegistry(tmp_path, sections=sections) as registry:
            async with asked_by(registry, PUSHER) as client:
                image = await push_image(client, [700, 800], WEB, 1)
                await tag_as(client, WEB, image.descriptor.digest, "v1")
            sink.settle()
            before = len(sink.envelopes)
            async with asked_by(registry) as client:
                await inventory_of(client, folded).scan()
                await look_for(client, image.references[-1].digest, folded)
            sink.settle()
    heard = [translate(one, FEED) for one in sink.envelopes[before:]]

    reasons = [ignored.reason for one in heard for ignored in one.ignored]
    facts = [event.fact for one in heard for event in one.events]
    assert not [fact for fact in facts if isinstance(fact, ContentPulled)]
    assert IgnoredReason.OWN_COPY in reasons, "the manifest was fetched"
    assert IgnoredReason.HEAD_IS_NO_USE in reasons
    assert len(folded.state.digests) > 0
    assert list(folded.state.uses.rows()) == []


async def look_for(client: Registry, digest: Digest, folded: Folded) -> None:
    """Let another scan ask for a blob that nothing leads to, by a byte of it."""
    manifest = await client.manifest(WEB, Tag("v1"))
    await client.delete_manifest(WEB, manifest.descriptor.digest)
    found = await inventory_of(client, folded).scan()
    assert (WEB, digest) in folded.present()
    assert found.position.absence_count == 1
