"""The real program when its disk or its own code fails: exit codes, and what is kept.

Figures of a run: ``pytest -rP tests/e2e/test_process_faults.py``.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from placement.client import PlacementClient
from placement.runtime.watchdog import BLOCKED_EXIT_CODE
from placement.v1 import basis_pb2
from tests.e2e.test_broker import until_state
from tests.e2e.test_broker_kills import push
from tests.e2e.test_kill import reported, undisturbed
from tests.e2e.test_store_rollback import publish, store
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server
from tests.real_service import POLL_SECONDS, RealService, running

FLUSH_EXIT_CODE = 70
EXIT_SECONDS_MAX = 30.0
DEGRADED, LIVE = basis_pb2.SERVING_STATE_DEGRADED, basis_pb2.SERVING_STATE_LIVE
DISK_BYTES = 6 * 1024**2
QUICK_SAVES = {"PLACEMENT_CHECKPOINT__INTERVAL_SECONDS": "0.2"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Run a broker of our own for the test."""
    broker = NatsServer(newest_server(), tmp_path / "nats")
    broker.start()
    yield broker
    broker.kill()


async def ended(service: RealService) -> int:
    """Return the exit code of a service that ends by itself."""
    return await asyncio.to_thread(service.wait, EXIT_SECONDS_MAX)


async def test_fold_that_stands_still_ends_the_service(
    server: NatsServer, tmp_path: Path
) -> None:
    """The watchdog ends it, with every stack; the next process folds on."""
    stalled = {"PLACEMENT_FAULT_POINTS": "after_decode=stall:2"}
    service = RealService(tmp_path / "service", ("--nats-url", server.url), stalled)
    with running(service):
        await store(server, "e", 3)
        began = time.monotonic()
        code = await ended(service)
        ended_s = time.monotonic() - began
    service.settings = {}

    with running(service):
        back_s = time.monotonic() - began
        found = await reported(service)

    tell("fold that stands still", ended_s=ended_s, serving_again_s=back_s)
    assert code == BLOCKED_EXIT_CODE
    assert '"event": "loop_blocked"' in service.output()
    assert "in reach" in service.output()  # the stack of what stood still
    assert found == await undisturbed(server)
    assert back_s < EXIT_SECONDS_MAX


@pytest.mark.parametrize(
    "when", [6, *(pytest.param(when, marks=pytest.mark.long) for when in (9, 14))]
)
async def test_failed_flush_ends_the_service(
    server: NatsServer, tmp_path: Path, when: int
) -> None:
    """One fdatasync fails: exit 70, no second try, and the next process is whole."""
    fault = (
        *("strace", "-D", "-f", "-qq", "-o", "/dev/null"),
        *("-e", "trace=fdatasync", "-e"),
        f"inject=fdatasync:error=EIO:when={when}",
    )
    if (
        not shutil.which("strace")
        or subprocess.run(["strace", "-qq", "true"], check=False).returncode  # noqa: ASYNC221 - at the start
    ):
        pytest.skip(
            "strace, which makes the flush fail, is missing or may not trace here"
        )
    service = RealService(tmp_path / "service", ("--nats-url", server.url), QUICK_SAVES)
    service.prefix = fault
    with running(service):
        for number in range(100):
            if not service.runs:
                break
            await store(server, f"round-{number}", 3)
            await asyncio.sleep(0.25)
        code = await ended(service)
    service.prefix = ()

    with running(service):
        found = await reported(service)

    assert code == FLUSH_EXIT_CODE, service.output()
    assert found == await undisturbed(server)


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Mount a disk of DISK_BYTES at *place* within the block; skips where none can."""
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("a full disk is a small tmpfs, and this user may mount none here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(file: Path) -> None:
    """Write *file* until its disk is full to the last byte."""
    with file.open("wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(4096)):
                pass
        except OSError:
            return


@pytest.mark.long
async def test_full_disk_is_told_and_survived(
    server: NatsServer, tmp_path: Path
) -> None:
    """DEGRADED while nothing can be saved; answers and folding go on; then LIVE."""
    service = RealService(tmp_path / "service", ("--nats-url", server.url), QUICK_SAVES)
    ballast = service.data_dir / "ballast"
    with small_disk(service.data_dir), running(service):
        async with PlacementClient(service.target, timeout_s=10) as client:
            await publish(client, "before", 5)
            await asyncio.sleep(1.0)  # saved
            fill(ballast)
            publishing = asyncio.create_task(publish_until(client, "full"))
            degraded_s = await until_state(client, DEGRADED, within_s=10)
            await publish(client, "meanwhile", 5)
            publishing.cancel()
            await asyncio.wait({publishing})
            ballast.unlink()
            recovered_s = await until_state(client, LIVE, within_s=10)
            await publish(client, "after", 5)
            found = await reported(service)
        service.kill()
        service.start()
        service.wait_until_serving()
        again = await reported(service)

    tell("full disk", degraded_after_s=degraded_s, live_after_s=recovered_s)
    assert found == again == await undisturbed(server)
    assert "checkpoint_refused" not in service.output()


async def publish_until(client: PlacementClient, name: str) -> None:
    """Publish until cancelled, so that there is something to save."""
    number = 0
    while True:
        number += 1
        await client.publish_events([push(f"{name}-{number}")])
        await asyncio.sleep(POLL_SECONDS)
