"""Three regions with real registries, and a router in one of them, for tests."""

import asyncio
import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from placement.agent.registry.client import Registry
from placement.agent.registry.opening import opened
from placement.agent.router.places import Placements
from placement.agent.router.router import Router
from placement.agent.router.settings import RouterSettings
from placement.agent.underway import Underway
from placement.client.feed import LocalBasis
from placement.client.local_answers import LocalTag
from placement.core.errors import ManifestUnknownError
from placement.core.event import ContentReplicated, Event
from placement.core.mirror.sources import Cost, LocalRanking, LocalSource
from placement.core.oci import Digest, Repository, Tag
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import CatalogueRegion, Region, Topology
from placement.runtime.view import ServingState
from tests.builders import FRA, IAD, SYD
from tests.docker_registry import DockerRegistry
from tests.oci_layout import CONFIG, MANIFEST
from tests.watched_link import WatchedLink

SKOPEO: Final = shutil.which("skopeo")
USER, PASSWORD = "alice", "wonder"
HTPASSWD: Final = "alice:$2y$04$O0a69xKtKyMhA1wYPXsX0.Fiwb4Zow2f5GEe9Ry4DUZdv2PrwKMvm\n"
AUTH: Final = httpx.BasicAuth(USER, PASSWORD)
DEADLINE_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.02


class KnownPlacements:
    """What a local replica would know: a test says what."""

    def __init__(self, topology: Topology) -> None:
        """Know nothing, and be up to date."""
        self.topology = topology
        self.state = ServingState.LIVE
        self.held: dict[tuple[str, str], list[Region]] = {}
        self.tags: dict[tuple[str, str], tuple[Digest, Region]] = {}

    @property
    def basis(self) -> LocalBasis:
        """Return what answers rest on."""
        return LocalBasis("e", 1, 0, self.state, 0, 0)

    def rank_sources(
        self, repository: str, digest: str, region: str, max_source_count: int = 0
    ) -> LocalRanking:
        """Return the regions that a test placed the content in."""
        del region
        sources = tuple(
            LocalSource(
                one, "", 0, 0, ReplicaPhase.COMPLETE, complete=True, draining=False
            )
            for one in self.held.get((repository, digest), [])
        )
        costs = (0.0, 0.0, 0.0, 0.0, 0)
        home = Cost(self.topology.home, 0, "", not "draining", *costs)
        absent = ReplicaPhase.ABSENT
        return LocalRanking(sources[:max_source_count], 0, home, 0, absent)

    def resolve(
        self, repository: str, tag: str, *, accept_stale: bool = False
    ) -> LocalTag:
        """Return where a test let the tag point to."""
        assert accept_stale, "the router asks how old that is by itself"
        found = self.tags.get((repository, tag))
        if found is None:
            raise ManifestUnknownError(Repository(repository), Tag(tag))
        return LocalTag(*found, 0, 0, self.basis)

    def place(self, repository: str, manifest: dict[str, Any], region: Region) -> None:
        """Know that a region holds a manifest and its blobs."""
        parts = [manifest["config"], *manifest["layers"], manifest]
        for part in parts:
            regions = self.held.setdefault((repository, part["digest"]), [])
            if region not in regions:
                regions.append(region)


