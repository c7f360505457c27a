"""Whom each call must pass before it is answered, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from placement.api import answering
from placement.api.answering import Answering, Context
from placement.api.authority.caller import MethodForbiddenError
from placement.api.authority.identity import Identity, Role
from placement.core.errors import InputError

ECHO, COUNT = "/tests.Parrot/Echo", "/tests.Parrot/Count"
REPEATS = 3
PATIENCE_S = 10.0


class Book:
    """A guard that writes down who came and went, and stops whom it is told to."""

    def __init__(self, stopped: set[str]) -> None:
        """Begin with an empty book."""
        self.stopped = stopped
        self.lines: list[str] = []

    def enter(self, method: str, _context: Context) -> None:
        """Let all others in."""
        if method in self.stopped:
            raise InputError("method", method, "ask for another one")
        self.lines.append(f"in {method}")

    def leave(self, method: str, _context: Context) -> None:
        """Write it down."""
        self.lines.append(f"out {method}")

    async def until_it_says(self, lines: list[str]) -> None:
        """Wait for these lines: who was answered is seen to leave a turn or two later.

        Raises:
            AssertionError: it says anything else.

        """
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self.lines != lines:  # noqa: ASYNC110 - nobody wakes who waits
                    await asyncio.sleep(0.01)
        assert self.lines == lines


async def echo(body: bytes, _context: Context) -> bytes:
    """Answer with the question, unless it is one that cannot be answered."""
    if body == b"fail":
        raise InputError("body", "fail", "send anything else")
    return body


async def count(body: bytes, _context: Context) -> AsyncIterator[bytes]:
    """Answer several times."""
    for _ in range(REPEATS):
        yield body


class Bouncer:
    """A guard that lets nobody in."""

    def enter(self, method: str, _context: Context) -> None:
        """Raise MethodForbiddenError."""
        raise MethodForbiddenError(Identity(Role.SCHEDULER), method)

    def leave(self, method: str, _context: Context) -> None:
        """Do nothing."""


@pytest.mark.parametrize(("between_ns", "lines"), [(10**15, 1), (0, 20)])
async def test_flood_of_denials_has_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, between_ns: int, lines: int
) -> None:
    """One that comes alone has its line; each of them is answered all the same."""
    monkeypatch.setattr(answering, "DENIAL_LINE_NS", between_ns)
    server = grpc.aio.server()
    plain: Any = bytes
    Answering(server, guards=(Bouncer(),)).add_registered_method_handlers(
        "tests.Parrot",
        {"Echo": grpc.unary_unary_rpc_method_handler(echo, plain, plain)},
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask: Any = channel.unary_unary(ECHO)
        with capture_logs() as logs:
            for _ in range(20):
                with pytest.raises(grpc.aio.AioRpcError, match="may not call"):
                    await ask(b"hello")
    await server.stop(None)

    told = [each["reason"] for each in logs if each["event"] == "call_failed"]
    assert told == ["METHOD_FORBIDDEN"] * lines


@pytest.fixture
def books() -> tuple[Book, Book]:
    """Two guards, one behind the other."""
    return Book(set()), Book(set())


@pytest.fixture
async def channel(books: tuple[Book, Book]) -> AsyncIterator[Any]:
    """A channel to a server whose calls pass both."""
    server = grpc.aio.server()
    plain: Any = bytes
    Answering(server, guards=books).add_registered_method_handlers(
        "tests.Parrot",
        {
            "Echo": grpc.unary_unary_rpc_method_handler(echo, plain, plain),
            "Count": grpc.unary_stream_rpc_method_handler(count, plain, plain),
        },
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)


async def test_call_passes_every_guard_and_leaves_each(
    channel: Any,  # noqa: ANN401 - a channel of any method
    books: tuple[Book, Book],
) -> None:
    """A stream leaves once it has ended, and a call that failed leaves as well."""
    assert await channel.unary_unary(ECHO)(b"hello") == b"hello"
    assert [part async for part in channel.unary_stream(COUNT)(b"x")] == [b"x"] * 3
    with pytest.raises(grpc.aio.AioRpcError, match="anything else"):
        await channel.unary_unary(ECHO)(b"fail")

    told = [
        f"{way} {method}" for method in (ECHO, COUNT, ECHO) for way in ("in", "out")
    ]
    for book in books:
        await book.until_it_says(told)


async def test_whom_a_guard_stops_is_told_why(
    channel: Any,  # noqa: ANN401 - a channel of any method
    books: tuple[Book, Book],
) -> None:
    """Whoever stood before it hears that the call left; whoever is behind, nothing."""
    first, second = books
    second.stopped = {ECHO, COUNT}

    with pytest.raises(grpc.aio.AioRpcError, match="ask for another one") as unary:
        await channel.unary_unary(ECHO)(b"hello")
    with pytest.raises(grpc.aio.AioRpcError, match="ask for another one"):
        await channel.unary_stream(COUNT)(b"x").read()

    assert unary.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    await first.until_it_says(
        [f"in {ECHO}", f"out {ECHO}", f"in {COUNT}", f"out {COUNT}"]
    )
    assert second.lines == []
