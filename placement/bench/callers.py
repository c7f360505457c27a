"""Who calls a server while it is measured: h2load where it is installed, else we do.

A caller in Python costs as much as the server, so that it tells less of it. What a call
costs the server is read from the kernel: that is steadier than calls a second.
"""

import asyncio
import re
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc

from placement.bench.rounds import pinned

CONNECTIONS: Final = 4
CALLS_AT_ONCE: Final = 16
"""On each connection."""
RUN_SECONDS_MAX: Final = 120.0
ALONE: Final = (("grpc.use_local_subchannel_pool", 1),)
"""A channel of these options has a connection of its own."""

_RATE: Final = re.compile(r"finished in .*?, ([0-9.]+) req/s")
_FRAME: Final = 5
"""Bytes before a message: whether it is compressed, and its length."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a server, again and again."""

    target: str
    method: str
    body: bytes
    connections: int = CONNECTIONS


@dataclass(slots=True)
class Caller:
    """Asks *count* times in each turn, and notes what that cost the servers."""

    asked: Asked
    count: int
    processes: Sequence[int]
    """Of the servers; none: what it costs is not read."""
    cores: Collection[int]
    """Where h2load runs."""
    scratch: Path
    costs_us: list[float] = field(default_factory=list)
    """What a call cost, in each turn."""

    async def turn(self) -> float:
        """Return how many calls a second were answered."""
        before_ns = sum(map(cpu_ns, self.processes))
        if shutil.which("h2load"):
            found = await self._by_h2load()
        else:
            found = await self._by_ourselves()
        cost_ns = sum(map(cpu_ns, self.processes)) - before_ns
        self.costs_us.append(cost_ns / self.count / 1_000)
        return found

    async def _by_h2load(self) -> float:
        body, asked = self.asked.body, self.asked
        file = self.scratch / f"body-{id(self)}"
        file.write_bytes(b"\0" + len(body).to_bytes(_FRAME - 1, "big") + body)
        with pinned(self.cores):
            process = await asyncio.create_subprocess_exec(
                *("h2load", "-n", str(self.count), "-c", str(asked.connections)),
                *("-m", str(CALLS_AT_ONCE), "-d", file),
                *("-H", "content-type: application/grpc", "-H", "te: trailers"),
                f"http://{asked.target}{asked.method}",
                stdout=asyncio.subprocess.PIPE,
            )
        async with asyncio.timeout(RUN_SECONDS_MAX):
            output, _ = await process.communicate()
        said = output.decode()
        assert f" {self.count} succeeded" in said, said
        found = _RATE.search(said)
        assert found is not None, said
        return float(found[1])

    async def _by_ourselves(self) -> float:
        asked, each = self.asked, -(-self.count // self.asked.connections)
        channels = [
            grpc.aio.insecure_channel(asked.target, ALONE)
            for _ in range(asked.connections)
        ]
        began = time.perf_counter()
        await asyncio.gather(*(self._calls(channel, each) for channel in channels))
        found = each * len(channels) / (time.perf_counter() - began)
        for channel in channels:
            await channel.close()
        return found

    async def _calls(self, channel: grpc.aio.Channel, count: int) -> None:
        left = iter(range(count))
        call: Any = channel.unary_unary(self.asked.method)

        async def one_after_another() -> None:
            for _ in left:
                await call(self.asked.body)

        await asyncio.gather(*(one_after_another() for _ in range(CALLS_AT_ONCE)))


def cpu_ns(process_id: int) -> int:
    """Return for how long a process has run, on all of its threads."""
    found = 0
    for task in Path(f"/proc/{process_id}/task").iterdir():
        found += int((task / "schedstat").read_text().split()[0])
    return found
