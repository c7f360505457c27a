"""The real program, killed while it folds: nothing is lost, nothing counts twice."""

import asyncio
import os
import random
from pathlib import Path

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.client import PlacementClient
from placement.core.event import (
    ClientKind,
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    DurationNs,
    Event,
    Fact,
    Identifier,
    MachineStarted,
    MachineStopped,
)
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.topology import Region
from placement.runtime.replay import replay
from placement.wire.events import encode_event, encode_message
from tests.nats_server import NatsServer, newest_server
from tests.real_service import POLL_SECONDS, RealService, running

LONG = bool(os.environ.get("PLACEMENT_LONG"))
EVENT_COUNT = 20_000 if LONG else 2_000
BATCH_EVENTS = 40
KILL_COUNT = 200 if LONG else 4
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REGIONS = [Region(code) for code in ("iad", "syd", "fra", "lhr")]
QUICK_CHECKPOINTS = {
    "PLACEMENT_CHECKPOINT__MESSAGE_COUNT": "20",
    "PLACEMENT_CHECKPOINT__INTERVAL_SECONDS": "0.1",
}

PAGE_BYTES = 4_096


def events(count: int, seed: int) -> list[Event]:
    """Return seeded events of every common kind, with many repeats of few names."""
    chance = random.Random(seed)
    return [_event(number, chance) for number in range(count)]


def _event(number: int, chance: random.Random) -> Event:
    digest = Digest(f"sha256:{chance.randrange(2_000):064x}")
    repository = Repository(f"acme/app-{chance.randrange(40)}")
    size = int(digest[-4:], 16) + 1
    content = Descriptor(digest, MANIFEST, size)
    machine = Identifier(f"m{chance.randrange(900)}")
    kinds: list[Fact] = [
        ContentPushed(content, repository, Tag(f"v{chance.randrange(30)}")),
        ContentPulled(
            digest,
            repository,
            transferred_bytes=size,
            pull_duration_ns=DurationNs(10**9),
            client_kind=ClientKind.RUNTIME,
        ),
        MachineStarted(digest, repository, machine),
        MachineStopped(machine),
        ContentEvicted(repository, (digest,)),
    ]
    fact = chance.choices(kinds, weights=[6, 6, 5, 3, 1])[0]
    region = chance.choice(REGIONS)
    return Event(Identifier(f"e{number:06d}"), region, fact)


async def fill(log: JetStreamLog, what: list[Event], batch_events: int) -> None:
    """Store events in order, in messages of one region."""
    pending: list[Event] = []
    for event in what:
        if pending and (
            event.region != pending[0].region or len(pending) == batch_events
        ):
            await log.append(*encode_message(pending))
            pending = []
        pending.append(event)
    await log.append(*encode_message(pending))


async def undisturbed(server: NatsServer) -> tuple[int, str]:
    """Return the sequence and fingerprint of a fold that nothing interrupted."""
    log = await JetStreamLog.connect(server.settings)
    try:
        result = await replay(log)
    finally:
        await log.close()
    return result.sequence, result.fingerprint


async def reported(service: RealService) -> tuple[int, str]:
    """Return the sequence and fingerprint that the service says it is at."""
    async with PlacementClient(service.target, timeout_s=20) as client:
        info = await client.get_service_info(include_fingerprint=True)
    return info.basis.sequence, info.fingerprint


async def until_reading(service: RealService) -> None:
    """Return once the service, just started, reads the log."""
    seen = service.output().count('"log_reading"')
    while service.output().count('"log_reading"') == seen:
        assert service.runs, service.output()
        await asyncio.sleep(POLL_SECONDS)


def service_on(server: NatsServer, directory: Path) -> RealService:
    """Return a service that folds the log of *server* and saves all the time."""
    return RealService(directory, ("--nats-url", server.url), QUICK_CHECKPOINTS)


