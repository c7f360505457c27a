"""Targets that read what registries answer, and what clients ask the router."""

from pathlib import Path
from random import Random
from typing import Any

import httpx

from placement.agent.registry.challenges import parse_challenges
from placement.agent.registry.client import Registry
from placement.agent.registry.manifests import Manifest, parse_manifest
from placement.agent.registry.retry_after import WAIT_SECONDS_MAX, retry_after_s
from placement.agent.registry.settings import RegistrySettings
from placement.agent.router.bodies import span_of
from placement.agent.router.router import Router
from placement.agent.router.settings import RouterSettings
from placement.core.event import ContentPushed, Event, Identifier
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.topology import Region
from placement.wire.events import decode_event, encode_event
from tests.builders import IAD, SYD, TOPOLOGY
from tests.fuzz.notifications import HTTP, asked
from tests.fuzz.requests import DIGEST
from tests.fuzz.target import Target
from tests.fuzz.texts import spoiled_headers, spoiled_json, spoiled_text
from tests.routing import KnownPlacements

WEB = Repository("acme/web")
BASE = "https://registry.test"
HEADERS = [
    ("Content-Type", "application/vnd.oci.image.manifest.v1+json"),
    ("Docker-Content-Digest", DIGEST),
    ("Content-Length", "1234"),
    ("Content-Range", "bytes 0-9/10"),
    ("Link", '</v2/_catalog?last=acme%2Fweb&n=100>; rel="next"'),
    ("Location", "/v2/acme/web/blobs/uploads/u-1?_state=x"),
    ("WWW-Authenticate", f'Bearer realm="{BASE}/token",service="s",scope="a:b:pull"'),
    ("WWW-Authenticate", 'Basic realm="r"'),
    ("Retry-After", "Wed, 21 Oct 2026 07:28:00 GMT"),
    ("Date", "Wed, 21 Oct 2026 07:27:00 GMT"),
    ("Content-Encoding", "identity"),
]
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.index.v1+json",
    "config": {"mediaType": "a/b", "digest": DIGEST, "size": 12},
    "layers": [{"mediaType": "a/b", "digest": DIGEST, "size": 12}],
    "manifests": [
        {
            "mediaType": "a/b",
            "digest": DIGEST,
            "size": 12,
            "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"},
        }
    ],
    "subject": {"mediaType": "a/b", "digest": DIGEST, "size": 12},
}
DOCUMENTS = (
    MANIFEST,
    {"repositories": ["acme/web", "acme/api"]},
    {"tags": ["v1", "v2"]},
    {"token": "t", "access_token": "t", "expires_in": 300},
    {"errors": [{"code": "MANIFEST_UNKNOWN"}]},
)
STATUSES = (200, 200, 200, 200, 206, 201, 202, 301, 307, 401, 403, 404, 416, 429, 503)
PATHS = (
    "/v2/",
    "/v2/acme/web/manifests/v1",
    f"/v2/acme/web/manifests/{DIGEST}",
    f"/v2/acme/web/blobs/{DIGEST}",
    "/v2/acme/web/blobs/uploads/u-1?placement-region=iad&digest=" + DIGEST,
    "/v2/acme/web/tags/list?n=1&last=v1",
    "/v2/_catalog?n=5",
    f"/v2/acme/web/referrers/{DIGEST}",
    "/healthz",
)

ASKED = [
    ("Host", "localhost:5000"),
    ("User-Agent", "containerd/1.7"),
    ("Authorization", "Basic YTpi"),
    ("Range", "bytes=0-9"),
    ("If-Range", '"x"'),
    ("If-None-Match", '"x"'),
    ("Accept", "*/*"),
    ("Content-Type", "application/vnd.oci.image.index.v1+json"),
    ("Content-Length", "10"),
    ("Content-Range", "0-9"),
]
"""What clients of the router say."""

Hostile = tuple[int, list[tuple[bytes, bytes]], bytes]
"""A status, headers and a body."""


def hostile(chance: Random) -> Hostile:
    """Return an answer that something is wrong with."""
    body = spoiled_json(chance, chance.choice(DOCUMENTS))
    return chance.choice(STATUSES), spoiled_headers(chance, HEADERS), body


class Answers(httpx.AsyncBaseTransport):
    """A registry that gives the same few answers in turn, whatever is asked."""

    def __init__(self) -> None:
        """Have none yet."""
        self.answers: list[Hostile] = [(404, [], b"")]
        self.count = 0
        self.hosts: set[str] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.hosts.add(request.url.host)
        if request.url.host != "registry.test":
            assert "Authorization" not in request.headers, "our credentials left"
        status, headers, body = self.answers[self.count % len(self.answers)]
        self.count += 1
        return httpx.Response(status, headers=headers, stream=Piece(body))


