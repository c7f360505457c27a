"""A simulated registry's HTTP, as far as a router speaks it: reads of what is there."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Final

import httpx

from placement.agent.registry.errors import RegistryError
from placement.agent.registry.relaying import Relayed
from placement.core.oci import Digest, Repository, Tag, is_digest
from tests.simulator.shelf import Shelf

_NAMED: Final = re.compile(r"/v2/(.+)/(manifests|blobs)/([^/]+)")
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d+)")
Pieces = Callable[[bytes], AsyncIterator[bytes]]
"""Gives a body as it comes over the network; may end with RegistryError."""


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._pieces:
                yield piece
        except RegistryError as error:
            raise httpx.ReadError(str(error)) from error


def bare(relayed: Relayed, status: int) -> httpx.Response:
    """Return an answer without a body."""
    request = httpx.Request(relayed.method, f"http://registry{relayed.path}")
    return httpx.Response(status, request=request, content=b"")


def answered(shelf: Shelf, relayed: Relayed, pieces: Pieces) -> httpx.Response:
    """Return what the registry of *shelf* answers; it tells of a GET as of a pull."""
    named = _NAMED.fullmatch(relayed.path)
    if named is None:
        return bare(relayed, 200)
    repository, reference = Repository(named[1]), named[3]
    found = _found(shelf, repository, reference)
    if found is None:
        return bare(relayed, 404)
    digest, body, media_type = found
    headers = {
        "Content-Length": str(len(body)),
        "Content-Type": media_type,
        "Docker-Content-Digest": digest,
    }
    request = httpx.Request(relayed.method, f"http://registry{relayed.path}")
    if relayed.method == "HEAD":
        return httpx.Response(200, headers=headers, request=request, stream=_none())
    tag = None if is_digest(reference) else Tag(reference)
    agent = relayed.headers.get("User-Agent", "")
    shelf.pulled((repository, digest), agent, tag)
    if named[2] == "blobs":
        body = shelf.sent((repository, digest), body)
    status, ranged = 200, _RANGE.fullmatch(relayed.headers.get("Range", ""))
    if ranged is not None:
        begin, end = int(ranged[1]), min(int(ranged[2]), len(body) - 1)
        headers["Content-Range"] = f"bytes {begin}-{end}/{len(body)}"
        body = body[begin : end + 1]
        headers["Content-Length"] = str(len(body))
        status = 206
    stream = _Body(pieces(body))
    return httpx.Response(status, headers=headers, request=request, stream=stream)


def _found(
    shelf: Shelf, repository: Repository, reference: str
) -> tuple[Digest, bytes, str] | None:
    digest = Digest(reference)
    if not is_digest(reference):
        pointed = shelf.tags.get((repository, Tag(reference)))
        if pointed is None:
            return None
        digest = pointed
    manifest = shelf.manifests.get((repository, digest))
    if manifest is not None:
        return digest, manifest.body, manifest.descriptor.media_type
    body = shelf.layers.get((repository, digest))
    return None if body is None else (digest, body, "application/octet-stream")


def _none() -> _Body:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    return _Body(nothing())
