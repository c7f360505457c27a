"""Carries httpx's requests by aiohttp, whose parser is in C.

Connections are shared by all whom we ask for: a request that says it is longer than it
is would take the beginning of somebody else's next one for its own.
What is pulled through the router passes here, byte by byte: 100 MB cost 0.28 s of CPU
time by httpx's own transport and 0.11 s by this one, behind uvicorn, in one run.
"""

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp
import httpx
from yarl import URL

from placement.agent.registry.fence import Fence, is_address
from placement.agent.registry.patience import TRACED, Patience

READ_BYTES: Final = 64 << 10
"""What a connection gives at once; it reads ahead for as much again, and then waits."""
HEADER_BYTES_MAX: Final = 64 << 10
LENGTH_DIGITS_MAX: Final = 18
_ADDED: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What aiohttp would add to each request of its own accord."""


class Transport(httpx.AsyncBaseTransport):
    """Connections to registries; they are made when needed, and kept for a while."""

    def __init__(
        self,
        fence: Fence,
        verify: ssl.SSLContext,
        connections_max: int,
        idle_seconds: float,
    ) -> None:
        """Keep *connections_max* at most, none that was idle for *idle_seconds*.

        None leads where *fence* lets nobody.
        """
        self._fence = fence
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections_max,
                ssl=verify,
                keepalive_timeout=idle_seconds,
                resolver=fence,
            ),
            # What a registry tells one client by a cookie, no other one may send.
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_ADDED,
            auto_decompress=False,
            read_bufsize=READ_BYTES,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            trace_configs=[TRACED],
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request*; raises what httpx's own transport would."""
        body = _body_of(request)
        timeouts = request.extensions.get("timeout", {})
        seconds, streams = timeouts.get("read"), isinstance(body, _Leaving)
        patience = Patience(seconds, timeouts.get("write"), streams=streams)
        if isinstance(body, _Leaving):
            body.patience = patience
        try:
            with _told_as_httpx_would(request):
                async with patience.until_answered():
                    response = await self._sent(request, body, patience)
        except httpx.TransportError as error:
            if isinstance(body, _Leaving) and body.error is not None:
                raise body.error from None
            if isinstance(error, httpx.ReadTimeout) and patience.leaving:
                message = "the body is not taken any more"
                raise httpx.WriteTimeout(message, request=request) from error
            raise
        finally:
            patience.answered()
        return httpx.Response(
            response.status,
            headers=response.raw_headers,
            stream=_Arriving(request, response, seconds),
            extensions={"reason_phrase": (response.reason or "").encode()},
        )

    async def _sent(
        self,
        request: httpx.Request,
        body: "bytes | _Leaving | None",
        patience: Patience,
    ) -> aiohttp.ClientResponse:
        url = URL(str(request.url), encoded=True)
        if is_address(url.host or ""):  # which nobody looks up
            self._fence.check(url.host or "", url.port, [url.host or ""])
        headers = request.headers.copy()
        if "Transfer-Encoding" in headers:  # aiohttp's to decide
            del headers["Transfer-Encoding"]
            headers.pop("Content-Length", None)
        if not isinstance(body, _Leaving):  # who sends nothing may say so
            if headers.pop("Content-Length", None) and not body:
                headers["Content-Length"] = "0"
        elif "Content-Length" in headers:
            body.length = _length_of(headers["Content-Length"])
        timeouts = request.extensions.get("timeout", {})
        return await self._session.request(
            request.method,
            url,
            headers=headers.multi_items(),
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                sock_connect=timeouts.get("connect"), connect=timeouts.get("pool")
            ),
            trace_request_ctx=patience,
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


class _Arriving(httpx.AsyncByteStream):
    """The body of an answer, in the pieces that it comes in."""

    def __init__(
        self,
        request: httpx.Request,
        response: aiohttp.ClientResponse,
        seconds: float | None,
    ) -> None:
        self._request = request
        self._response = response
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self._next():
            yield chunk

    async def _next(self) -> bytes:
        """Return what has come; nothing at the end."""
        with _told_as_httpx_would(self._request):
            async with asyncio.timeout(self._seconds):
                return await self._response.content.readany()

    async def aclose(self) -> None:
        """Give the connection back, or close it if the answer has not ended."""
        self._response.release()


class _Leaving:
    """The body of a request, as it is made; an error of whoever makes it is kept.

    It is made once: aiohttp would send some requests again when a connection broke.
    """

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self._stream = stream
        self._begun = False
        self.length: int | None = None
        """How long the request says that it is; None: it does not."""
        self.error: Exception | None = None
        self.patience = Patience(None, None, streams=True)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._begun:
            message = "the connection broke while the body was sent"
            raise ConnectionResetError(message)
        self._begun = True
        left = self.length
        try:
            async for chunk in self._stream:
                if left is not None:
                    left -= len(chunk)
                    _check(fits=left >= 0, length=self.length)
                self.patience.piece_leaves()
                yield chunk
                self.patience.piece_left()
            _check(fits=not left, length=self.length)
            self.patience.request_left()
        except Exception as error:
            self.error = error
            raise


def _body_of(request: httpx.Request) -> bytes | _Leaving | None:
    try:
        return request.content or None
    except httpx.RequestNotRead:
        assert isinstance(request.stream, httpx.AsyncByteStream), "the client is"
        return _Leaving(request.stream)


def _check(*, fits: bool, length: int | None) -> None:
    if not fits:
        message = f"the body is not of the {length} bytes that its headers state"
        raise httpx.LocalProtocolError(message)


def _length_of(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= LENGTH_DIGITS_MAX):
        message = f"Content-Length is {text[:LENGTH_DIGITS_MAX]!r}, which is no number"
        raise httpx.LocalProtocolError(message)
    return int(text)


@contextmanager
def _told_as_httpx_would(request: httpx.Request) -> Iterator[None]:
    """Raise aiohttp's errors as those of httpx that mean the same."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout(str(error), request=request) from error
    except (aiohttp.ServerTimeoutError, TimeoutError) as error:
        raise httpx.ReadTimeout(str(error), request=request) from error
    except aiohttp.ClientConnectorError as error:
        raise httpx.ConnectError(str(error), request=request) from error
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
        raise httpx.UnsupportedProtocol(str(error), request=request) from error
    except PermissionError as error:  # the fence's
        raise httpx.ConnectError(str(error), request=request) from error
    except (aiohttp.ClientOSError, OSError) as error:
        raise httpx.ReadError(str(error), request=request) from error
    except aiohttp.ClientError as error:
        raise httpx.RemoteProtocolError(repr(error), request=request) from error
    except ValueError as error:  # a header with a line break in it
        raise httpx.LocalProtocolError(str(error), request=request) from error
