"""The router on a real local replica of a real service, until that is gone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from placement.agent.registry.manifests import parse_manifest
from placement.client import LocalPlacements
from placement.core.event import ContentPushed, ContentReplicated, Event, Identifier
from placement.core.oci import Descriptor, Tag
from placement.core.topology import Region
from placement.runtime.view import ServingState
from tests.builders import FRA, IAD, SYD, WEB
from tests.docker_registry import needs_registry
from tests.oci_layout import write_image
from tests.routing import SKOPEO, World, copy, until, world_of
from tests.serving import serving

pytestmark = [
    needs_registry,
    pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed"),
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Three regions without login."""
    async with world_of(tmp_path) as found:
        yield found


def pushes(image: Path, region: Region) -> list[Event]:
    """Return the events of an image's push, as a registry's feed translates them."""
    index = parse_manifest((image / "index.json").read_bytes(), "")
    described = index.references[0]
    body = (image / "blobs" / described.digest.replace(":", "/")).read_bytes()
    manifest = parse_manifest(body, described.media_type)
    facts = [ContentPushed(part, WEB) for part in manifest.references]
    content = Descriptor(described.digest, described.media_type, len(body))
    facts.append(ContentPushed(content, WEB, Tag("v1"), manifest.references))
    return [
        Event(Identifier(f"push-{number}"), region, fact)
        for number, fact in enumerate(facts)
    ]


async def test_router_follows_what_the_service_knows_and_outlives_it(
    world: World, tmp_path: Path
) -> None:
    """Known sources are used, what was filled is known, and STALE changes no pull."""
    write_image(tmp_path / "app", "v1", (3_000_000, 20_000), seed=1)
    await world.push(FRA, tmp_path / "app")

    async with serving() as service:
        stage = service.stage

        def clock() -> int:
            return stage.now_ns

        local = await LocalPlacements.start(service.target, clock=clock)
        async with local, world.router(SYD, local, clock) as (router, address):
            image = f"docker://{address}/{WEB}:v1"
            digest = world.known.tags[WEB, "v1"][0]
            await stage.happen(*pushes(tmp_path / "app", FRA))
            await until(lambda: len(local.rank_sources(WEB, digest, SYD).sources) == 1)

            await copy(image, f"oci:{tmp_path}/one:v1")
            assert router.counts["fell_back"] == 0
            await until(lambda: len(world.facts(ContentReplicated)) == 4)
            await stage.happen(*world.events)
            await until(lambda: local.holds(WEB, digest, SYD))

            await service.server.stop(0)
            await until(lambda: local.basis.state is ServingState.STALE)
            await copy(image, f"oci:{tmp_path}/two:v1")
            assert router.counts["tag_known"] == 0
            assert router.counts["local"] == 4
    assert not world.links[IAD].gets("/blobs/")
