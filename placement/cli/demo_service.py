"""A real service in a process and a directory of its own, while it is shown."""

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from placement.bench.rounds import pinned
from placement.bench.settings import START_SECONDS_MAX
from placement.client import PlacementCallError, PlacementClient
from placement.config import foreign_environment
from placement.core.errors import PlacementError
from placement.wire.json import plain

STOP_SECONDS_MAX: Final = 10.0
LOOK_SECONDS: Final = 0.05
CALL_SECONDS: Final = 2.0
LOG_LINES_TOLD: Final = 5


class ServiceFailedError(PlacementError):
    """The service did not start, or ended by itself."""

    reason = "SERVICE_FAILED"

    def __init__(self, exit_code: int | None, log_file: Path) -> None:
        """Say how it ended, None being not at all, and the last that it said."""
        ended = "did not start in time" if exit_code is None else f"ended: {exit_code}"
        lines = log_file.read_text("utf-8", "replace").splitlines()[-LOG_LINES_TOLD:]
        super().__init__("\n".join([f"the service {ended}; it said last:", *lines]))


@dataclass(frozen=True, slots=True)
class RunningService:
    """Where the service answers and keeps its data, and its process."""

    target: str
    data_dir: Path
    process_id: int


@asynccontextmanager
async def running_service(
    directory: Path,
    arguments: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    cores: Collection[int] = (),
    start_seconds: float = START_SECONDS_MAX,
) -> AsyncIterator[RunningService]:
    """Run a service in *directory*, with its own broker, on ports of its own.

    With further *arguments*, and *settings* as its environment's PLACEMENT_ variables;
    on these *cores* alone, if some are named, and LIVE *start_seconds* later at the
    most. Neither placement.toml nor any other PLACEMENT_ variable reaches it: it must
    never find another log. Raises
    ServiceFailedError when it does not come up.
    """
    log_file = directory / "service.log"
    own = (
        *("--data-dir", "data", "--listen", "127.0.0.1:0", "--log-format", "json"),
        *("--console-listen", "off"),
    )
    with log_file.open("wb") as log, pinned(cores):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "placement", "serve", *own, *arguments),
            cwd=directory,
            env=foreign_environment() | dict(settings or {}),
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        target = await _started(process, log_file, start_seconds)
        yield RunningService(target, directory / "data", process.pid)
    finally:
        await _stop(process)


async def _started(process: Process, log_file: Path, start_seconds: float) -> str:
    try:
        async with asyncio.timeout(start_seconds):
            target = f"127.0.0.1:{await _port(process, log_file)}"
            await _live(process, log_file, target)
            return target
    except TimeoutError:
        raise ServiceFailedError(None, log_file) from None


async def _port(process: Process, log_file: Path) -> int:
    """Return the port, once the service has told it in its log."""
    while True:
        port = _told_port(log_file)
        if port:
            return port
        _check(process, log_file)
        await asyncio.sleep(LOOK_SECONDS)


def _told_port(log_file: Path) -> int:
    for line in log_file.read_text("utf-8").splitlines():
        if '"service_started"' in line and line.endswith("}"):
            return int(json.loads(line)["port"])
    return 0


async def _live(process: Process, log_file: Path, target: str) -> None:
    """Wait until the service has folded all that its log holds."""
    async with PlacementClient(target, timeout_s=CALL_SECONDS) as client:
        while True:
            try:
                info = plain(await client.get_service_info())
                if info["basis"]["state"] == "SERVING_STATE_LIVE":
                    return
            except PlacementCallError:
                _check(process, log_file)
            await asyncio.sleep(LOOK_SECONDS)


def _check(process: Process, log_file: Path) -> None:
    if process.returncode is not None:
        raise ServiceFailedError(process.returncode, log_file)


async def _stop(process: Process) -> None:
    """End the process, kindly first; it ends its own broker."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
