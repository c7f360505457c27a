"""Our transport under httpx does what httpx's own does, on a real socket."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy

import h11
import httpx
import pytest

from placement.agent.registry.fence import Fence
from placement.agent.registry.settings import RegistrySettings
from placement.agent.registry.transport import Transport
from tests.builders import IAD
from tests.ports import free_port

# httpx's own leaves a connection that failed half-way to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)

LENGTH = 300_000
LENGTH_AT_ONCE = 150_000
"""More than is read ahead, and little enough to come at once."""
READ_SECONDS = 0.3
DEADLINE_SECONDS = 20.0
GARBAGE = b"220 mail.example.com ESMTP\r\n\r\n"
Made = Callable[[], httpx.AsyncBaseTransport]


def ours() -> httpx.AsyncBaseTransport:
    """Return the transport under test."""
    own = RegistrySettings(region=IAD, url="http://127.0.0.1:1")
    return Transport(Fence(own), ssl.create_default_context(), 8, 60.0)


@dataclass
class Peer:
    """A server that answers each request with the same bytes, and writes all down."""

    answer: bytes = b""
    ends: bool = False
    """Close after an answer; else wait for the next request."""
    requests: list[bytes] = field(default_factory=list)
    connection_count: int = 0

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer until the other side ends."""
        self.connection_count += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.requests.append(head + await _rest(head, reader))
                writer.write(self.answer)
                if self.ends:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _rest(head: bytes, reader: asyncio.StreamReader) -> bytes:
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return await reader.readuntil(b"0\r\n\r\n")
    if b"content-length: " in lower:
        count = lower.split(b"content-length: ")[1].split(b"\r\n")[0]
        return await reader.readexactly(int(count))
    return b""


@asynccontextmanager
async def asking(peer: Peer, made: Made) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of *peer* by a transport that was made."""
    server = await asyncio.start_server(peer.serve, "127.0.0.1", free_port())
    port = server.sockets[0].getsockname()[1]
    timeout = httpx.Timeout(10.0, read=READ_SECONDS)
    async with (
        server,
        httpx.AsyncClient(
            transport=made(), base_url=f"http://127.0.0.1:{port}", timeout=timeout
        ) as client,
    ):
        yield client


def answer(body: bytes, *lines: str, length: int | None = None) -> bytes:
    """Return a whole answer as it travels."""
    size = len(body) if length is None else length
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {size}", *lines])
    return head.encode() + b"\r\n\r\n" + body


both = pytest.mark.parametrize("made", [ours, httpx.AsyncHTTPTransport])


@both
async def test_body_comes_as_it_was_sent(made: Made) -> None:
    """Nothing is decoded, followed or remembered; a connection is used again."""
    body = bytes(range(250)) * (LENGTH // 250)
    peer = Peer(answer(body, "Content-Encoding: gzip", "Set-Cookie: a=b"))

    async with asking(peer, made) as client:
        client.cookies.jar.set_policy(_no_cookies())
        for _ in range(2):
            async with client.stream("GET", "/v2/a%2Fb/..%2e/c?n=1&last=%20") as found:
                got = b"".join([chunk async for chunk in found.aiter_raw()])
            assert (found.status_code, found.reason_phrase) == (200, "OK")
            assert found.headers.get_list("Set-Cookie") == ["a=b"]
            assert got == body

    assert peer.connection_count == 1
    assert peer.requests[0] == peer.requests[1]
    assert peer.requests[0].startswith(b"GET /v2/a%2Fb/..%2e/c?n=1&last=%20 HTTP/1.1")


@both
async def test_reader_who_took_his_time_ends_nobody_elses_request(made: Made) -> None:
    """A connection that waited for a slow reader is as good as any other, later too.

    aiohttp's own clock would run on for the next one who asks.
    """
    body = b"b" * LENGTH_AT_ONCE
    peer = Peer(answer(body))

    async with asking(peer, made) as client:
        for _ in range(4):
            async with client.stream("GET", "/v2/a/blobs/b") as found:
                await asyncio.sleep(READ_SECONDS / 10)  # all of it has come by then
                got = b"".join([chunk async for chunk in found.aiter_raw()])
            assert got == body
            await asyncio.sleep(1.5 * READ_SECONDS)

    assert peer.connection_count == 1


async def test_slow_upload_is_waited_for() -> None:
    """Only when all of it has left is the answer due; early answers end nothing."""

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(READ_SECONDS / 2)
            yield b"abc"

    peer = Peer(answer(b"done"))
    async with asking(peer, ours) as client:
        stored = await client.put(
            "/v2/", content=slow(), headers={"Content-Length": "12"}
        )
        again = await client.get("/v2/")

    assert (stored.content, again.content) == (b"done", b"done")


@both
async def test_upload_that_nobody_reads_any_more_is_given_up(made: Made) -> None:
    """However much of it was taken before, and though its maker has more."""
    ends = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(LENGTH)
        await ends.wait()
        writer.transport.abort()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"b" * LENGTH

    server = await asyncio.start_server(deaf, "127.0.0.1", free_port())
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    timeout = httpx.Timeout(DEADLINE_SECONDS, write=READ_SECONDS)
    async with server, httpx.AsyncClient(transport=made(), timeout=timeout) as client:
        async with asyncio.timeout(DEADLINE_SECONDS / 2):
            await _raises(
                lambda: client.patch(url, content=endless()), httpx.WriteTimeout
            )
        ends.set()


@both
async def test_maker_of_a_body_has_all_the_time(made: Made) -> None:
    """Only what was made has to leave in time: a pusher's own network may be slow."""

    async def slow() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(READ_SECONDS / 3)
            yield b"abc"

    patience = httpx.Timeout(10.0, write=READ_SECONDS / 6)
    async with asking(Peer(answer(b"done")), made) as client:
        length = {"Content-Length": "9"}
        stored = await client.put(
            "/v2/", content=slow(), headers=length, timeout=patience
        )

    assert stored.content == b"done"