@dataclass
class World:
    """Regions of a test, their registries, and the links to them."""

    directory: Path
    topology: Topology
    servers: dict[Region, DockerRegistry]
    links: dict[Region, WatchedLink]
    registries: dict[Region, Registry]
    events: list[Event] = field(default_factory=list)
    known: KnownPlacements = field(init=False)
    underway: Underway = field(default_factory=Underway)

    def __post_init__(self) -> None:
        """Know nothing yet."""
        self.known = KnownPlacements(self.topology)

    async def report(self, events: Sequence[Event]) -> None:
        """Keep what a router reports, and know it at once."""
        self.events += events
        for event in events:
            if isinstance(event.fact, ContentReplicated):
                for content in event.fact.contents:
                    key = (event.fact.repository, content.digest)
                    self.known.held.setdefault(key, []).insert(0, event.region)

    def facts(self, kind: type) -> list[Any]:
        """Return the reported facts of one kind."""
        return [e.fact for e in self.events if isinstance(e.fact, kind)]

    async def push(
        self, region: Region, image: Path, name: str = "acme/web", tag: str = "v1"
    ) -> dict[str, Any]:
        """Push an image straight into a region's registry; know it, and return it."""
        address = self.servers[region].address
        login = ("--dest-creds", f"{USER}:{PASSWORD}")
        await copy(f"oci:{image}:{tag}", f"docker://{address}/{name}:{tag}", *login)
        manifest = manifest_of(image)
        self.known.place(name, manifest, region)
        self.known.tags[name, tag] = (manifest["digest"], region)
        return manifest

    @asynccontextmanager
    async def router(
        self,
        region: Region = SYD,
        local: Placements | None = None,
        clock: Callable[[], int] = time.time_ns,
        **settings: Any,  # noqa: ANN401 - any of the settings
    ) -> AsyncIterator[tuple[Router, str]]:
        """Run a router of *region*; give it and its HOST:PORT.

        Without a *local* replica it knows what the test says.
        """
        directory = self.directory / f"spool-{region}"
        router = Router(
            RouterSettings(region=region, directory=directory, **settings),
            local or self.known,
            self.registries,
            self.report,
            underway=self.underway,
            clock=clock,
        )
        ports: asyncio.Queue[int] = asyncio.Queue()
        running = asyncio.create_task(router.run(ports.put_nowait))
        try:
            yield router, f"127.0.0.1:{await ports.get()}"
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def world_of(
    directory: Path,
    auth: dict[str, Any] | None = None,
    own: dict[str, Any] | None = None,
    regions: Sequence[Region] = (IAD, FRA, SYD),
) -> AsyncIterator[World]:
    """Run a registry in each region; iad is home. *own* is who the agent is."""
    async with AsyncExitStack() as stack:
        servers, links, registries = {}, {}, {}
        for region in regions:
            sections = {"auth": auth} if auth else None
            server = DockerRegistry(directory / region, region, sections)
            servers[region] = stack.enter_context(server)
            link = await stack.enter_async_context(WatchedLink(server.address))
            links[region] = link
            settings = server.settings(**(own or {}))
            settings = type(settings)(
                region=region,
                url=server.url if region == SYD else link.url,
                user=settings.user,
                password=settings.password,
                token_realms=settings.token_realms,
            )
            registries[region] = await stack.enter_async_context(opened(settings, 1024))
        catalogue = {
            region: CatalogueRegion(
                region, region, 50.0, 8.0, endpoint=servers[region].url
            )
            for region in regions
        }
        yield World(directory, Topology(catalogue, IAD), servers, links, registries)


async def copy(source: str, target: str, *more: str) -> float:
    """Copy an image with skopeo, without TLS; returns the seconds that it took."""
    command = [
        *(str(SKOPEO), "--insecure-policy", "copy", *more),
        *("--src-tls-verify=false", "--dest-tls-verify=false", source, target),
    ]
    began = time.monotonic()
    done = await asyncio.to_thread(
        subprocess.run, command, check=False, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return time.monotonic() - began


async def until(happened: Callable[[], bool]) -> None:
    """Return once *happened* says so."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not happened():  # noqa: ASYNC110 - several things are looked at
            await asyncio.sleep(POLL_SECONDS)


def manifest_of(image: Path) -> dict[str, Any]:
    """Return the manifest of an OCI layout, with its own digest."""
    index = json.loads((image / "index.json").read_text())
    described: dict[str, Any] = index["manifests"][0]
    path = image / "blobs" / described["digest"].replace(":", "/")
    return {**json.loads(path.read_text()), "digest": described["digest"]}


def digest_of(body: bytes) -> Digest:
    """Return the digest of *body*."""
    return Digest(f"sha256:{hashlib.sha256(body).hexdigest()}")


async def put_image(
    client: httpx.AsyncClient, base: str, tag: str, word: str, name: str = "acme/web"
) -> Digest:
    """Push an image whose only content is *word*, as any client does; its digest."""
    config = json.dumps({"word": word}).encode()
    begun = await client.post(f"{base}/v2/{name}/blobs/uploads/")
    assert begun.status_code == 202, begun.text
    address = httpx.URL(base).join(begun.headers["Location"])
    join = "&" if address.query else "?"
    put = await client.put(f"{address}{join}digest={digest_of(config)}", content=config)
    assert put.status_code == 201, put.text
    described = {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)}
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described}
    body = json.dumps({**document, "layers": []}).encode()
    headers = {"Content-Type": MANIFEST}
    path = f"{base}/v2/{name}/manifests/{tag}"
    put = await client.put(path, content=body, headers=headers)
    assert put.status_code == 201, put.text
    return digest_of(body)
