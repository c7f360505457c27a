"""A scan of a real registry makes the state what a direct listing of it says."""

from pathlib import Path
from typing import Final

import pytest

from placement.core.event import InventoryContent
from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables import cells
from placement.core.topology import Region
from tests.docker_registry import DockerRegistry, needs_registry
from tests.inventories import (
    PUSHER,
    Folded,
    asked_by,
    inventory_of,
    reachable,
    stored,
    stored_tags,
    tag_as,
)
from tests.registry_images import WEB, push_image, push_index

IAD: Final = Region("iad")
API: Final = Repository("acme/api")

pytestmark = needs_registry


async def pushed_before_us(registry: DockerRegistry) -> None:
    """Push images, an index, and layers that two repositories share."""
    async with asked_by(registry, PUSHER) as client:
        for seed in range(3):
            image = await push_image(client, [20_000, 3_000], WEB, seed)
            await tag_as(client, WEB, image.descriptor.digest, f"v{seed}", f"w{seed}")
        same = await push_image(client, [20_000, 3_000], API, 1)
        await tag_as(client, API, same.descriptor.digest, "latest")
        children = [await push_image(client, [9_000], API, seed) for seed in (7, 8)]
        index = await push_index(client, children, API)
        await tag_as(client, API, index.descriptor.digest, "multi")


async def test_registry_from_before_us_is_known_after_one_scan(tmp_path: Path) -> None:
    """Digest by digest: contents, sizes, the graph with its platforms, the tags."""
    folded = Folded(IAD)
    with DockerRegistry(tmp_path) as registry:
        await pushed_before_us(registry)
        async with asked_by(registry) as client:
            found = await inventory_of(client, folded).scan()

    assert folded.present() == stored(registry) == reachable(registry)
    for repository in (WEB, API):
        assert folded.pointed(repository) == stored_tags(registry, repository)
    assert sizes(folded) == {
        digest: registry.blob_path(digest).stat().st_size
        for _, digest in stored(registry)
    }
    index = entry_of(folded, "multi")
    platforms = [str(one.platform) for one in index.references]
    assert platforms == ["linux/amd64", "linux/arm64"]
    state = folded.state
    row = state.find_digest(index.content.digest)
    assert state.digests.get(row, cells.Digest.EDGES) == len(platforms)
    position = found.position
    assert (position.complete, position.failed_count) == (True, 0)
    assert (position.repository_count, position.tag_count) == (2, 8)
    assert position.content_count == len(stored(registry))
    assert [page.complete for page in folded.pages] == [True]


def sizes(folded: Folded) -> dict[str, int]:
    """Return the size of each content that is known."""
    state: State = folded.state
    return {
        digest: state.size_bytes(state.find_digest(Digest(digest)))
        for _, digest in folded.present()
    }


def entry_of(folded: Folded, tag: str) -> InventoryContent:
    """Return what was told of the content that *tag* points to."""
    entries = [entry for page in folded.pages for entry in page.contents]
    [entry] = [entry for entry in entries if tag in entry.tags]
    return entry


async def test_second_scan_reads_no_manifest_again(tmp_path: Path) -> None:
    """Content never changes: a HEAD for each manifest is enough."""
    folded = Folded(IAD)
    with DockerRegistry(tmp_path) as registry:
        await pushed_before_us(registry)
        async with asked_by(registry) as client:
            inventory = inventory_of(client, folded)
            first = await inventory.scan()
            second = await inventory.scan()

    manifests = 6
    assert second.request_count == first.request_count - manifests
    assert folded.present() == stored(registry)


@pytest.mark.long
async def test_three_hundred_tags_fill_several_pages(tmp_path: Path) -> None:
    """Each page fits the wire, has the same scan time, and the last one says so."""
    folded = Folded(IAD)
    with DockerRegistry(tmp_path) as registry:
        async with asked_by(registry, PUSHER) as client:
            for seed in range(100):
                image = await push_image(client, [100, 100], WEB, seed)
                names = [f"{kind}-{seed}" for kind in ("build", "commit", "release")]
                await tag_as(client, WEB, image.descriptor.digest, *names)
        async with asked_by(registry) as client:
            found = await inventory_of(client, folded).scan()

    assert folded.present() == stored(registry)
    assert len(folded.pointed(WEB)) == found.position.tag_count == 300
    assert folded.pointed(WEB) == stored_tags(registry, WEB)
    assert [page.complete for page in folded.pages] == [False, False, True]
    assert len({page.scan_time_ns for page in folded.pages}) == 1


async def test_what_is_gone_is_absent_and_untagged_content_stays(
    tmp_path: Path,
) -> None:
    """A manifest without a tag is there; what was deleted by hand is not."""
    folded = Folded(IAD)
    with DockerRegistry(tmp_path) as registry:
        await pushed_before_us(registry)
        async with asked_by(registry) as client:
            inventory = inventory_of(client, folded)
            await inventory.scan()
            untagged = Digest(folded.pointed(WEB)["v0"])
            deleted = Digest(folded.pointed(WEB)["v1"])
            async with asked_by(registry, PUSHER) as pusher:
                image = await push_image(pusher, [500], WEB, 50)
                await tag_as(pusher, WEB, image.descriptor.digest, "v0", "w0")
                await pusher.delete_manifest(WEB, deleted)
            remove_repository(registry, API)
            found = await inventory.scan()

    assert folded.present() == stored(registry)
    assert (WEB, untagged) in folded.present()
    assert (WEB, deleted) not in folded.present()
    assert not [name for name, _ in folded.present() if name == API]
    assert found.position.complete


def remove_repository(registry: DockerRegistry, repository: str) -> None:
    """Remove a repository's files, as an administrator may."""
    root = registry.directory / "store/docker/registry/v2/repositories" / repository
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    root.rmdir()