async def test_request_is_that_of_httpx() -> None:
    """The same lines, whatever is sent; none is added, none left out."""
    told = []
    for made in (ours, httpx.AsyncHTTPTransport):
        peer = Peer(answer(b""))
        async with asking(peer, made) as client:
            client.headers = {"User-Agent": "one/1", "Accept": "a/b"}
            await client.get("/v2/", headers={"Host": "other.example.com"})
            await client.put("/v2/", content=b"123")
            await client.put("/v2/", content=_made(), headers={"Content-Length": "6"})
            await client.put("/v2/", content=_made())
            await client.post("/v2/")
        told.append([_lines(one) for one in peer.requests])

    assert told[0] == told[1]


@both
@pytest.mark.parametrize(
    ("told", "ends", "kind"),
    [
        (b"", False, httpx.ReadTimeout),
        (answer(b"half", length=8), False, httpx.ReadTimeout),
        (answer(b"half", length=8), True, httpx.RemoteProtocolError),
        (b"", True, httpx.RemoteProtocolError),
        (GARBAGE, True, httpx.RemoteProtocolError),
        (answer(b"", "Content-Length: 5"), True, httpx.RemoteProtocolError),
    ],
    ids=["silent", "stalled", "cut", "closed", "garbage", "contradicting"],
)
async def test_failure_is_named_alike(
    made: Made, told: bytes, *, ends: bool, kind: type[Exception]
) -> None:
    """Who asks need not know which transport is below."""
    async with asking(Peer(told, ends), made) as client:
        with pytest.raises(kind):
            await client.get("/v2/")


@both
async def test_what_cannot_be_sent_is_said(made: Made) -> None:
    """Nobody listens, no such scheme, a line break in a header."""
    nowhere = f"http://127.0.0.1:{free_port()}/v2/"
    async with asking(Peer(answer(b"")), made) as client:
        for call, kind in (
            (lambda: client.get(nowhere), httpx.ConnectError),
            (lambda: client.get("ftp://127.0.0.1/"), httpx.UnsupportedProtocol),
            (
                lambda: client.get("/", headers={"A": "b\r\nc: d"}),
                httpx.LocalProtocolError,
            ),
        ):
            await _raises(call, kind)


