"""A new service that begins from a peer's checkpoint, with real processes and a log."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from tests.bootstrapping import (
    ended,
    fill,
    require_equal,
    service,
    serving,
    told,
)
from tests.nats_server import NatsServer, newest_server
from tests.real_service import RealService

EVENTS = 3_000
KILLED = -9


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    await asyncio.to_thread(broker.start)
    yield broker
    broker.kill()


@pytest.fixture
async def log(server: NatsServer) -> AsyncIterator[JetStreamLog]:
    """Reach its log."""
    opened = await JetStreamLog.connect(server.settings)
    yield opened
    await opened.close()


@pytest.fixture
async def peer(
    server: NatsServer, log: JetStreamLog, tmp_path: Path
) -> AsyncIterator[RealService]:
    """Run a service that has folded some thousand events."""
    await fill(log, EVENTS)
    running = service(server.url, tmp_path / "peer")
    try:
        yield await serving(running)
    finally:
        running.kill()


async def test_new_service_begins_from_the_peers_checkpoint_and_folds_the_tail(
    server: NatsServer, log: JetStreamLog, tmp_path: Path, peer: RealService
) -> None:
    """Killed amid adopting, its next run does, and then folds what follows."""
    new = service(server.url, tmp_path / "new", peer, faults="amid_adopted=kill")
    try:
        await asyncio.to_thread(new.start)
        assert await ended(new) == KILLED
        new.settings["PLACEMENT_FAULT_POINTS"] = ""
        await serving(new)
        [adopted] = told(new, "bootstrap_adopted")
        await fill(log, 500, first=EVENTS)

        expected = await require_equal(log, peer, new)

        assert adopted["sequence"] == EVENTS // 100
        assert expected.sequence == EVENTS // 100 + 5
        assert not list((tmp_path / "new" / "data").glob("*incoming*"))
        assert not told(new, "checkpoint_refused")
    finally:
        new.kill()


def url_of(peer: RealService) -> str:
    """Return where the log of *peer* is."""
    return peer.arguments[1]


@dataclass(frozen=True)
class Kill:
    """Where a service that takes over ends, and what the next process finds."""

    point: str
    left: str


@pytest.mark.long
@pytest.mark.parametrize(
    "kill",
    [
        Kill("amid_adopted", "nothing"),
        Kill("after_chunks_kept", "chunks"),
        Kill("before_adopted", "nothing"),
        Kill("after_adopted", "all"),
    ],
    ids=lambda kill: kill.point,
)
async def test_service_killed_while_it_takes_over_begins_whole(
    log: JetStreamLog, tmp_path: Path, peer: RealService, kill: Kill
) -> None:
    """Killed at each step, the next process has nothing, or a whole checkpoint."""
    new = service(url_of(peer), tmp_path / "new", peer, faults=f"{kill.point}=kill")
    try:
        await asyncio.to_thread(new.start)
        assert await ended(new) == KILLED
        new.settings["PLACEMENT_FAULT_POINTS"] = ""

        await serving(new)

        await require_equal(log, new)
        adopted = told(new, "bootstrap_adopted")
        if kill.left == "all":
            assert not adopted, "it was adopted before"
        else:
            anew = adopted[0]["received_bytes"] == adopted[0]["bytes"]
            assert anew is (kill.left == "nothing")
        assert not told(new, "checkpoint_refused")
    finally:
        new.kill()


@pytest.mark.long
async def test_without_a_peer_that_answers_the_log_is_folded(
    server: NatsServer, log: JetStreamLog, tmp_path: Path
) -> None:
    """It never ends worse than without peers, and says whom it asked."""
    await fill(log, 300)
    new = service(server.url, tmp_path / "new", "127.0.0.1:1")
    try:
        await serving(new)

        await require_equal(log, new)
        assert told(new, "bootstrap_broke")[0]["peer"] == "127.0.0.1:1"
        assert told(new, "bootstrap_ended")
    finally:
        new.kill()


@pytest.mark.long
async def test_peer_of_another_log_is_refused_and_the_next_one_taken(
    server: NatsServer, log: JetStreamLog, tmp_path: Path, peer: RealService
) -> None:
    """What a service on another log offers is named, and none of it is kept."""
    other_server = NatsServer(newest_server(), tmp_path / "other-nats")
    await asyncio.to_thread(other_server.start)
    other_log = await JetStreamLog.connect(other_server.settings)
    other = service(other_server.url, tmp_path / "other")
    new = service(server.url, tmp_path / "new", other, peer)
    try:
        await fill(other_log, 500)
        await serving(other)
        new = service(server.url, tmp_path / "new", other, peer)

        await serving(new)

        [refused] = told(new, "bootstrap_refused")
        assert refused["peer"] == other.target
        assert "epoch" in refused["reason"]
        assert told(new, "bootstrap_adopted")
        await require_equal(log, new)
    finally:
        new.kill()
        other.kill()
        await other_log.close()
        other_server.kill()
