"""Servers that are measured: echoes, and real services by themselves or on one port."""

import asyncio
import importlib.util
import socket
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from placement.bench.rounds import pinned
from placement.bench.settings import Service, Settings

START_SECONDS_MAX: Final = 30.0
LOOK_SECONDS: Final = 0.05
UNLIMITED: Final = {
    "PLACEMENT_LIMITS__QUEUE_MS": "0",
    "PLACEMENT_LIMITS__CALLER_WATCHES": "0",
    "PLACEMENT_LIMITS__SNAPSHOTS": "1000",
}
"""A service that sends nobody away: what it can do is measured, by one machine."""
QUIET: Final = {"PLACEMENT_PLANNER__ENABLED": "false"} | UNLIMITED
"""And that decides nothing: its log is what a suite stores."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers at *target*, HOST:PORT."""

    target: str
    process_id: int


@asynccontextmanager
async def echoing(cores: Collection[int], target: str = "") -> AsyncIterator[Server]:
    """Run an echo server on *cores*, at a port of its own or beside others."""
    target = target or free_target()
    loop = "uvloop" if importlib.util.find_spec("uvloop") else "asyncio"
    with pinned(cores):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "placement.bench.echo", target, loop
        )
    try:
        await _listens(target)
        yield Server(target, process.pid)
    finally:
        process.kill()
        await process.wait()


async def _listens(target: str) -> None:
    async with asyncio.timeout(START_SECONDS_MAX):
        async with grpc.aio.insecure_channel(target) as channel:
            await channel.channel_ready()


@asynccontextmanager
async def serving(
    settings: Settings, name: str, cores: Collection[int]
) -> AsyncIterator[Service]:
    """Run a service with a broker of its own, at a port that others may share."""
    running = settings.run_service(
        settings.directory(name),
        arguments=("--reuse-port", "--listen", free_target()),
        settings=QUIET,
        cores=cores,
    )
    async with running as service:
        yield service


@asynccontextmanager
async def serving_by(
    settings: Settings,
    name: str,
    cores: Collection[int],
    broker_directory: Path,
    target: str = "",
) -> AsyncIterator[Service]:
    """Run a service by the broker of another directory, perhaps at another's port."""
    broker = settings.broker_address(broker_directory)
    told = {
        "PLACEMENT_NATS__URL": broker.url,
        "PLACEMENT_NATS__USER": broker.user,
        "PLACEMENT_NATS__PASSWORD": broker.password,
        "PLACEMENT_NATS__STREAM": broker.stream,
    }
    running = settings.run_service(
        settings.directory(name),
        arguments=("--reuse-port", "--listen", target or free_target()),
        settings=QUIET | told,
        cores=cores,
    )
    async with running as service:
        yield service


def free_target() -> str:
    """Return an address of this machine that nobody listened on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"
