"""What tests of inventories need: a state to fold into, and a registry's own files."""

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

import httpx

from placement.agent.inventory.inventory import Inventory
from placement.agent.inventory.known import Held
from placement.agent.inventory.settings import InventorySettings
from placement.agent.registry.client import Registry
from placement.agent.registry.exchange import USER_AGENT
from placement.core.event import Event, InventoryTaken
from placement.core.fold import fold
from placement.core.oci import Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region
from placement.wire.events import EVENT_BYTES_MAX, decode_event, encode_event
from tests.builders import message
from tests.docker_registry import DockerRegistry

PUSHER: Final = "skopeo/1.9.3"
WHOLE: Final = (ReplicaPhase.COMPLETE, ReplicaPhase.VERIFIED)
Place = tuple[str, str]
"""A repository and a digest in it."""


class Folded:
    """A log of one region and the state that it folds to; also what is known of it."""

    def __init__(self, region: Region) -> None:
        """Begin with nothing."""
        self.region = region
        self.state = State()
        self.events: list[Event] = []

    async def report(self, events: Sequence[Event]) -> None:
        """Store *events*, as the wire carries them, and fold them."""
        for event in events:
            proto = encode_event(event)
            assert proto.ByteSize() <= EVENT_BYTES_MAX
            told = decode_event(proto)
            self.events.append(told)
            stored = message(
                self.state.sequence + 1, told, store_time_ns=time.time_ns()
            )
            fold(self.state, stored)

    async def replicas(self, repository: str = "") -> AsyncGenerator[Held, None]:
        """Yield what the state believes to be there."""
        for name, digest in sorted(self.present()):
            if repository in ("", name):
                size = self.state.size_bytes(self.state.find_digest(Digest(digest)))
                yield Held(Repository(name), Digest(digest), size)

    async def tags(self, repository: Repository, digest: Digest) -> tuple[Tag, ...]:
        """Return the tags that the state believes to point to *digest*."""
        owner = self.state.find_repository(repository)
        there = self.state.tags_in(owner)
        return tuple(tag for tag, at in there if at.digest == digest)

    def present(self) -> set[Place]:
        """Return all that the state believes to be there."""
        state, found = self.state, set()
        for key, owner in state.repositories.rows():
            for placement in state.indexes.placements_in(owner):
                phase = state.phase(placement, state.region_row(self.region))
                if phase in WHOLE:
                    digest = state.digest_at(state.content_of(placement))
                    found.add((key.decode(), str(digest)))
        return found

    def pointed(self, repository: str) -> dict[str, str]:
        """Return where the tags of *repository* point."""
        owner = self.state.find_repository(Repository(repository))
        return {tag: str(at.digest) for tag, at in self.state.tags_in(owner)}

    @property
    def pages(self) -> list[InventoryTaken]:
        """The pages of inventories that were reported."""
        facts = [event.fact for event in self.events]
        return [fact for fact in facts if isinstance(fact, InventoryTaken)]


def stored(registry: DockerRegistry) -> set[Place]:
    """Return all that a registry's files hold: links whose bytes are there."""
    root = registry.directory / "store/docker/registry/v2/repositories"
    found = set()
    for kind in ("_manifests/revisions", "_layers"):
        for link in root.glob(f"**/{kind}/sha256/*/link"):
            digest = link.read_text()
            repository = str(link.relative_to(root)).partition(f"/{kind}/")[0]
            if registry.blob_path(digest).exists():
                found.add((repository, digest))
    return found


def stored_tags(registry: DockerRegistry, repository: str) -> dict[str, str]:
    """Return where a repository's tags point, by the registry's files."""
    root = registry.directory / "store/docker/registry/v2/repositories" / repository
    links = root.glob("_manifests/tags/*/current/link")
    return {link.parts[-3]: link.read_text() for link in links}


def reachable(registry: DockerRegistry) -> set[Place]:
    """Return what tags lead to, of all that a registry's files hold."""
    there = stored(registry)
    found: set[Place] = set()
    waiting = [
        (repository, digest)
        for repository in {name for name, _ in there}
        for digest in stored_tags(registry, repository).values()
    ]
    while waiting:
        place = waiting.pop()
        if place in found or place not in there:
            continue
        found.add(place)
        waiting += [(place[0], one) for one in _referred(registry, place[1])]
    return found


def _referred(registry: DockerRegistry, digest: str) -> list[str]:
    body = registry.blob_path(digest).read_bytes()
    try:
        document = json.loads(body)
    except ValueError:
        return []
    if not isinstance(document, dict):
        return []
    parts = [document.get("config") or {}, *document.get("layers", ())]
    parts += document.get("manifests", ())
    return [part["digest"] for part in parts if "digest" in part]


@asynccontextmanager
async def asked_by(
    registry: DockerRegistry,
    user_agent: str = USER_AGENT,
    **more: Any,  # noqa: ANN401 - fields of RegistrySettings
) -> AsyncIterator[Registry]:
    """Give a client of *registry*: ourselves, or somebody else who pushes."""
    async with httpx.AsyncClient(headers={"User-Agent": user_agent}) as http:
        yield Registry(registry.settings(**more), http)


def inventory_of(
    client: Registry,
    folded: Folded,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    **more: Any,  # noqa: ANN401 - fields of InventorySettings
) -> Inventory:
    """Return an inventory that asks *client* and reports into *folded*."""
    chosen = {"requests_per_second": 10_000.0, "request_seconds": 10.0} | more
    settings = InventorySettings(region=folded.region, **chosen)
    return Inventory(
        settings,
        client,
        folded.report,
        folded,
        time.time_ns,
        random.Random(1).random,
        sleep,
    )


async def tag_as(
    client: Registry, repository: Repository, digest: Digest, *tags: str
) -> None:
    """Let *tags* point to a manifest that is there."""
    manifest = await client.manifest(repository, digest)
    for tag in tags:
        await client.put_manifest(repository, Tag(tag), manifest)


class Sink:
    """Takes a registry's notifications and keeps their envelopes."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.envelopes: list[dict[str, Any]] = []
        kept = self.envelopes

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                kept.append(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def section(self) -> dict[str, Any]:
        """Return the section ``notifications`` of docker-registry's configuration."""
        host, port = self._server.server_address[:2]
        endpoint = {
            "name": "sink",
            "url": f"http://{host!s}:{port}/",
            "timeout": "2s",
            "threshold": 3,
            "backoff": "1s",
        }
        return {"events": {"includereferences": True}, "endpoints": [endpoint]}

    def settle(self, quiet_s: float = 0.5) -> None:
        """Return once no more notification came for so long."""
        count, since_s = len(self.envelopes), time.monotonic()
        while time.monotonic() - since_s < quiet_s:
            time.sleep(0.02)
            if len(self.envelopes) != count:
                count, since_s = len(self.envelopes), time.monotonic()

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
