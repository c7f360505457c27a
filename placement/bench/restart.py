"""From the start of a process with a large checkpoint to its first answer.

Its broker is away, so that the answer comes from the checkpoint alone and says so.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from placement.bench.made_state import StateMaker, any_content
from placement.bench.measured import Measured
from placement.bench.rounds import Samples
from placement.bench.settings import Settings
from placement.client import PlacementClient
from placement.core.fold import FOLD_VERSION
from placement.core.oci import Digest, Repository
from placement.core.topology import Region
from placement.runtime.checkpoint import Saver

SUITE: Final = "restart"
DIGESTS: Final = 10_000_000
QUICK_DIGESTS: Final = 10_000
ROUNDS: Final = 3
STALE: Final = "SERVING_STATE_STALE"
ANSWER_SECONDS_MAX: Final = 120.0
END_SECONDS_MAX: Final = 30.0
_POLL_SECONDS: Final = 0.01
_MEGABYTE: Final = 1_000_000


@dataclass
class _Found:
    """Seconds to the first answer, and megabytes of the process at its largest."""

    warm: list[float] = field(default_factory=list)
    cold: list[float] = field(default_factory=list)
    empty: list[float] = field(default_factory=list)
    peak: list[float] = field(default_factory=list)
    settled: list[float] = field(default_factory=list)


def measure(settings: Settings) -> list[Measured]:
    """Return how soon a service answers that has a large checkpoint."""
    digests = settings.pick(DIGESTS, QUICK_DIGESTS)
    large, empty = settings.directory("large"), settings.directory("empty")
    asked = (*_saved(settings, large, digests), settings.topology.home)
    file = large / "checkpoint.sqlite"
    found = _Found()
    for _ in range(settings.pick(ROUNDS, 1)):
        found.empty.append(_first_answer(empty, None, _Found()))
        found.warm.append(_first_answer(large, asked, found))
        _forget_cached(file)
        found.cold.append(_first_answer(large, asked, found))

    def told(metric: str, values: list[float], unit: str = "s") -> Measured:
        return Samples(tuple(values)).measured(SUITE, metric, unit)

    empty_seconds = Samples(tuple(found.empty))
    warm, cold = Samples(tuple(found.warm)), Samples(tuple(found.cold))
    return [
        warm.measured(SUITE, "first_answer", "s", empty_seconds),
        cold.measured(SUITE, "first_answer_file_not_cached", "s", empty_seconds),
        told("memory_at_most", found.peak, "MB"),
        told("memory_when_answering", found.settled, "MB"),
        Measured(SUITE, "checkpoint", file.stat().st_size / _MEGABYTE, "MB"),
        Measured(SUITE, "digests", digests, "digests"),
    ]


def _saved(
    settings: Settings, directory: Path, digests: int
) -> tuple[Repository, Digest]:
    """Save a state of so many *digests* in *directory*; return a content of it."""
    state = StateMaker(settings.topology).made(digests)

    async def save() -> None:
        store = settings.open_store(directory)
        await Saver(store, FOLD_VERSION).save(state, "PLACEMENT_V1@bench")
        await store.close()

    asyncio.run(save())
    return any_content(state)


def _first_answer(
    directory: Path, asked: tuple[Repository, Digest, Region] | None, found: _Found
) -> float:
    """Return the seconds from the start of a process to its first answer."""
    with _nobody() as nats_port, _nobody() as port:
        pass  # free just now: the first stays so, the second is the service's
    target = f"127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "placement", "serve"),
        *("--data-dir", str(directory), "--listen", target),
        *("--nats-url", f"nats://127.0.0.1:{nats_port}", "--console-listen", "off"),
    ]
    began = time.perf_counter()
    with (directory / "service.log").open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603 - our own program
    try:
        _wait_for(port, process)
        asyncio.run(_ask(target, asked))
        took = time.perf_counter() - began
        found.peak.append(_memory(process.pid, "VmHWM"))
        found.settled.append(_memory(process.pid, "VmRSS"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(END_SECONDS_MAX)
    return took


async def _ask(target: str, asked: tuple[Repository, Digest, Region] | None) -> None:
    """Ask for the sources of a content: there are some, and the answer is not fresh."""
    async with PlacementClient(target, timeout_s=ANSWER_SECONDS_MAX) as client:
        if asked is None:
            await client.get_service_info()
            return
        answer = await client.rank_sources(*asked)
        if STALE not in str(answer.basis) or not answer.sources:
            message = f"the answer is not of the checkpoint: {answer}"
            raise RuntimeError(message)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once somebody listens at *port*, which is the service."""
    ends = time.monotonic() + ANSWER_SECONDS_MAX
    while time.monotonic() < ends and process.poll() is None:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(_POLL_SECONDS)
    message = "the service did not answer: see service.log beside its checkpoint"
    raise RuntimeError(message)


@contextmanager
def _nobody() -> Iterator[int]:
    """Give a loopback port at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def _memory(process_id: int, name: str) -> float:
    """Return a figure of a process's status, in megabytes; 0 where there is none."""
    with suppress(OSError):
        for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024 / _MEGABYTE
    return 0.0


def _forget_cached(path: Path) -> None:
    """Let the system drop what it holds of a file in memory, as after a restart."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