class Piece(httpx.AsyncByteStream):
    """A body, as it comes from a connection."""

    def __init__(self, body: bytes) -> None:
        """Bring *body*."""
        self._body = body

    async def __aiter__(self) -> Any:  # noqa: ANN401 - an iterator
        """Bring it in two."""
        half = len(self._body) // 2
        yield self._body[:half]
        yield self._body[half:]


def answers() -> Target:
    """All that a registry is asked, with answers of a hostile one."""
    transport = Answers()
    settings = RegistrySettings(
        region=Region("iad"),
        url=BASE,
        user="robot",
        password="beep",  # noqa: S106 - a test's own
    )
    http = httpx.AsyncClient(transport=transport, trust_env=False)

    def make(chance: Random) -> tuple[int, list[Hostile]]:
        return chance.randrange(9), [hostile(chance) for _ in range(3)]

    async def read(given: tuple[int, list[Hostile]]) -> None:
        which, transport.answers = given
        transport.count = 0
        await _one_of(Registry(settings, http), which)

    return Target("registry answers", 4_000, make, read)


async def _one_of(registry: Registry, which: int) -> None:
    digest = Digest(DIGEST)
    match which:
        case 0:
            await registry.repositories("acme/web")
        case 1:
            await registry.tags(WEB)
        case 2:
            _storable(await registry.manifest(WEB, Tag("v1")))
        case 3:
            _storable(await registry.manifest(WEB, digest))
        case 4:
            await registry.find_manifest(WEB, Tag("v1"))
        case 5:
            await registry.find_blob(WEB, digest)
        case 6:
            async with registry.open_blob(WEB, digest, 7) as found:
                assert sum([len(chunk) async for chunk in found.chunks]) >= 0
        case 7:
            await registry.mount(WEB, digest, Repository("acme/api"))
        case _:
            address = await registry.begin_upload(WEB)
            assert address.startswith(f"{BASE}/"), address
            await registry.delete_blob(WEB, digest)


def _storable(manifest: Manifest) -> None:
    """Check that what an inventory makes of a manifest can be stored."""
    content = Descriptor(
        manifest.descriptor.digest,
        manifest.descriptor.media_type,
        manifest.descriptor.size_bytes,
    )
    fact = ContentPushed(content, WEB, None, manifest.references, manifest.subject)
    event = Event(Identifier("e"), IAD, fact)
    assert decode_event(encode_event(event)) == event


def manifests() -> Target:
    """Manifests and indexes, as any registry may have them."""

    def make(chance: Random) -> bytes:
        return spoiled_json(chance, MANIFEST)

    def read(body: bytes) -> None:
        _storable(parse_manifest(body, "text/plain"))

    return Target("manifests", 4_000, make, read)


def header_values() -> Target:
    """What registries say in headers alone."""

    def make(chance: Random) -> Hostile:
        return 206, spoiled_headers(chance, HEADERS), b""

    def read(given: Hostile) -> bool:
        response = httpx.Response(given[0], headers=given[1])
        assert 0 <= retry_after_s(response.headers) <= WAIT_SECONDS_MAX
        span = span_of(response)
        return bool(span and parse_challenges(response.headers.get_list("X")) == ())

    return Target("registry headers", 6_000, make, read)


def router() -> Target:
    """What clients ask the router: never an answer that nobody thought of."""
    known = KnownPlacements(TOPOLOGY)
    transport = Answers()
    http = httpx.AsyncClient(transport=transport, trust_env=False)
    near = Registry(RegistrySettings(region=SYD, url=BASE), http)

    async def report(_events: object) -> None:
        """Keep nothing."""

    directory = Path("/nonexistent")  # nothing is ever on its way
    settings = RouterSettings(region=SYD, directory=directory, fills=False)
    app = Router(settings, known, {SYD: near}, report).app()

    def make(chance: Random) -> tuple[list[Hostile], dict[str, Any], bytes]:
        path = chance.choice(PATHS)
        text = spoiled_text(chance, path) if chance.random() < 0.5 else path
        path, _, query = text.partition("?")
        methods = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
        scope = {
            **HTTP,
            "method": chance.choice(methods),
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "query_string": query.encode("utf-8", "replace"),
            "headers": spoiled_headers(chance, ASKED),
        }
        answers = [hostile(chance) for _ in range(3)]
        return answers, scope, spoiled_json(chance, MANIFEST)

    async def read(given: tuple[list[Hostile], dict[str, Any], bytes]) -> bool:
        transport.answers, scope, body = given
        transport.count = 0
        status = await asked(app, scope, body)
        assert status != 500, status
        return status < 400

    return Target("router requests", 1_500, make, read)
