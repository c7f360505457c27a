"""The event logs that the contract suite runs over."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from placement.adapters.broker.binary import server_version
from placement.adapters.jetstream.expecting import PATTERNS_SINCE
from placement.adapters.jetstream.log import JetStreamLog
from tests.contract.event_logs import (
    MemorySubject,
    NatsSubject,
    SimulatedSubject,
    Subject,
)
from tests.nats_server import DEBIAN_SERVER, NatsServer, newest_server


@pytest.fixture(params=["memory", "simulated", "nats_newest", "nats_debian"])
async def subject(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Subject]:
    """Yield an empty event log of each kind; all must keep the same promises."""
    if request.param in {"memory", "simulated"}:
        simulated = request.param == "simulated"
        twin = await SimulatedSubject.empty() if simulated else MemorySubject()
        yield twin
        await twin.log.close()
        return
    if request.param == "nats_debian" and not DEBIAN_SERVER.exists():
        pytest.skip(f"{DEBIAN_SERVER} is not installed: apt-get install nats-server")
    newest = request.param == "nats_newest"
    binary = newest_server() if newest else DEBIAN_SERVER
    atomic = server_version(binary) >= PATTERNS_SINCE
    server = NatsServer(binary, tmp_path / "nats")
    server.start()
    try:
        log = await JetStreamLog.connect(server.settings)
        try:
            yield NatsSubject(server, log, atomic=atomic)
        finally:
            await log.close()
    finally:
        server.kill()
