"""Real NATS servers for the integration tests, which end with the test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from tests.nats_server import NatsServer, StartServer, newest_server


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[StartServer]:
    """Yield a function that starts one server."""
    servers: list[NatsServer] = []

    def start(extra: str = "") -> NatsServer:
        """Start it and remember it."""
        server = NatsServer(newest_server(), tmp_path / "nats", extra)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def nats(start_nats: StartServer) -> NatsServer:
    """Return a running server without a stream."""
    return start_nats()


@pytest.fixture
async def nats_log(nats: NatsServer) -> AsyncIterator[JetStreamLog]:
    """Yield a log in that server."""
    opened = await JetStreamLog.connect(nats.settings)
    yield opened
    await opened.close()
