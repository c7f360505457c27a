"""How a simulated agent is spoken to: ASGI, without a network."""

import asyncio
import hashlib
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from placement.agent.receiver import Receiver
from placement.agent.registry.errors import RegistryError
from placement.agent.router.router import Router
from placement.core.oci import Digest
from tests.simulator.shelf import CLIENT


def has_routers(seed: int) -> bool:
    """Say whether anybody pulls through the routers of a world: it is slow."""
    return seed % 9 in {1, 2}


@dataclass
class Got:
    """What came of a request, as far as it came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False

    def is_of(self, digest: Digest) -> bool:
        """Say whether its bytes are those of *digest*."""
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}" == digest

    async def take(self, message: MutableMapping[str, Any]) -> None:
        """Take in what the router sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            pairs = message["headers"]
            self.headers = {name.decode(): value.decode() for name, value in pairs}
            return
        self.body += message.get("body", b"")
        self.is_whole = not message.get("more_body", False)


async def got_of(router: Router, path: str) -> Got:
    """Return how *router* answers a GET of *path*, by a client that waits for all."""

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()  # nobody leaves
        raise AssertionError

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"user-agent", CLIENT.encode())],
        "path_params": {},
        "server": ("router", 80),
        "scheme": "http",
    }
    got = Got()
    try:
        response = await router.answer(Request(scope, receive))
        await response(scope, receive, got.take)
    except RegistryError:
        got.is_whole = False  # the connection broke, for the client to see
    return got


async def answered(receiver: Receiver, body: bytes) -> int:
    """Return how *receiver* answers a post of *body*."""

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    request = Request({**scope, "path_params": {}, "query_string": b""}, receive)
    return (await receiver.notifications(request)).status_code
