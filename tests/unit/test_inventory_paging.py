"""A registry that gives names a few at a time is read to its end."""

import hashlib
import json
import time
from typing import Final

import httpx
import pytest

from placement.agent.inventory.inventory import Inventory
from placement.agent.inventory.settings import InventorySettings
from placement.agent.registry.client import Registry
from placement.agent.registry.settings import RegistrySettings
from placement.core.topology import Region
from tests.inventories import Folded

IAD: Final = Region("iad")
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
PAGE: Final = 7
"""Names that this registry gives at once, whatever it is asked for."""


class PagingRegistry:
    """Repositories with tags, in pages; each tag points to a manifest of its own."""

    def __init__(self, repositories: dict[str, int]) -> None:
        """Hold so many tags in each of *repositories*."""
        self.repositories = repositories
        self.paths: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer as the OCI distribution specification says."""
        path = request.url.path.removeprefix("/v2/")
        self.paths.append(f"{request.method} {path}")
        if not path:
            return httpx.Response(200)
        if path == "_catalog":
            return self._page(request, "repositories", sorted(self.repositories))
        name, rest = _split(path)
        if rest == "tags/list":
            tags = sorted(f"v{number}" for number in range(self.repositories[name]))
            return self._page(request, "tags", tags)
        body = _manifest_of(name, rest.rpartition("/")[2], self.repositories[name])
        if body is None:
            return httpx.Response(404)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        headers = {"Docker-Content-Digest": digest, "Content-Type": MANIFEST}
        return httpx.Response(200, headers=headers, content=body)

    def _page(
        self, request: httpx.Request, key: str, names: list[str]
    ) -> httpx.Response:
        after = request.url.params.get("last", "")
        left = [name for name in names if name > after]
        headers = {}
        if len(left) > PAGE:
            path = f"{request.url.path}?n={PAGE}&last={left[PAGE - 1]}"
            headers["Link"] = f'<{path}>; rel="next"'
        return httpx.Response(200, headers=headers, json={key: left[:PAGE]})


def _split(path: str) -> tuple[str, str]:
    for mark in ("/tags/list", "/manifests/", "/blobs/"):
        name, found, rest = path.partition(mark)
        if found:
            return name, f"{mark.strip('/')}/{rest}".rstrip("/")
    raise AssertionError(path)


def _manifest_of(name: str, reference: str, count: int) -> bytes | None:
    for number in range(count):
        body = json.dumps({"mediaType": MANIFEST, "name": name, "n": number}).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if reference in (digest, f"v{number}"):
            return body
    return None


@pytest.mark.parametrize("tags", [0, 1, PAGE, PAGE + 1, 300])
async def test_every_page_of_repositories_and_tags_is_read(tags: int) -> None:
    """The header Link says whether there is more; the last page has none."""
    repositories = {f"acme/app-{number:02}": 1 for number in range(2 * PAGE)}
    fake = PagingRegistry(repositories | {"acme/web": tags})
    folded = Folded(IAD)
    transport = httpx.MockTransport(fake.answer)
    async with httpx.AsyncClient(transport=transport) as http:
        registry = Registry(RegistrySettings(region=IAD, url="http://registry"), http)
        settings = InventorySettings(region=IAD, requests_per_second=10_000.0)
        inventory = Inventory(
            settings, registry, folded.report, folded, time.time_ns, lambda: 0.5
        )
        found = await inventory.scan()

    assert found.position.complete
    assert found.position.repository_count == 2 * PAGE + 1
    assert found.position.tag_count == 2 * PAGE + tags
    assert len(folded.present()) == 2 * PAGE + tags
    if tags:
        assert len(folded.pointed("acme/web")) == tags
    listed = sum(path == "GET acme/web/tags/list" for path in fake.paths)
    assert listed == max(1, -(-tags // PAGE))
