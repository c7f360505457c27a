"""What of a push is passed on to a registry, over connections that all share."""

from collections import Counter
from typing import Any, Final, cast

import httpx
import pytest
from starlette.requests import Request

from placement.agent.registry.client import Registry
from placement.agent.registry.relaying import Relayed
from placement.agent.registry.settings import RegistrySettings
from placement.agent.router.asking import Asker
from placement.agent.router.places import Places
from placement.agent.router.pushes import Pushes
from placement.agent.router.tags import Tags
from placement.core.oci import Tag
from placement.core.topology import Region
from tests.builders import IAD, WEB

BODY: Final = b"123456"
SAID: Final = {
    "Host": "router.example.com",
    "Authorization": "Basic eA==",
    "Content-Type": "a/b",
    "Connection": "close, X-Hop",
    "X-Hop": "1",
    "TE": "trailers",
    "Upgrade": "h2c",
    "Expect": "100-continue",
    "Keep-Alive": "timeout=5",
    "Proxy-Authorization": "Basic eQ==",
}


class Kept:
    """A registry that takes everything, and keeps what it was sent."""

    settings = RegistrySettings(region=IAD, url="http://127.0.0.1:1")

    def __init__(self) -> None:
        """Hold nothing."""
        self.relayed: list[Relayed] = []
        self.bodies: list[bytes] = []

    async def relay(self, relayed: Relayed) -> httpx.Response:
        """Answer 202."""
        content = relayed.content
        if content is not None and not isinstance(content, bytes):
            content = b"".join([chunk async for chunk in content])
        self.relayed.append(relayed)
        self.bodies.append(content or b"")
        request = httpx.Request(relayed.method, "http://127.0.0.1:1")
        return httpx.Response(202, request=request, stream=httpx.ByteStream(b""))


class Targets:
    """One place to push to."""

    def push_targets(self, repository: str) -> list[Region]:
        """Return it."""
        del repository
        return [IAD]

    def pushed(self, *_: object) -> None:
        """Remember nothing."""


def asked(method: str, **more: str) -> Request:
    """Return a client's request with a body, as a server gives it to us."""
    headers = SAID | {name.replace("_", "-"): value for name, value in more.items()}
    scope = {
        "type": "http",
        "method": method,
        "path": f"/v2/{WEB}/blobs/uploads/1",
        "query_string": b"",
        "headers": [(n.lower().encode(), v.encode()) for n, v in headers.items()],
        "scheme": "http",
        "server": ("router.example.com", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    return Request(scope, receive)


@pytest.fixture
def registry() -> Kept:
    """A registry of iad."""
    return Kept()


@pytest.fixture
def pushes(registry: Kept) -> Pushes:
    """What passes pushes on to it."""
    return Pushes(
        cast("Places", Targets()),
        {IAD: cast("Registry", registry)},
        cast("Asker", None),
        cast("Tags", None),
        Counter(),
    )


LENGTH = {"Content_Length": str(len(BODY))}
CHUNKED = {"Transfer_Encoding": "chunked"}


@pytest.mark.parametrize(
    ("method", "said", "length", "body"),
    [
        ("DELETE", LENGTH, None, b""),
        ("GET", LENGTH, None, b""),
        ("GET", CHUNKED | LENGTH, None, b""),
        ("PATCH", LENGTH, "6", BODY),
        ("PATCH", CHUNKED, None, BODY),
        ("PATCH", CHUNKED | LENGTH, None, BODY),
        ("PUT", {"Content_Length": "0"}, None, b""),
        ("PUT", CHUNKED | {"Content_Length": "0"}, None, BODY),
        ("PUT", {}, None, b""),
        ("POST", {"Content_Length": "0"}, None, b""),
        ("POST", CHUNKED | LENGTH, None, BODY),
        ("POST", LENGTH, "6", BODY),
    ],
)
async def test_length_is_passed_on_with_the_body_that_it_is_of(  # noqa: PLR0913, PLR0917 - a table
    pushes: Pushes,
    registry: Kept,
    method: str,
    said: dict[str, str],
    length: str | None,
    body: bytes,
) -> None:
    """Nothing else that is between the client and us goes on to the registry."""
    request = asked(method, **said)
    if method == "POST":
        await pushes.begin(request, WEB)
    elif method == "DELETE":
        await pushes.delete(request, WEB)
    else:
        await pushes.go_on(request, WEB)

    [relayed] = registry.relayed
    assert relayed.headers.get("Content-Length") == length
    assert set(relayed.headers) <= {"Authorization", "Content-Type", "Content-Length"}
    assert registry.bodies == [body]


async def test_manifest_is_of_the_length_that_it_has(
    pushes: Pushes, registry: Kept
) -> None:
    """It was read as a whole: what the client said of it is of no account."""
    said = {"Transfer_Encoding": "chunked", "Content_Length": "60"}

    await pushes.manifest(asked("PUT", **said), WEB, Tag("v1"))

    assert registry.bodies == [BODY]
    assert "Content-Length" not in registry.relayed[0].headers
