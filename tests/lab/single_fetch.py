"""A pull-through cache as fair as can be: it fetches each blob once, and streams on.

    python -m tests.lab.single_fetch CONFIGURATION

docker-registry 2.8.2 fetches every blob twice (distribution/distribution#3428), so
compared with it alone anything looks good. This one asks upstream for a tag's digest,
as it must, and for nothing that it has; whoever asks for a blob on its way reads along.
It lets its region's clients in without a token, which saves them a round trip there.
"""

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

CHUNK_BYTES: Final = 1 << 18
TOKEN_SECONDS: Final = 200.0
TIMEOUT: Final = httpx.Timeout(60.0)
DIGEST: Final = "Docker-Content-Digest"
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)


class Flight:
    """One blob on its way: a file that grows, and those who read along."""

    def __init__(self, path: Path) -> None:
        """Write to *path*."""
        self.path = path
        self.size = 0
        self.ended = False
        self._grown = asyncio.Condition()

    async def fill(self, response: httpx.Response) -> None:
        """Write what *response* brings, and tell."""
        with self.path.open("wb", buffering=0) as file:
            async for chunk in response.aiter_raw(CHUNK_BYTES):
                file.write(chunk)
                self.size += len(chunk)
                async with self._grown:
                    self._grown.notify_all()

    async def end(self) -> None:
        """Tell that nothing more comes."""
        self.ended = True
        async with self._grown:
            self._grown.notify_all()

    async def read(self) -> AsyncIterator[bytes]:
        """Yield all of it, as it comes."""
        sent = 0
        with self.path.open("rb") as file:
            while True:
                async with self._grown:
                    while self.size <= sent and not self.ended:
                        await self._grown.wait()
                while chunk := file.read(CHUNK_BYTES):
                    sent += len(chunk)
                    yield chunk
                if self.ended and sent >= self.size:
                    return


class Cache:
    """Answers pulls from its folder, and from upstream what is not there."""

    def __init__(self, told: dict[str, str], http: httpx.AsyncClient) -> None:
        """Keep who we are upstream, and where to keep things."""
        self._told = told
        self._http = http
        self._folder = Path(told["folder"])
        self._tokens: dict[str, tuple[str, float]] = {}
        self._flights: dict[str, Flight] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def version(self, _request: Request) -> Response:
        """Say that this is a registry."""
        return Response(headers={"Docker-Distribution-API-Version": "registry/2.0"})

    async def manifest(self, request: Request) -> Response:
        """Answer a manifest; by tag, upstream says which one."""
        name, reference = request.path_params["name"], request.path_params["reference"]
        digest = reference
        if not reference.startswith("sha256:"):
            head = await self._upstream("HEAD", name, f"manifests/{reference}")
            if head.status_code != httpx.codes.OK:
                return Response(status_code=head.status_code)
            digest = head.headers[DIGEST]
        stored = self._folder / digest.removeprefix("sha256:")
        if not stored.exists():
            found = await self._upstream("GET", name, f"manifests/{digest}")
            if found.status_code != httpx.codes.OK:
                return Response(status_code=found.status_code)
            stored.write_bytes(found.content)
        body = stored.read_bytes()
        kind = json.loads(body)["mediaType"]
        headers = {DIGEST: digest, "Content-Type": kind}
        return Response(body, headers=headers)

    async def blob(self, request: Request) -> Response:
        """Answer a blob: kept, on its way, or fetched now."""
        name, digest = request.path_params["name"], request.path_params["digest"]
        stored = self._folder / digest.removeprefix("sha256:")
        headers = {DIGEST: digest, "Content-Type": "application/octet-stream"}
        if stored.exists():
            return FileResponse(stored, headers=headers)
        flight = self._flights.get(digest)
        if flight is None:
            flight = self._flights[digest] = Flight(stored.with_suffix(".part"))
            flight.path.touch()
            task = asyncio.create_task(self._fetch(name, digest, flight, stored))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return StreamingResponse(flight.read(), headers=headers)

    async def _fetch(
        self, name: str, digest: str, flight: Flight, stored: Path
    ) -> None:
        url = f"{self._told['upstream']}/v2/{name}/blobs/{digest}"
        headers = {"Authorization": await self._authorization(name)}
        try:
            async with self._http.stream("GET", url, headers=headers) as response:
                response.raise_for_status()
                await flight.fill(response)
            flight.path.rename(stored)
        finally:
            await flight.end()
            del self._flights[digest]

    async def _upstream(self, method: str, name: str, path: str) -> httpx.Response:
        url = f"{self._told['upstream']}/v2/{name}/{path}"
        authorization = await self._authorization(name)
        headers = {"Authorization": authorization, "Accept": MANIFESTS}
        return await self._http.request(method, url, headers=headers)

    async def _authorization(self, name: str) -> str:
        token, ends_s = self._tokens.get(name, ("", 0.0))
        if time.monotonic() >= ends_s:
            scope = {"service": "registry", "scope": f"repository:{name}:pull"}
            auth = (self._told["user"], self._told["password"])
            answer = await self._http.get(self._told["realm"], params=scope, auth=auth)
            token = answer.raise_for_status().json()["token"]
            self._tokens[name] = (token, time.monotonic() + TOKEN_SECONDS)
        return f"Bearer {token}"


class Server(uvicorn.Server):
    """Says on stdout when it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        sys.stdout.write("ready\n")
        sys.stdout.flush()


async def run(told: dict[str, str]) -> None:
    """Serve until a signal ends the process."""
    async with httpx.AsyncClient(timeout=TIMEOUT) as http:
        cache = Cache(told, http)
        routes = [
            Route("/v2/", cache.version),
            Route("/v2/{name:path}/manifests/{reference}", cache.manifest),
            Route("/v2/{name:path}/blobs/{digest}", cache.blob),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes),
            host=told["host"],
            port=int(told["port"]),
            log_level="error",
        )
        await Server(config).serve()


def main() -> None:
    """Read the configuration and serve."""
    asyncio.run(run(json.loads(Path(sys.argv[1]).read_text("utf-8"))))


if __name__ == "__main__":
    main()
