"""A message that a lost connection cut off is not joined with the next one's bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from placement.adapters.jetstream.client import LeanClient

BODY = b"o" * 100
REPLY = b"$JS.ACK.S.c.1.7.1.99.0"
INFO = b'INFO {"version":"2.15.0","max_payload":1048576,"headers":true}\r\n'
STALE = b"-ERR 'Stale Connection'\r\n"


def message(sid: int) -> bytes:
    """Return a whole message of a subscription."""
    line = b"HMSG in.1 %d %s 12 %d\r\n" % (sid, REPLY, 12 + len(BODY))
    return line + b"NATS/1.0\r\n\r\n" + BODY + b"\r\n"


@asynccontextmanager
async def cutting(beginning: bytes) -> AsyncIterator[str]:
    """Give the address of a server that breaks its first connection off in a message.

    *beginning* comes before that; the second connection has the message whole.
    """
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = not serving
        serving.append(asyncio.current_task())
        writer.write(INFO)
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            if line.startswith(b"SUB"):
                told = message(int(line.split()[-1]))
                writer.write(beginning + told[:-60] if first else told)
                await writer.drain()
                if first:
                    await asyncio.sleep(0.2)
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait(filter(None, serving))


def options(address: str) -> dict[str, Any]:
    """Return how a client connects to the server, soon again if need be."""
    wait = {"reconnect_time_wait": 0.1, "max_reconnect_attempts": -1}
    return {"servers": [address], **wait}


def noted(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    """Return a callback that says that *event* happened."""

    async def note() -> None:
        event.set()

    return note


@pytest.mark.parametrize("beginning", [b"", STALE], ids=["lost", "stale"])
async def test_next_connection_begins_with_its_own_bytes(beginning: bytes) -> None:
    """Whether the server says why it ends the first one, or just does."""
    taken: list[bytes] = []
    arrived = asyncio.Event()

    def take(subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        del subject, reply, headers
        taken.append(body)
        arrived.set()

    client = LeanClient()
    async with cutting(beginning) as address:
        await client.connect(**options(address))
        subscription = await client.subscribe("in.*")
        client.let_take(subscription, take)
        async with asyncio.timeout(10):
            await arrived.wait()
        await client.close()

    assert taken == [BODY]


async def test_bytes_that_come_while_a_connection_is_given_up_are_forgotten() -> None:
    """Whoever reads it finds them after the parser was told to begin anew."""
    taken: list[bytes] = []
    client = LeanClient()
    async with cutting(b"") as address:
        again = asyncio.Event()
        await client.connect(**options(address), reconnected_cb=noted(again))
        await client.flush(timeout=5)
        transport: Any = client._transport  # noqa: SLF001 - as if the server sent it
        transport._io_reader.feed_data(message(1)[:-60])  # noqa: SLF001
        await client.force_reconnect()
        async with asyncio.timeout(10):
            await again.wait()
        subscription = await client.subscribe("in.*")
        client.let_take(subscription, lambda *told: taken.append(told[-1]))
        await client.flush(timeout=5)
        await client.close()

    assert taken == [BODY] * len(taken)
