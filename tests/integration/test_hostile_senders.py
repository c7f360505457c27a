"""The receiver's sockets under senders that mean no good: slow, large, many, odd."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from placement import hosting
from placement.adapters.memory_spool import MemorySpool
from placement.agent import receiver as receiver_module
from placement.agent.receiver import (
    BODY_BYTES_MAX,
    CONNECTIONS_MAX,
    Receiver,
    ReceiverSettings,
    receiver_app,
    serve_receiver,
)
from placement.core.topology import Region
from placement.hosting import open_listener
from placement.spooling import SpoolLimits

NOW_NS = 1_795_428_000_000_000_000
PATH = "/v1/notifications/distribution"
WAIT_SECONDS = 20.0


@asynccontextmanager
async def receiving(token: str = "") -> AsyncIterator[tuple[int, MemorySpool]]:
    """Serve a receiver; give its port and its spool."""
    spool = MemorySpool(lambda: NOW_NS, SpoolLimits(waiting_bytes_max=8 << 20))
    settings = ReceiverSettings(
        region=Region("iad"), feeds=("distribution",), token=token
    )
    app = receiver_app(Receiver(settings, spool.put, lambda: NOW_NS), dict)
    listener = open_listener("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    serving = asyncio.create_task(serve_receiver(app, listener))
    try:
        yield port, spool
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


async def answered(port: int, sent: bytes) -> bytes:
    """Return all that is answered until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(OSError):  # it may hang up before all is sent
        writer.write(sent)
        await writer.drain()
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def post(body: bytes, *headers: str, path: str = PATH) -> bytes:
    """Return a whole request, after which the connection is closed."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def taken(port: int) -> bool:
    """Say whether an ordinary notification is taken."""
    return (await answered(port, post(b"{}"))).startswith(b"HTTP/1.1 200")


ODD = (
    post(b"{}", *(f"X-{number}: y" for number in range(20_000))),
    post(b"{}", "X: " + "y" * 200_000),
    post(b"{}", "X: a\x00b"),
    post(b"{}", "no colon"),
    post(b"{}", ": no name"),
    post(b"{}", "Content-Length: 3"),
    post(b"{}", "Content-Length: -1"),
    post(b"{}", "Content-Length: " + "9" * 5_000),
    post(b"{}", "Transfer-Encoding: chunked"),
    post(b"{}", "Transfer-Encoding: gzip, chunked"),
    post(b"{}", "Expect: 200-maybe"),
    post(b"{}", "Upgrade: h2c", "Connection: Upgrade"),
    post(b"{}", path="/v1/notifications/%00"),
    post(b"{}", path="/v1/notifications/../../etc"),
    post(b"{}", path="http://169.254.169.254/"),
    post(b"{}", path="/" + "a" * 60_000),
    post(gzip.compress(bytes(32 << 20)), "Content-Encoding: gzip"),
    b"GET / HTTP/9.9\r\nConnection: close\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
    b"\x00" * 100_000,
    b"\r\n" * 50_000,
)


async def test_odd_requests_are_refused_and_others_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is answered with a 4xx, or hung up on; the next sender notices nothing."""
    monkeypatch.setattr(receiver_module, "ANSWER_SECONDS_MAX", 0.5)
    monkeypatch.setattr(hosting, "HEAD_SECONDS_MAX", 0.5)
    fair = (b"", b"200", b"503")  # the latter where more of a body was promised

    async with receiving() as (port, _):
        for sent in ODD:
            answer = await answered(port, sent)
            status = answer[9:12]
            assert status.startswith(b"4") or status in fair, (sent[:80], answer[:200])
            assert b"Traceback" not in answer
        assert await taken(port)


async def test_body_without_an_end_is_refused_at_the_limit() -> None:
    """In chunks nothing says how long a body is: it is counted."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    head += "Transfer-Encoding: chunked\r\n\r\n"

    async with receiving() as (port, spool):
        body = chunk * (BODY_BYTES_MAX // 65_536 + 2)
        answer = await answered(port, head.encode() + body)

        assert answer.startswith(b"HTTP/1.1 413") or not answer
        assert spool.figures.waiting_count == 0
        assert await taken(port)


async def test_requests_in_one_go_are_answered_in_turn() -> None:
    """A sender may send the next request before it has the answer to the last."""
    request = post(b"{}").replace(b"Connection: close\r\n", b"")

    async with receiving() as (port, spool):
        answer = await answered(port, request * 20 + post(b"{}"))

        assert answer.count(b"HTTP/1.1 200") == 21
        assert spool.figures.waiting_count == 21


async def test_who_asks_for_nothing_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connections that stay silent, or half ask, make room for those that ask."""
    monkeypatch.setattr(hosting, "HEAD_SECONDS_MAX", 0.5)
    half = post(b"{}")[:30]

    async with receiving() as (port, _):
        idle = [
            await asyncio.open_connection("127.0.0.1", port)
            for _ in range(CONNECTIONS_MAX + 8)
        ]
        for number, (_, writer) in enumerate(idle):
            if number % 2:
                writer.write(half)
        assert not await taken(port), "they take all the room that there is"

        async with asyncio.timeout(WAIT_SECONDS):
            ends = await asyncio.gather(*(reader.read() for reader, _ in idle))
        assert all(b"200 OK" not in end for end in ends)
        assert await taken(port)
        for _, writer in idle:
            writer.close()


async def test_second_request_has_its_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked once cannot then be slow for ever."""
    monkeypatch.setattr(hosting, "HEAD_SECONDS_MAX", 0.5)
    whole = post(b"{}").replace(b"Connection: close\r\n", b"")

    async with receiving() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole)
        first = await reader.readuntil(b"}")
        writer.write(whole[:30])
        async with asyncio.timeout(WAIT_SECONDS):
            rest = await reader.read()
        writer.close()

    assert first.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1" not in rest


async def test_slow_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that comes drop by drop is answered 503 in its time, and nothing kept."""
    monkeypatch.setattr(receiver_module, "ANSWER_SECONDS_MAX", 0.5)

    async with receiving() as (port, spool):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"x" * 1_000)[:-990])

        async def drip() -> None:
            with suppress(OSError):
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(WAIT_SECONDS):
            answer = await reader.read(20)
        dripping.cancel()
        writer.close()

        assert answer.startswith(b"HTTP/1.1 503")
        assert spool.figures.waiting_count == 0
        assert await taken(port)


async def test_stranger_is_refused_before_the_body() -> None:
    """With a token set, a body of a stranger is not even read."""
    async with receiving("secret") as (port, _):
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
        head += "Connection: close\r\n\r\n"
        answer = await answered(port, head.encode())

    assert answer.startswith(b"HTTP/1.1 401")
