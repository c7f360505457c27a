"""The ocean where namespaces are refused: slow loopback proxies, both ways.

    python -m tests.lab.proxies CONFIGURATION

A connection waits a round trip before its first byte; each direction has half a round
trip of delay, the rate of its link, shared by all connections, and a slow start of its
own: FIRST_WINDOW_BYTES in the first round trip, twice as many in each further one.
"""

import asyncio
import contextlib
import json
import mmap
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.wan import COUNT

FIRST_WINDOW_BYTES: Final = 14_600
CHUNK_BYTES: Final = 1 << 16
QUEUED_CHUNKS_MAX: Final = 64
WINDOW_DOUBLINGS_MAX: Final = 20


@dataclass(slots=True)
class Direction:
    """One way between two regions; *cell* is where its bytes are counted."""

    bits_per_second: float
    delay_s: float
    cell: int
    counts: mmap.mmap
    free_s: float = 0.0

    def arrival_s(self, size: int, now_s: float) -> float:
        """Return when *size* bytes sent now have arrived, and count them."""
        self.free_s = max(self.free_s, now_s) + size * 8 / self.bits_per_second
        offset = self.cell * COUNT.size
        (before,) = COUNT.unpack_from(self.counts, offset)
        COUNT.pack_into(self.counts, offset, before + size)
        return self.free_s + self.delay_s


class Window:
    """How much of one connection may be sent in its next round trip."""

    def __init__(self, round_trip_s: float) -> None:
        """Begin as small as a new connection does."""
        self._round_trip_s = round_trip_s
        self._doublings = 0
        self._left = FIRST_WINDOW_BYTES
        self._ends_s = 0.0

    async def passed(self, size: int) -> None:
        """Return when *size* more bytes may be sent."""
        loop = asyncio.get_running_loop()
        while self._left <= 0:
            await asyncio.sleep(max(0.0, self._ends_s - loop.time()))
            if self._doublings < WINDOW_DOUBLINGS_MAX:
                self._doublings += 1
            self._left = FIRST_WINDOW_BYTES << self._doublings
        if self._left == FIRST_WINDOW_BYTES << self._doublings:
            self._ends_s = loop.time() + self._round_trip_s
        self._left -= size


async def carried(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Direction
) -> None:
    """Carry one direction of a connection until its end."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_CHUNKS_MAX)

    async def deliver() -> None:
        while True:
            due_s, chunk = await queue.get()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            if not chunk:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            writer.write(chunk)
            await writer.drain()

    async def take() -> None:
        window = Window(2 * way.delay_s)
        while chunk := await reader.read(CHUNK_BYTES):
            await window.passed(len(chunk))
            await queue.put((way.arrival_s(len(chunk), loop.time()), chunk))
        await queue.put((loop.time() + way.delay_s, b""))

    with contextlib.suppress(ConnectionError):
        async with asyncio.TaskGroup() as group:
            group.create_task(deliver())
            group.create_task(take())


@dataclass(frozen=True, slots=True)
class Proxy:
    """From one region to a port of another."""

    own_address: str
    """What the other region sees as the client's address."""
    target: tuple[str, int]
    there: Direction
    back: Direction

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one connection."""
        await asyncio.sleep(self.there.delay_s + self.back.delay_s)
        host, port = self.target
        try:
            near, far = await asyncio.open_connection(
                host, port, local_addr=(self.own_address, 0)
            )
        except OSError:
            writer.transport.abort()
            return
        try:
            with contextlib.suppress(ExceptionGroup):
                await asyncio.gather(
                    carried(reader, far, self.there), carried(near, writer, self.back)
                )
        finally:
            writer.close()
            far.close()


async def run(told: dict[str, object], counts: mmap.mmap) -> None:
    """Listen for every pair of regions and every port, and carry."""
    seats, ports, block = told["seats"], told["ports"], told["block"]
    rows = told["ways"]
    assert isinstance(seats, list)
    assert isinstance(ports, list)
    assert isinstance(rows, list)
    ways = _directions(rows, counts)
    for source in range(len(seats)):
        for target in range(len(seats)):
            if source == target:
                continue
            for port in ports:
                proxy = Proxy(
                    f"127.{block}.{source}.1",
                    (f"127.{block}.{target}.1", port),
                    ways[source][target],
                    ways[target][source],
                )
                near = f"127.{block}.{target}.{100 + source}"
                await asyncio.start_server(proxy.serve, near, port)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _directions(
    rows: Sequence[Sequence[dict[str, float]]], counts: mmap.mmap
) -> list[list[Direction]]:
    return [
        [
            Direction(
                way["bits_per_second"],
                way["delay_s"],
                source * len(rows) + target,
                counts,
            )
            for target, way in enumerate(row)
        ]
        for source, row in enumerate(rows)
    ]


def main() -> None:
    """Read the configuration and carry until the process is ended."""
    told = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    with Path(told["counts"]).open("r+b") as file:
        counts = mmap.mmap(file.fileno(), 0)
    asyncio.run(run(told, counts))


if __name__ == "__main__":
    main()
