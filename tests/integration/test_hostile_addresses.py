"""A hostile registry names addresses: nothing inside is ever connected to by its word.

The registry is ``localhost``; what it points at is 127.0.0.1, which only the same
machine reaches, and every other way to write that or a neighbour.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import httpx
import pytest

from placement.agent.feeds.catalogue import feeds
from placement.agent.feeds.translation import FeedSettings
from placement.agent.registry.client import Registry
from placement.agent.registry.credentials import Own
from placement.agent.registry.errors import RegistryError, RegistryRefusedError
from placement.agent.registry.fence import is_public
from placement.agent.registry.opening import opened
from placement.agent.registry.redirects import RedirectRefusedError, sent
from placement.agent.registry.relaying import Relayed
from placement.agent.registry.settings import RegistrySettings
from placement.core.event import Name
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from placement.wire.events import encode_event
from tests.figures import tell

WEB: Final = Repository("acme/web")
DIGEST: Final = Digest(f"sha256:{'a' * 64}")
BODY: Final = b"the secret of a neighbour"
ADDRESSES: Final = (
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://2130706433:{port}/",
    "http://0x7f000001:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0.0.0.0:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://10.0.0.1:{port}/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://192.0.2.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://localhost@127.0.0.1:{port}/",
    "http://user:word@127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "///127.0.0.1:{port}/",
    "http:\\\\127.0.0.1:{port}/",
    "http://127.0.0.1:{port}#@localhost/",
    "http://127.0.0.1.:{port}/",
    "http://ip6-localhost:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "unix:///var/run/docker.sock",
    "ws://127.0.0.1:{port}/",
    "http://[",
    "http://",
    "http://127.0.0.1:99999/",
    "\thttp://127.0.0.1:{port}/",
    "javascript:alert(1)",
)


@dataclass
class Listener:
    """Something that listens on loopback, and what it was asked."""

    answer: Callable[[str], str]
    """Status line and headers, by the first line of a request."""
    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.asked.append(head)
            told = self.answer(head.partition("\r\n")[0])
            lines = f"HTTP/1.1 {told}\r\nContent-Length: {len(BODY)}\r\n"
            writer.write(f"{lines}Connection: close\r\n\r\n".encode() + BODY)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(answer: Callable[[str], str]) -> AsyncIterator[Listener]:
    """Give a listener on 127.0.0.1."""
    listener = Listener(answer)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


async def _blob(registry: Registry) -> bytes:
    async with registry.open_blob(WEB, DIGEST) as found:
        return b"".join([chunk async for chunk in found.chunks])


async def _relayed(registry: Registry) -> bytes:
    response = await registry.relay(Relayed("GET", f"/v2/{WEB}/blobs/{DIGEST}"))
    try:
        return await response.aread()
    finally:
        await response.aclose()


ASKED: Final[tuple[Callable[[Registry], Awaitable[object]], ...]] = (
    _blob,
    _relayed,
    lambda registry: registry.find_blob(WEB, DIGEST),
    lambda registry: registry.manifest(WEB, Tag("v1")),
    lambda registry: registry.repositories(),
    lambda registry: registry.tags(WEB),
    lambda registry: registry.mount(WEB, DIGEST, Repository("acme/api")),
)


def settings(port: int, *storage_hosts: str, user: str = "") -> RegistrySettings:
    """Return those of a registry that is on this machine, under its name."""
    return RegistrySettings(
        region=Region("iad"),
        url=f"http://localhost:{port}",
        user=user,
        password="beep" if user else "",
        storage_hosts=storage_hosts,
    )


async def test_no_redirect_leads_inward() -> None:
    """Nobody connects there for any read or upload, and nothing of it is returned."""
    there = ""
    async with (
        listening(lambda _: "200 OK") as neighbour,
        listening(lambda _: f"307 Temporary Redirect\r\nLocation: {there}") as evil,
        opened(settings(evil.port, user="robot")) as registry,
    ):
        for address in ADDRESSES:
            there = address.format(port=neighbour.port)
            for ask in ASKED:
                with pytest.raises(RegistryError):
                    await ask(registry)
            assert neighbour.asked == [], address

    tell("hostile addresses in redirects", tried=len(evil.asked), followed=0)
    assert len(evil.asked) >= len(ADDRESSES) * len(ASKED)


@pytest.mark.parametrize("user", ["", "robot"])
async def test_no_realm_and_no_link_lead_inward(user: str) -> None:
    """Neither to fetch a token, with our password or without, nor the next page."""
    there = ""

    def answer(line: str) -> str:
        if "_catalog" in line:
            return f'200 OK\r\nLink: <{there}?last=b>; rel="next"'
        return f'401 Unauthorized\r\nWWW-Authenticate: Bearer realm="{there}"'

    async with (
        listening(lambda _: "200 OK") as neighbour,
        listening(answer) as evil,
        opened(settings(evil.port, user=user)) as registry,
    ):
        for address in ADDRESSES:
            there = address.format(port=neighbour.port)
            for ask in ASKED:
                with suppress(RegistryError):
                    await ask(registry)
            assert neighbour.asked == [], address

    tell("hostile addresses in challenges and links", tried=len(evil.asked), followed=0)
    assert len(evil.asked) >= len(ADDRESSES) * len(ASKED)


async def test_configured_storage_is_gone_to_without_credentials() -> None:
    """Private storage is named; what it is asked holds nothing of who we are."""
    async with listening(lambda _: "200 OK") as storage:
        named = f"127.0.0.1:{storage.port}"
        there = f"307 Temporary Redirect\r\nLocation: http://{named}/bucket/x?sig=1"

        def answer(line: str) -> str:
            return there if "/blobs/" in line or "manifests" in line else "404 No"

        async with (
            listening(answer) as registry_side,
            opened(settings(registry_side.port, named)) as registry,
        ):
            client = registry.passing("Basic c2VjcmV0")
            assert await _blob(client) == BODY
            with pytest.raises(RegistryError, match="only blobs"):
                await client.manifest(WEB, Tag("v1"))

    assert "Basic c2VjcmV0" in registry_side.asked[0]
    assert [line.partition(" HTTP")[0] for line in storage.asked] == [
        "GET /bucket/x?sig=1"
    ]
    assert "authorization" not in storage.asked[0].lower()
    assert "cookie" not in storage.asked[0].lower()


async def test_relayed_reads_follow_a_registry_that_redirects() -> None:
    """It is asked once more the first time; storage hears nothing of who asks."""
    async with listening(lambda _: "200 OK") as storage:
        named = f"127.0.0.1:{storage.port}"
        there = f"307 Temporary Redirect\r\nLocation: http://{named}/bucket/x?sig=1"
        relayed = Relayed(
            "GET", f"/v2/{WEB}/blobs/{DIGEST}", {"Authorization": "Bearer theirs"}
        )
        async with (
            listening(lambda _: there) as registry_side,
            opened(settings(registry_side.port, named)) as registry,
        ):
            bodies = []
            for _ in range(2):
                response = await registry.relay(relayed)
                bodies.append(await response.aread())
                await response.aclose()

    assert bodies == [BODY, BODY]
    assert len(registry_side.asked) == 3
    assert all("Bearer theirs" in head for head in registry_side.asked)
    assert len(storage.asked) == 2
    assert not [head for head in storage.asked if "theirs" in head]


async def test_challenge_of_storage_is_not_the_registrys() -> None:
    """What a host demands that we were sent to, we neither give nor remember."""
    async with listening(
        lambda _: '401 No\r\nWWW-Authenticate: Basic realm="storage"'
    ) as storage:
        named = f"127.0.0.1:{storage.port}"
        there = f"307 Temporary Redirect\r\nLocation: http://{named}/bucket/x"
        async with (
            listening(
                lambda line: there if "/blobs/" in line else "200 OK"
            ) as registry_side,
            opened(settings(registry_side.port, named, user="robot")) as registry,
        ):
            with pytest.raises(RegistryRefusedError):
                await _blob(registry)
            await registry.reachable()

    told = [*storage.asked, *registry_side.asked]
    assert [len(storage.asked), len(registry_side.asked)] == [1, 2]
    assert not [head for head in told if "authorization" in head.lower()]


async def test_basic_authentication_ends_where_tokens_are_asked_for() -> None:
    """A registry that asks for the one and later for the other is believed."""
    async with listening(lambda _: "200 OK") as unused:
        chosen = settings(unused.port, user="robot")
    token = httpx.Response(200, json={"token": "abc"})
    transport = httpx.MockTransport(lambda _: token)
    async with httpx.AsyncClient(transport=transport) as http:
        own = Own(chosen, http)
        basic = await own.learned(['Basic realm="x"'], "s", None)
        sent_first = own.known("s")
        bearer = await own.learned([f'Bearer realm="{chosen.base}/t"'], "s", basic)
        sent_then = own.known("s")

    assert (basic or "").startswith("Basic ")
    assert sent_first == basic
    assert bearer == sent_then == "Bearer abc"


async def test_redirects_end() -> None:
    """A registry that redirects to itself for ever is given up."""
    async with (
        listening(lambda _: "302 Found\r\nLocation: /v2/again/blobs/x") as evil,
        opened(settings(evil.port)) as registry,
    ):
        with pytest.raises(RegistryError, match="more than 5"):
            await _blob(registry)

    assert len(evil.asked) == 6


def test_public_addresses_are_told_from_all_others() -> None:
    """Storage in a cloud is public; what a network keeps to itself is not."""
    public = ("8.8.8.8", "52.216.1.1", "2600:9000::1", "::ffff:8.8.8.8")
    inward = (
        "fe80::1%eth0",
        "fec0::1",
        "feff::1",
        "64:ff9b::808:808",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:ffff::808:808",
        "::ffff:0:127.0.0.1",
        "::ffff:0:8.8.8.8",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "2001:0:7f00:1::1",
        "2600:9000::5efe:7f00:1",
        "2600:9000::200:5efe:7f00:1",
        "3fff::1",
        "168.63.129.16",
        "::ffff:168.63.129.16",
        "192.0.0.192",
        "192.88.99.1",
        "100.100.100.200",
    )

    assert all(map(is_public, public))
    assert [each for each in inward if is_public(each)] == []


@pytest.mark.parametrize(
    ("asked", "there", "followed"),
    [
        ("blobs/x", "https://registry.example.com/v2/a/blobs/x", True),
        ("manifests/x", "https://registry.example.com/v2/a/manifests/y", True),
        ("blobs/x", "https://cdn.example.com/x", True),
        ("blobs/x", "https://registry.example.com:8443/x", True),
        ("blobs/x", "http://storage.example.com/x", True),
        ("blobs/x", "http://registry.example.com/v2/a/blobs/x", False),
        ("blobs/x", "http://registry.example.com:443/v2/a/blobs/x", False),
        ("blobs/x", "http://cdn.example.com/x", False),
        ("blobs/x", "ftp://registry.example.com:443/x", False),
        ("manifests/x", "http://registry.example.com:443/v2/a/manifests/x", False),
        ("manifests/x", "https://registry.example.com:8443/v2/a/blobs/x", False),
        ("manifests/x", "http://registry.example.com/v2/a/manifests/x", False),
    ],
)
async def test_no_redirect_gives_up_what_the_registry_is_reached_by(
    asked: str, there: str, *, followed: bool
) -> None:
    """Neither TLS, on its own host either, nor its address for all but blobs."""
    reached: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        reached.append(str(request.url))
        if len(reached) == 1:
            return httpx.Response(307, headers={"Location": there})
        return httpx.Response(200)

    chosen = RegistrySettings(
        region=Region("iad"),
        url="https://registry.example.com",
        storage_hosts=("storage.example.com",),
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        request = http.build_request("GET", f"{chosen.base}/v2/a/{asked}")
        if followed:
            assert (await sent(http, request, chosen)).status_code == 200
        else:
            with pytest.raises(RedirectRefusedError):
                await sent(http, request, chosen)

    assert (there in reached) == followed


def test_no_address_in_an_event_gets_into_the_log() -> None:
    """What a notification says of hosts and URLs is not even kept."""
    there = "http://169.254.169.254/latest"
    told = feeds(FeedSettings(region=Region("iad"), publisher=Name("agent/iad")))
    target = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": DIGEST,
        "size": 10,
        "repository": "acme/web",
        "url": f"{there}/v2/acme/web/manifests/{DIGEST}",
        "tag": "v1",
    }
    event = {
        "id": "e-1",
        "timestamp": "2026-08-01T10:00:00Z",
        "action": "push",
        "target": target,
        "request": {"id": "r", "host": there, "method": "PUT", "addr": there},
        "source": {"addr": there, "instanceID": there},
    }
    body = json.dumps({"events": [event]}).encode()

    translation = told["distribution"](body, {"ce-source": there})

    (found,) = translation.events
    assert b"169.254" not in encode_event(found).SerializeToString()
