"""Answers to clients: OCI errors, relayed headers, bodies that flow.

Source: OCI distribution-spec 1.1, "Error Codes".
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

API_VERSION: Final = {"Docker-Distribution-API-Version": "registry/2.0"}
RELAYED: Final = (
    "Accept-Ranges",
    "Cache-Control",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Docker-Content-Digest",
    "Docker-Upload-UUID",
    "ETag",
    "Link",
    "OCI-Chunk-Min-Length",
    "OCI-Filters-Applied",
    "OCI-Subject",
    "Range",
    "Retry-After",
    "WWW-Authenticate",
)
"""What is passed on of a registry's headers."""
MESSAGES: Final = {
    "BLOB_UNKNOWN": "blob unknown to registry",
    "MANIFEST_UNKNOWN": "manifest unknown",
    "NAME_UNKNOWN": "repository name not known to registry",
}
RELAYED_BYTES_MAX: Final = 1 << 20
"""Of a refusal or a receipt; content is never relayed whole."""
NO_CONTENT: Final = (204, 304, 416)
"""Of 416, Distribution tells the length of the content, not of its own message."""


def oci_error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error as the specification writes it."""
    body = json.dumps({"errors": [{"code": code, "message": message}]})
    all_headers = {**API_VERSION, **(headers or {})}
    return Response(body, status, all_headers, "application/json")


def unknown(code: str) -> Response:
    """Return what is said of what is not there, and of what is not for the client."""
    return oci_error(404, code, MESSAGES[code])


def unavailable() -> Response:
    """Return what is said when nobody answered who might have it."""
    message = "no registry that may have it answered in time; try again"
    return oci_error(503, "UNAVAILABLE", message, {"Retry-After": "1"})


def challenged(response: httpx.Response) -> Response:
    """Return a registry's challenge, for the client to get a token of its own.

    The body is always the same: a registry's own would name what was asked for.
    """
    answer = oci_error(401, "UNAUTHORIZED", "authentication required")
    for challenge in response.headers.get_list("WWW-Authenticate"):
        answer.headers.append("WWW-Authenticate", challenge)
    return answer


def relayed_headers(response: httpx.Response) -> dict[str, str]:
    """Return the headers that are passed on to the client."""
    found = {
        name: response.headers[name] for name in RELAYED if name in response.headers
    }
    if response.status_code in NO_CONTENT:
        found.pop("Content-Length", None)
    return {**found, **API_VERSION}


def headed(response: httpx.Response) -> Response:
    """Return the answer to a HEAD: the registry's headers, without a body."""
    return Response(b"", response.status_code, relayed_headers(response))


class Streamed(Response):
    """A body that is sent as it comes; its source is closed when the client leaves.

    Its length is among the headers. Whatever the chunks raise breaks the connection,
    so that no client takes half a body for a whole one.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        status: int,
        headers: Mapping[str, str],
        ended: Callable[[], Awaitable[None]],
    ) -> None:
        """Send *chunks*; *ended* is called in any case, even if none was sent."""
        super().__init__(b"", status, headers)
        self._chunks = chunks
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the body or the client's patience ends."""
        del scope
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when="FIRST_COMPLETED")
            if sending.done():
                await sending
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._ended()

    async def _send(self, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            async for chunk in chunks:
                more = {"type": "http.response.body", "body": chunk, "more_body": True}
                await send(more)
            await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    """Return once the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