@pytest.mark.timeout(600 + 6 * KILL_COUNT)
async def test_killed_service_folds_to_the_same_state(tmp_path: Path) -> None:
    """Killed at random points of its fold, it ends where an undisturbed one does."""
    server = NatsServer(newest_server(), tmp_path / "nats")
    server.start()
    try:
        log = await JetStreamLog.connect(server.settings)
        service = service_on(server, tmp_path / "service")
        chance = random.Random(2)
        every = events(EVENT_COUNT, 1)
        share = EVENT_COUNT // KILL_COUNT

        for first in range(0, EVENT_COUNT, share):
            service.start()
            await until_reading(service)
            part = every[first : first + share]
            writing = asyncio.create_task(fill(log, part, BATCH_EVENTS))
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            service.kill()
            await writing
        await log.close()

        service.start()
        service.wait_until_serving()  # in which time it has saved, however slow it is
        service.kill()
        with running(service):
            assert await reported(service) == await undisturbed(server)
        assert service.output().count("checkpoint_loaded") > LONG * KILL_COUNT // 2
    finally:
        server.kill()


async def test_events_stored_again_change_nothing(tmp_path: Path) -> None:
    """Repeats that the broker does not recognise are recognised by the fold."""
    server = NatsServer(newest_server(), tmp_path / "nats")
    server.start()
    try:
        log = await JetStreamLog.connect(server.settings)
        once = events(800, 3)
        await fill(log, once, 40)
        before = await undisturbed(server)

        await fill(log, once, 40)
        same_messages = await undisturbed(server)
        await fill(log, once, 1)
        other_messages = await undisturbed(server)
        await log.close()

        assert same_messages == before
        assert other_messages[0] > before[0]
        assert other_messages[1] == before[1]
    finally:
        server.kill()


def flip_bits(file: Path) -> None:
    """Damage the middle of each page of *file*: some hold nothing any more."""
    body = bytearray(file.read_bytes())
    for middle in range(PAGE_BYTES // 2, len(body), PAGE_BYTES):
        body[middle] ^= 0x10
    file.write_bytes(body)


async def an_older_generation(service: RealService) -> None:
    """Return once there is a copy of the checkpoint to fall back to."""
    async with asyncio.timeout(30):
        while not (service.data_dir / "checkpoint.1.sqlite").exists():  # noqa: ASYNC110 - a file of another process
            await asyncio.sleep(0.05)


@pytest.mark.long
async def test_damaged_checkpoint_is_refused_and_rebuilt(tmp_path: Path) -> None:
    """A flipped bit is noticed at the start, said, put aside and made good.

    By the older generation and the log; with that one damaged too, by the log alone.
    """
    server = NatsServer(newest_server(), tmp_path / "nats")
    server.start()
    try:
        log = await JetStreamLog.connect(server.settings)
        await fill(log, events(800, 4), 40)
        await log.close()
        service = service_on(server, tmp_path / "service")
        with running(service):
            await an_older_generation(service)
            service.stop()
        flip_bits(service.data_dir / "checkpoint.sqlite")
        with running(service):
            assert await reported(service) == await undisturbed(server)
            service.stop()
        assert "checkpoint_fell_back" in service.output()
        assert "checkpoint_refused" not in service.output()
        for file in service.data_dir.glob("checkpoint*.sqlite"):
            flip_bits(file)

        with running(service):
            assert await reported(service) == await undisturbed(server)

        assert "checkpoint_refused" in service.output()
        assert list(service.data_dir.glob("*damaged*"))
    finally:
        server.kill()


async def test_own_broker_and_state_survive_a_kill(tmp_path: Path) -> None:
    """With the embedded broker too, what was acknowledged is there after a kill."""
    service = RealService(tmp_path / "service")
    with running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            stored = await client.publish_events(
                [encode_event(event) for event in events(400, 5)]
            )

    with running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            info = await client.get_service_info()

    assert all(result.outcome == 1 for result in stored.results)
    assert info.counts.folded_count == 400
