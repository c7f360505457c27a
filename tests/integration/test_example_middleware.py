"""docs/examples/registry_middleware.py before real registries, and when they fail."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from placement.agent.registry.manifests import Manifest
from placement.agent.registry.opening import opened
from placement.client import LocalPlacements
from placement.core.event import ContentPushed
from placement.core.oci import Tag
from placement.core.topology import Topology
from tests import serving as stages
from tests.builders import IAD, SYD, TOPOLOGY, WEB, event
from tests.docker_registry import DockerRegistry, needs_registry
from tests.examples import example, over_http
from tests.link_proxy import LinkProxy
from tests.registry_images import push_image
from tests.serving import Service, serving

LATEST = Tag("v1")

pytestmark = needs_registry


@dataclass
class World:
    """A node in Sydney whose registry is empty, and an image in Ashburn."""

    service: Service
    local: LocalPlacements
    image: Manifest
    link: LinkProxy
    """The way to Ashburn's registry."""
    placed: Any
    node: httpx.AsyncClient
    """Asks the middleware."""

    async def get(self, path: str) -> httpx.Response:
        """Return what the node answers."""
        return await self.node.get(f"/v2/{WEB}/{path}")


@pytest.fixture
async def world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """Two real registries, the service that knows of both, and the node."""
    program = example("registry_middleware")
    async with AsyncExitStack() as stack:
        here = stack.enter_context(DockerRegistry(tmp_path / "syd", "syd"))
        there = stack.enter_context(DockerRegistry(tmp_path / "iad", "iad"))
        link = await stack.enter_async_context(LinkProxy(there.address))
        regions = {
            **TOPOLOGY.regions,
            IAD: replace(TOPOLOGY.regions[IAD], endpoint=link.url),
            SYD: replace(TOPOLOGY.regions[SYD], endpoint=here.url),
        }
        monkeypatch.setattr(stages, "TOPOLOGY", Topology(regions, IAD))
        async with opened(there.settings()) as registry:
            image = await push_image(registry, [50_000])
        service = await stack.enter_async_context(serving())
        layers = [event(IAD, ContentPushed(one, WEB)) for one in image.references]
        fact = ContentPushed(image.descriptor, WEB, LATEST, image.references)
        await service.stage.happen(*layers, event(IAD, fact))
        start = LocalPlacements.start(service.target)
        local = await stack.enter_async_context(await start)
        http = await stack.enter_async_context(httpx.AsyncClient())

        async def own(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
            url = here.url + Request(scope).url.path
            answer = await program.fetch(http, Request(scope, receive), url)
            await program.passed_on(answer)(scope, receive, send)

        placed = program.Placed(own, local, SYD, http)
        node = await stack.enter_async_context(over_http(placed))
        yield World(service, local, image, link, placed, node)


async def test_node_brings_what_its_region_lacks(world: World) -> None:
    """Byte for byte, by tag and by digest; a part of it where a part is asked for."""
    layer = world.image.references[-1]
    accept = {"accept": world.image.descriptor.media_type}

    tagged = await world.node.get(f"/v2/{WEB}/manifests/{LATEST}", headers=accept)
    blob = await world.get(f"blobs/{layer.digest}")
    part = await world.node.get(
        f"/v2/{WEB}/blobs/{layer.digest}", headers={"range": "bytes=0-99"}
    )

    assert tagged.content == world.image.body
    assert tagged.headers["docker-content-digest"] == world.image.descriptor.digest
    assert f"sha256:{hashlib.sha256(blob.content).hexdigest()}" == layer.digest
    assert (part.status_code, part.content) == (206, blob.content[:100])


async def test_node_answers_what_nobody_is_known_to_have(world: World) -> None:
    """And what is no content: as it would without us."""
    unknown = await world.get(f"blobs/sha256:{'0' * 64}")
    base = await world.node.get("/v2/")
    tags = await world.get("tags/list")
    head = await world.node.head(f"/v2/{WEB}/manifests/{LATEST}")

    assert unknown.status_code == 404
    assert base.status_code == 200
    assert tags.status_code == 404
    assert head.status_code == 404
    assert world.link.connections == 0


@pytest.mark.parametrize("fault", ["refuses", "hangs"])
async def test_node_answers_itself_when_the_source_fails(
    world: World, fault: str
) -> None:
    """Within the deadline: here it has no such blob, and says so."""
    digest = world.image.references[-1].digest
    if fault == "refuses":
        world.link.refuses = True
    else:
        world.link.block()
    began_s = time.monotonic()

    answer = await world.get(f"blobs/{digest}")

    assert answer.status_code == 404
    assert time.monotonic() - began_s < 2
    world.link.unblock()


async def test_node_goes_on_when_the_service_is_gone(world: World) -> None:
    """Digests never lie; a tag may have moved since, and is the node's to answer."""
    digest = world.image.references[-1].digest
    await world.service.server.stop(0)
    async with asyncio.timeout(10):
        while world.local.basis.live:
            await world.local.changed()

    assert (await world.get(f"blobs/{digest}")).status_code == 200
    assert (await world.get(f"manifests/{LATEST}")).status_code == 404


async def test_node_may_send_pullers_there(world: World) -> None:
    """To the address of the catalogue, and to no other."""
    digest = world.image.references[-1].digest
    object.__setattr__(world.placed, "redirects", True)

    answer = await world.get(f"blobs/{digest}")

    assert answer.status_code == 307
    assert answer.headers["location"] == f"{world.link.url}/v2/{WEB}/blobs/{digest}"
