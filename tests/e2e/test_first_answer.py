"""How soon a service that was killed answers again, its broker away too.

Figures of a run: ``pytest -rP tests/e2e/test_first_answer.py``.
"""

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.client import PlacementClient
from placement.core.chunks import take_dirty
from placement.core.event import Identifier
from placement.core.fold import FOLD_VERSION
from placement.core.state import State
from placement.ports import CheckpointHeader, Chunk
from placement.v1 import basis_pb2
from tests.builders import IAD, fold_in, pushed
from tests.figures import tell
from tests.ports import free_port
from tests.real_service import POLL_SECONDS, RealService

DIGESTS = 100_000
CPU_SECONDS_MAX = 6.0  # the machine is shared: three times what is promised, of CPU


async def checkpoint_of(path: Path, digests: int) -> None:
    """Save the state of so many pushes at *path*."""
    state = State()
    for number in range(digests):
        event = replace(
            pushed(f"layer-{number}", IAD), event_id=Identifier(f"{number}")
        )
        fold_in(state, event)
    header = CheckpointHeader(
        "PLACEMENT_V1@2026-11-23T10:00:00Z",
        state.sequence,
        state.store_time_ns,
        FOLD_VERSION,
        state.message_hash,
    )
    path.parent.mkdir(parents=True)
    store = SqliteCheckpointStore(path)
    await store.save(header, [Chunk(*packed) for packed in take_dirty(state)])
    await store.close()


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def until_listening(service: RealService) -> None:
    """Return as soon as the service takes connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
        except OSError:
            assert service.runs, service.output()
            await asyncio.sleep(POLL_SECONDS)
        else:
            writer.close()
            return


@pytest.mark.long
async def test_first_answer_comes_from_the_checkpoint(tmp_path: Path) -> None:
    """100,000 digests: seconds from the start of the process, and marked STALE."""
    service = RealService(
        tmp_path / "service", ("--nats-url", f"nats://127.0.0.1:{free_port()}")
    )
    await checkpoint_of(service.data_dir / "checkpoint.sqlite", DIGESTS)

    began = time.monotonic()
    service.start()
    try:
        await until_listening(service)
        async with PlacementClient(service.target, timeout_s=10) as client:
            info = await client.get_service_info()
        took_s = time.monotonic() - began
        cpu_s = cpu_seconds(service.pid)
    finally:
        service.kill()

    tell("first answer", digests=DIGESTS, first_answer_s=took_s, cpu_s=cpu_s)
    assert info.basis.state == basis_pb2.SERVING_STATE_STALE
    assert info.basis.sequence == DIGESTS
    assert cpu_s < CPU_SECONDS_MAX