@both
async def test_error_of_a_body_comes_out_as_it_is(made: Made) -> None:
    """The maker of an upload learns why it failed: a source sent other bytes."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"123"
        message = "other bytes than those of the digest"
        raise LookupError(message)

    async with asking(Peer(answer(b"")), made) as client:
        with pytest.raises(LookupError, match="other bytes"):
            await client.put("/v2/", content=broken(), headers={"Content-Length": "6"})


@both
@pytest.mark.parametrize("stated", ["5", "7", "60"])
async def test_body_of_another_length_than_stated_is_our_fault(
    made: Made, stated: str
) -> None:
    """Neither transport makes the one or the other of it fit."""
    async with asking(Peer(b"", ends=True), made) as client:
        headers = {"Content-Length": stated}
        with pytest.raises((httpx.LocalProtocolError, h11.LocalProtocolError)):
            await client.put("/v2/", content=_made(), headers=headers)


@pytest.mark.parametrize("stated", ["5", "7", "60"])
async def test_body_of_another_length_than_stated_ends_the_connection(
    stated: str,
) -> None:
    """What is short would swallow the next request, and what is long be one."""
    peer = Peer(answer(b""))
    async with asking(peer, ours) as client:
        headers = {"Content-Length": stated}
        with pytest.raises(httpx.LocalProtocolError):
            await client.put("/v2/", content=_made(), headers=headers)
        await client.get("/v2/next")

    assert [one.split(b" HTTP")[0] for one in peer.requests] == [b"GET /v2/next"]
    assert peer.connection_count == 2


@both
async def test_answer_before_the_body_ends_the_connection(made: Made) -> None:
    """The rest of the body is not taken for another request, nor the other way."""
    ends = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"123"
        await ends.wait()
        yield b"456"

    heads: list[bytes] = []

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(answer(b""))
        writer.close()

    server = await asyncio.start_server(early, "127.0.0.1", free_port())
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, httpx.AsyncClient(transport=made(), base_url=url) as client:
        length = {"Content-Length": "6"}
        putting = asyncio.create_task(client.put("/", content=slow(), headers=length))
        await asyncio.wait([putting], timeout=0.2)
        await client.get("/v2/next")
        ends.set()
        await asyncio.wait([putting])

    assert heads[-1].startswith(b"GET /v2/next")


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_no_body_is_announced_that_does_not_come(method: str) -> None:
    """Whatever the headers state; the connection goes on as it was."""
    peer = Peer(answer(b""))
    async with asking(peer, ours) as client:
        for content, size in ((None, b"0"), (b"123", b"3")):
            request = client.build_request(method, "/v2/", content=content)
            request.headers["Content-Length"] = "60"
            await client.send(request)
            assert b"content-length: " + size in peer.requests[-1].lower()
            assert peer.requests[-1].endswith(content or b"\r\n\r\n")

    assert (len(peer.requests), peer.connection_count) == (2, 1)


async def test_chunks_are_of_no_stated_length() -> None:
    """Who gives both headers means chunks: RFC 9112, section 6.1."""
    peer = Peer(answer(b""))
    both_given = {"Transfer-Encoding": "chunked", "Content-Length": "60"}
    async with asking(peer, ours) as client:
        request = client.build_request("PUT", "/v2/", content=_made())
        request.headers.update(both_given)
        await client.send(request)

    assert b"content-length" not in peer.requests[0].lower()
    assert b"123" in peer.requests[0]
    assert b"456" in peer.requests[0]


async def test_body_is_not_made_twice() -> None:
    """An upload whose connection broke is told as such, however often it is tried."""
    peer = Peer(b"", ends=True)

    async with asking(peer, ours) as client:
        await _raises(lambda: client.put("/v2/", content=_made()), httpx.TransportError)


async def _made() -> AsyncIterator[bytes]:
    yield b"123"
    yield b"456"


async def _raises(call: Callable[[], Awaitable[object]], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await call()


def _lines(request: bytes) -> list[bytes]:
    """Return a request's lines in one order, without the port that differs."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [one.lower() for one in head.split(b"\r\n")]
    return [*sorted(one for one in lines if b"host: 127" not in one), body]


def _no_cookies() -> DefaultCookiePolicy:
    return DefaultCookiePolicy(allowed_domains=())
