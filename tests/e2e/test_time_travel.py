"""The past of real services: the same for two, and after all that may happen."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from placement.client import PlacementCallError, PlacementClient
from placement.v1 import basis_pb2, placement_service_pb2
from tests.e2e.test_broker_kills import push
from tests.nats_server import NatsServer, newest_server
from tests.real_service import POLL_SECONDS, RealService, running

KEPT, LOST = 10, 4
PATIENCE_S = 30.0
OFTEN = {
    "PLACEMENT_CHECKPOINT__INTERVAL_SECONDS": "0.1",
    "PLACEMENT_CHECKPOINT__GENERATION_COUNT": "2",
    "PLACEMENT_CHECKPOINT__GENERATION_INTERVAL_SECONDS": "1",
}
LIVE = basis_pb2.SERVING_STATE_LIVE


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    broker.start()
    yield broker
    broker.kill()


async def past(client: PlacementClient, last: int) -> list[bytes]:
    """Return where everything was after each message, as the answers travel."""
    found = []
    for sequence in range(1, last + 1):
        page = await client.list_replicas_page(as_of=sequence)
        assert page.basis.state == basis_pb2.SERVING_STATE_PAST
        assert (page.basis.sequence, len(page.replicas)) == (sequence, sequence)
        found.append(page.SerializeToString(deterministic=True))
    return found


async def refusal(client: PlacementClient, sequence: int) -> PlacementCallError:
    """Return why *sequence* cannot be asked about."""
    with pytest.raises(PlacementCallError) as raised:
        await client.list_replicas_page(as_of=sequence)
    return raised.value


async def publish(client: PlacementClient, name: str, count: int) -> None:
    """Publish *count* events, each a message, in some seconds, and see them count."""
    for number in range(count):
        stored = await client.publish_events([push(f"{name}-{number}")])
        await asyncio.sleep(0.3)
    await client.resolve_reference(
        "acme/web", f"{name}-{count - 1}", token=stored.token
    )


async def until_epoch_is_another(client: PlacementClient, epoch: str) -> str:
    """Return the new name of the log, once it is folded."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        basis = (await client.get_service_info()).basis
        if basis.epoch != epoch and basis.state == LIVE:
            return basis.epoch
        assert time.monotonic() < ends
        await asyncio.sleep(POLL_SECONDS)


def in_epoch(body: bytes, epoch: str) -> bytes:
    """Return a page as it would be of another life of its log."""
    page = placement_service_pb2.ListReplicasResponse.FromString(body)
    page.basis.token = page.basis.token.replace(page.basis.epoch, epoch)
    page.basis.epoch = epoch
    return page.SerializeToString(deterministic=True)


@pytest.mark.long
async def test_past_outlives_kills_and_rewinds(
    server: NatsServer, tmp_path: Path
) -> None:
    """Two services tell the same bytes, however they come to them.

    One is killed and started again. Then the log loses its end: what was before is as
    it was, of the new epoch, and what comes after has not come yet.
    """
    first, second = (
        RealService(tmp_path / name, ("--nats-url", server.url), OFTEN)
        for name in ("first", "second")
    )
    async with AsyncExitStack() as stack:
        clients = []
        for service in (first, second):
            stack.enter_context(running(service))
            client = PlacementClient(service.target, timeout_s=PATIENCE_S)
            clients.append(await stack.enter_async_context(client))
        one, other = clients
        await publish(one, "kept", KEPT)
        told = await past(one, KEPT)
        assert await past(other, KEPT) == told

        first.kill()
        first.start()
        first.wait_until_serving()
        assert await past(one, KEPT) == told

        server.stop()
        server.keep_store()
        server.start()
        await publish(one, "lost", LOST)
        assert len(await past(one, KEPT + LOST)) == KEPT + LOST
        epoch = (await one.get_service_info()).basis.epoch
        server.kill()
        server.put_store_back()
        server.start()
        anew = await until_epoch_is_another(one, epoch)
        assert await past(one, KEPT) == [in_epoch(body, anew) for body in told]
        assert (await refusal(one, KEPT + 1)).reason == "AS_OF_AHEAD"

    assert list((first.data_dir / "past").glob("*.sqlite"))
