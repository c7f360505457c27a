"""Redis as the alternative: regions of digests in sets, asked for in pipelines.

A connection that speaks just enough of RESP to send many commands at once and count
the replies: less than any client library does, so that it is nobody's fault but ours.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

from placement.bench.rounds import pinned

SERVER: Final = "redis-server"
START_SECONDS_MAX: Final = 10.0
LOOK_SECONDS: Final = 0.02
RECEIVED_BYTES: Final = 1 << 18


def is_installed() -> bool:
    """Say whether there is a Redis to be measured."""
    return shutil.which(SERVER) is not None


class RedisConnection:
    """A connection on which commands are sent by the hundred, and replies read."""

    def __init__(self, path: Path) -> None:
        """Connect to the server that listens at *path*."""
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def add(self, members: Mapping[bytes, Sequence[bytes]]) -> None:
        """Let each key be a set of its members."""
        commands = [command(b"SADD", key, *each) for key, each in members.items()]
        self._socket.sendall(b"".join(commands))
        self._replies(len(commands))

    def members(self, keys: Sequence[bytes]) -> list[list[bytes]]:
        """Return the members of the set of each key, all asked for at once."""
        self._socket.sendall(b"".join([command(b"SMEMBERS", key) for key in keys]))
        return self._replies(len(keys))

    def _replies(self, count: int) -> list[list[bytes]]:
        found: list[list[bytes]] = []
        lines: list[bytes] = []
        rest = b""
        while len(found) < count:
            rest += self._socket.recv(RECEIVED_BYTES)
            *whole, rest = rest.split(b"\r\n")
            lines += whole
            at = 0
            while at < len(lines):
                parts = int(lines[at][1:]) if lines[at].startswith(b"*") else 0
                end = at + 1 + 2 * parts
                if end > len(lines):
                    break
                found.append(lines[at + 2 : end : 2])
                at = end
            del lines[:at]
        return found


def command(*words: bytes) -> bytes:
    """Return a command as it travels."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


@asynccontextmanager
async def running_redis(
    directory: Path, cores: Collection[int]
) -> AsyncIterator[RedisConnection]:
    """Run a Redis that keeps nothing on *cores*, and give a connection to it."""
    # The address of a socket has room for a hundred characters.
    path = Path(mkdtemp(prefix="bench-")) / "redis"
    with pinned(cores):
        process = await asyncio.create_subprocess_exec(
            SERVER,
            *("--port", "0", "--unixsocket", str(path), "--dir", str(directory)),
            *("--save", "", "--appendonly", "no", "--loglevel", "warning"),
            stdout=asyncio.subprocess.DEVNULL,
        )
    try:
        async with asyncio.timeout(START_SECONDS_MAX):
            connection = await _connected(path)
        try:
            yield connection
        finally:
            connection.close()
    finally:
        process.kill()
        await process.wait()
        rmtree(path.parent, ignore_errors=True)


async def _connected(path: Path) -> RedisConnection:
    while True:
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return RedisConnection(path)
        await asyncio.sleep(LOOK_SECONDS)
