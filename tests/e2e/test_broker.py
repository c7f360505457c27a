"""The real program while its log is away, replaced, or being written to at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.client import PlacementClient
from placement.v1 import basis_pb2, events_pb2
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.real_service import POLL_SECONDS, RealService, running

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
STATES = basis_pb2.ServingState


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    broker.start()
    yield broker
    broker.kill()


def push(name: str, number: int) -> events_pb2.Event:
    """Return the push of another digest as acme/web:v1 in iad."""
    digest = f"sha256:{number:064x}"
    return events_pb2.Event(
        event_id=name,
        region="iad",
        content_pushed=events_pb2.ContentPushed(
            content=events_pb2.Descriptor(
                media_type=MANIFEST, digest=digest, size_bytes=100 + number
            ),
            repository="acme/web",
            tag="v1",
        ),
    )


async def until_state(
    client: PlacementClient, wanted: basis_pb2.ServingState.ValueType, within_s: float
) -> float:
    """Return how many seconds it took until answers said *wanted*."""
    began = time.monotonic()
    while True:
        info = await client.get_service_info()
        waited = time.monotonic() - began
        if info.basis.state == wanted:
            return waited
        assert waited < within_s, STATES.Name(info.basis.state)
        await asyncio.sleep(POLL_SECONDS)


async def test_answers_go_on_without_the_broker(
    server: NatsServer, tmp_path: Path
) -> None:
    """With the broker gone answers say STALE; back again, folding goes on in 3 s."""
    service = RealService(tmp_path / "service", ("--nats-url", server.url))
    with running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            stored = await client.publish_events([push("a", 1)])
            await client.resolve_reference("acme/web", "v1", token=stored.token)

            server.kill()
            await until_state(client, STATES.SERVING_STATE_STALE, within_s=6)
            resolved = await client.resolve_reference("acme/web", "v1")
            assert resolved.basis.state == STATES.SERVING_STATE_STALE
            assert resolved.content.digest.endswith("01")

            server.start()
            back = time.monotonic()
            log = await JetStreamLog.connect(server.settings)
            body = push("b", 2).SerializeToString()
            await log.append("placement.events.v1.iad.content_pushed", body, "b")
            while True:
                resolved = await client.resolve_reference("acme/web", "v1")
                if resolved.content.digest.endswith("02"):
                    break
                assert time.monotonic() - back < 3, service.output()
                await asyncio.sleep(POLL_SECONDS)
            await until_state(client, STATES.SERVING_STATE_LIVE, within_s=3)
            await log.close()


async def test_replaced_stream_is_noticed_and_said(
    server: NatsServer, tmp_path: Path
) -> None:
    """A stream that was deleted and made anew breaks the epoch within 5 s."""
    service = RealService(tmp_path / "service", ("--nats-url", server.url))
    with running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            stored = await client.publish_events([push("a", 1), push("b", 2)])
            before = await client.resolve_reference(
                "acme/web", "v1", token=stored.token
            )
            settings = server.settings

            connection = await nats.connect(server.url)
            manager = connection.jsm()
            await manager.delete_stream(settings.stream)
            await connection.close()
            made_anew = await JetStreamLog.connect(settings)
            noticed_s = await until_state(
                client, STATES.SERVING_STATE_EPOCH_BROKEN, within_s=5
            )
            tell("replaced stream", noticed_s=noticed_s)

            after = await client.resolve_reference("acme/web", "v1")
            assert after.content.digest == before.content.digest
            assert after.basis.epoch == before.basis.epoch
            assert "epoch_broken" in service.output()
            await made_anew.close()
        service.stop()

    with running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            info = await client.get_service_info()

            assert info.basis.epoch != before.basis.epoch
            assert info.counts.folded_count == 0
            assert "checkpoint_refused" in service.output()


async def test_moved_tag_resolves_to_its_new_digest_at_once(
    server: NatsServer, tmp_path: Path
) -> None:
    """Who publishes a move and asks with its token never sees the old digest."""
    service = RealService(tmp_path / "service", ("--nats-url", server.url))
    with running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            for number in range(200):
                stored = await client.publish_events([push(f"e{number}", number)])
                resolved = await client.resolve_reference(
                    "acme/web", "v1", token=stored.token
                )

                assert resolved.content.digest == f"sha256:{number:064x}"
                assert resolved.basis.state == STATES.SERVING_STATE_LIVE


async def test_two_services_on_one_log_reach_one_state(
    server: NatsServer, tmp_path: Path
) -> None:
    """Each service folds the whole log; their fingerprints agree."""
    services = [
        RealService(tmp_path / name, ("--nats-url", server.url)) for name in "ab"
    ]
    with running(services[0]), running(services[1]):
        async with (
            PlacementClient(services[0].target, timeout_s=10) as one,
            PlacementClient(services[1].target, timeout_s=10) as other,
        ):
            pushes = [push(f"e{number}", number) for number in range(300)]
            stored = await one.publish_events(pushes)
            await other.resolve_reference("acme/web", "v1", token=stored.token)
            infos = [
                await client.get_service_info(include_fingerprint=True)
                for client in (one, other)
            ]

            assert infos[0].fingerprint == infos[1].fingerprint
            assert infos[0].basis.sequence == infos[1].basis.sequence
