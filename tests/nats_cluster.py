"""Three real nats-servers as one cluster on loopback, each of which may be killed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import nats.errors
from nats.aio.client import Client

from placement.adapters.jetstream.settings import STREAM
from tests.nats_server import NatsServer
from tests.ports import free_port

SIZE: Final = 3
READY_SECONDS_MAX: Final = 60.0
API_SECONDS: Final = 1
POLL_SECONDS: Final = 0.1
CLUSTER: Final = "c"

Through = Callable[[int, int, int], int]
"""What port server *a* dials to reach the routes of *b* at a port: (a, b, port)."""


def directly(_server: int, _other: int, port: int) -> int:
    """Return *port*: no link lies between the servers."""
    return port


class NatsCluster:
    """The servers ``n0`` to ``n2``, any of which may be away."""

    def __init__(
        self,
        binary: Path,
        directory: Path,
        through: Through = directly,
        release: str = "newest",
    ) -> None:
        """Do not run yet; each server dials the others *through* what that says."""
        self.release = release
        ports = [free_port() for _ in range(SIZE)]
        nowhere = free_port()
        self.servers = []
        directory.mkdir(exist_ok=True)
        for number, port in enumerate(ports):
            routes = ", ".join(
                f'"nats://127.0.0.1:{through(number, other, there)}"'
                for other, there in enumerate(ports)
                if other != number
            )
            # Nobody may learn of an address that leads past the links.
            gossip = f'advertise: "127.0.0.1:{nowhere}"' * (through is not directly)
            server = NatsServer(
                binary,
                directory / f"n{number}",
                f"server_name: n{number}\n"
                f'cluster {{ name: {CLUSTER}, listen: "127.0.0.1:{port}"\n'
                f"no_advertise: true\n{gossip}\nroutes: [{routes}] }}",
            )
            self.servers.append(server)

    @property
    def url(self) -> str:
        """Where they listen, as ``nats.url`` takes it."""
        return ",".join(server.url for server in self.servers)

    def start(self) -> None:
        """Run all of them."""
        for server in self.servers:
            server.start()

    def kill(self) -> None:
        """End all of them."""
        for server in self.servers:
            server.kill()

    async def api(self, name: str, number: int | None = None) -> Any:  # noqa: ANN401 - a JSON document
        """Return what JetStream answers to *name*, at server *number* or at any."""
        asked = self.servers if number is None else [self.servers[number]]
        client = Client()
        await client.connect(
            [server.url for server in asked],
            allow_reconnect=False,
            connect_timeout=API_SECONDS,
        )
        try:
            answer = await client.request(f"$JS.API.{name}", timeout=API_SECONDS)
        finally:
            await client.close()
        return json.loads(answer.data)

    async def leader(self, stream: str = STREAM, *, whole: bool = False) -> int:
        """Return which server leads *stream*, waiting until one does.

        *whole*: and until every copy has all that is stored.
        """
        ends = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                found = (await self.api(f"STREAM.INFO.{stream}")).get("cluster", {})
            except (nats.errors.Error, OSError, TimeoutError):
                found = {}
            copies = found.get("replicas", [])
            fit = len(copies) == SIZE - 1 and all(one["current"] for one in copies)
            if found.get("leader") and (fit or not whole):
                return int(found["leader"][1:])
            assert time.monotonic() < ends, found
            await asyncio.sleep(POLL_SECONDS)

    async def ready(self) -> None:
        """Return once streams can be made with a copy on each server."""
        ends = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                listed = await self.api("INFO")
                if "error" not in listed and await self._formed():
                    return
            except (nats.errors.Error, OSError, TimeoutError):
                pass
            assert time.monotonic() < ends
            await asyncio.sleep(POLL_SECONDS)

    async def _formed(self) -> bool:
        """Say whether a stream with a copy everywhere could be made, by making one."""
        made = await self._make("FORMED")
        await self.api("STREAM.DELETE.FORMED")
        return made

    async def _make(self, name: str) -> bool:
        client = Client()
        await client.connect(self.url.split(","), allow_reconnect=False)
        wanted = {"name": name, "subjects": [name], "num_replicas": SIZE}
        try:
            answer = await client.request(
                f"$JS.API.STREAM.CREATE.{name}", json.dumps(wanted).encode(), timeout=5
            )
        finally:
            await client.close()
        return "error" not in json.loads(answer.data)


@asynccontextmanager
async def running_cluster(cluster: NatsCluster) -> AsyncIterator[NatsCluster]:
    """Run *cluster* within the block; it can store when the block begins."""
    with ExitStack() as stack:
        stack.callback(cluster.kill)
        await asyncio.to_thread(cluster.start)
        await cluster.ready()
        yield cluster
