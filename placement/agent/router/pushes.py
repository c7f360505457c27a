"""Passes pushes on to the best registry for them, and brings its addresses back.

An upload stays with the registry that began it: its address names that region. A
manifest goes where its parts went: if the first registry lacks one, the next is tried.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from placement.agent.registry.asking import whole
from placement.agent.registry.client import Registry
from placement.agent.registry.errors import RegistryError, RegistryUnreachableError
from placement.agent.registry.manifests import MANIFEST_BYTES_MAX
from placement.agent.registry.relaying import Relayed
from placement.agent.router.answers import (
    API_VERSION,
    RELAYED_BYTES_MAX,
    challenged,
    oci_error,
    relayed_headers,
    unavailable,
)
from placement.agent.router.asking import Asker
from placement.agent.router.places import Places
from placement.agent.router.tags import Tags
from placement.core.oci import Digest, Repository, Tag, is_digest
from placement.core.topology import Region

TARGETS_MAX: Final = 3
REGION_KEY: Final = "placement-region"
"""In an upload's address: which region's registry it is at."""
PASSED: Final = ("Accept", "Content-Range", "Content-Type")
"""Besides Content-Length, which is of the way to us: it is passed on with a body only
that came under it.
"""
LENGTH: Final = "Content-Length"
WRITE_TIMEOUT: Final = httpx.Timeout(60.0, connect=2.0)
"""A registry verifies a large blob before it answers the end of its upload."""
BEGIN_TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0)
UNKNOWN_PARTS: Final = ("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN")


class Pushes:
    """Uploads, manifests and deletes for clients, with their own rights."""

    def __init__(
        self,
        places: Places,
        registries: Mapping[Region, Registry],
        asker: Asker,
        tags: Tags,
        counts: Counter[str],
    ) -> None:
        """Push to where *places* says."""
        self._places = places
        self._registries = registries
        self._asker = asker
        self._tags = tags
        self._counts = counts

    async def begin(self, request: Request, repository: Repository) -> Response:
        """Begin an upload, or mount a blob."""
        streams = _bears_body(request)
        for region in self._places.push_targets(repository)[:TARGETS_MAX]:
            content = request.stream() if streams else b""
            timeout = WRITE_TIMEOUT if streams else BEGIN_TIMEOUT
            try:
                answer = await self._sent(request, region, content, timeout)
            except RegistryUnreachableError as error:
                self._asker.suspect(region, "unreachable", error)
                if streams:
                    break  # the bytes are gone
            else:
                if answer.status_code in (201, 202):
                    self._places.pushed(repository, region)
                return answer
        return unavailable()

    async def go_on(self, request: Request, repository: Repository) -> Response:
        """Send on a part of an upload, its end, or what is asked of it."""
        query = dict(parse_qsl(request.url.query))
        named = Region(query.get(REGION_KEY, ""))
        targets = self._places.push_targets(repository)
        region = named if named in self._registries else (targets or [named])[0]
        content: AsyncIterator[bytes] | bytes | None = None
        if request.method in {"PATCH", "PUT"}:
            content = request.stream() if _bears_body(request) else b""
        return await self._to(request, region, content)

    async def delete(self, request: Request, repository: Repository) -> Response:
        """Remove a manifest or a blob where pushes go."""
        targets = self._places.push_targets(repository)
        return await self._to(request, targets[0], None) if targets else unavailable()

    async def manifest(
        self, request: Request, repository: Repository, reference: Digest | Tag
    ) -> Response:
        """Store a manifest in the first registry that has all of its parts."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MANIFEST_BYTES_MAX:
                message = f"a manifest has at most {MANIFEST_BYTES_MAX} bytes"
                return oci_error(413, "SIZE_INVALID", message)
        refused: Response | None = None
        for region in self._places.push_targets(repository)[:TARGETS_MAX]:
            try:
                answer = await self._sent(request, region, bytes(body), WRITE_TIMEOUT)
            except RegistryUnreachableError as error:
                self._asker.suspect(region, "unreachable", error)
                continue
            if answer.status_code == httpx.codes.CREATED:
                if not is_digest(reference):
                    self._tags.pushed(repository, Tag(reference), region)
                return answer
            refused = refused or answer
            if not any(code.encode() in answer.body for code in UNKNOWN_PARTS):
                break
        return refused or unavailable()

    async def _to(
        self,
        request: Request,
        region: Region,
        content: AsyncIterator[bytes] | bytes | None,
    ) -> Response:
        if region not in self._registries:
            return unavailable()
        try:
            return await self._sent(request, region, content, WRITE_TIMEOUT)
        except RegistryUnreachableError as error:
            self._asker.suspect(region, "unreachable", error)
            return unavailable()

    async def _sent(
        self,
        request: Request,
        region: Region,
        content: AsyncIterator[bytes] | bytes | None,
        patience: httpx.Timeout,
    ) -> Response:
        """Return one registry's answer; raises RegistryUnreachableError."""
        names = (*PASSED, "Authorization", "User-Agent")
        headers = {n: request.headers[n] for n in names if n in request.headers}
        length = _length_stated(request)
        if length and not isinstance(content, bytes) and content is not None:
            headers[LENGTH] = length
        path = path_asked(request)
        registry = self._registries[region]
        relayed = Relayed(request.method, path, headers, content, patience)
        try:
            response = await registry.relay(relayed)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        try:
            if response.status_code == httpx.codes.UNAUTHORIZED:
                return challenged(response)
            body = await whole(response, RELAYED_BYTES_MAX)
        except (httpx.HTTPError, RegistryError) as error:
            message = f"{path}: {error!r}"
            raise RegistryUnreachableError(message) from error
        finally:
            await response.aclose()
        self._counts["pushed"] += 1
        kept = relayed_headers(response)
        kept.pop("Content-Length", None)
        location = response.headers.get("Location")
        if location:
            base = registry.settings.base
            kept["Location"] = _brought_back(location, base, request, region)
        return Response(body, response.status_code, {**kept, **API_VERSION})


def _length_stated(request: Request) -> str:
    """Return how long a request says that it is, unless it comes in chunks."""
    if "Transfer-Encoding" in request.headers:  # which then tells the end
        return ""
    return request.headers.get(LENGTH, "")


def _bears_body(request: Request) -> bool:
    """Say whether a request has a body, though perhaps an empty one."""
    chunked = "Transfer-Encoding" in request.headers
    return chunked or _length_stated(request) not in {"", "0"}


def path_asked(request: Request) -> str:
    """Return what was asked for, byte by byte, without what is only ours."""
    raw = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    kept = [
        part
        for part in query.split("&")
        if part and part.partition("=")[0] not in (REGION_KEY, "ns")
    ]
    return quote(raw, safe="/%:@!$&'()*+,;=~") + ("?" + "&".join(kept) if kept else "")


def _brought_back(location: str, base: str, request: Request, region: Region) -> str:
    """Return a registry's address as one of ours; another host's stays as it is."""
    try:
        there, own = urlsplit(location), urlsplit(base)
    except ValueError:  # no address: the client has no more use for it than we
        return location
    if there.netloc and there.netloc != own.netloc:
        return location
    path = there.path.removeprefix(own.path)
    query = there.query
    if "/blobs/uploads/" in path:
        mark = f"{REGION_KEY}={region}"
        query = f"{query}&{mark}" if query else mark
    host = request.headers.get("Host", "")
    here = f"{request.url.scheme}://{host}{path}"
    return f"{here}?{query}" if query else here
