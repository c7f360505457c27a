"""A registry node that answers with the best region's content: ASGI middleware.

A GET of a manifest or blob that this region lacks is answered from the region that it
comes from soonest, by a local replica. If that fails in time, the node itself answers.

python docs/examples/registry_middleware.py --region syd --registry http://127.0.0.1:5000
"""

import argparse
import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from placement.client import LocalPlacements, PlacementError

CONTENT = re.compile(r"/v2/(.+)/(blobs|manifests)/([^/]+)")
TOLD = ("accept", "range")
CONNECTION = frozenset({"connection", "host", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True)
class Placed:
    """Answers from the best region within a deadline, else as the node would."""

    node: ASGIApp
    local: LocalPlacements
    region: str
    http: httpx.AsyncClient
    deadline_s: float = 0.5  # to the first byte, over all places that are tried
    redirects: bool = False  # pullers go there themselves: nobody sees if that fails

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        gets = scope["type"] == "http" and scope["method"] == "GET"
        answer = await self._elsewhere(Request(scope)) if gets else None
        await (answer or self.node)(scope, receive, send)

    async def _elsewhere(self, request: Request) -> Response | None:
        """Return another region's answer; None: there is none in time."""
        with suppress(TimeoutError, PlacementError):  # then the node answers
            async with asyncio.timeout(self.deadline_s):
                for url in self._urls(request.url.path):
                    if self.redirects:
                        return RedirectResponse(url)
                    with suppress(httpx.HTTPError):  # then the next one may
                        answer = await fetch(self.http, request, url)
                        if answer.is_success:
                            return passed_on(answer)
                        await answer.aclose()
        return None

    def _urls(self, path: str) -> Iterator[str]:
        """Yield where to get a content that this region lacks, the best place first."""
        found = CONTENT.fullmatch(path)
        if found is None:
            return
        repository, kind, digest = found.groups()
        if ":" not in digest:  # a tag: raises while it may have moved since
            digest = self.local.resolve(repository, digest).digest
        if self.local.holds(repository, digest, self.region):
            return
        for source in self.local.rank_sources(repository, digest, self.region).sources:
            if source.endpoint and self.local.holds(repository, digest, source.region):
                yield f"{source.endpoint}/v2/{repository}/{kind}/{digest}"


async def fetch(http: httpx.AsyncClient, request: Request, url: str) -> httpx.Response:
    """Return the answer at *url*, as soon as its head is there."""
    told = {name: request.headers[name] for name in TOLD if name in request.headers}
    asked = http.build_request(request.method, url, headers=told)
    return await http.send(asked, stream=True, follow_redirects=True)


def passed_on(answer: httpx.Response) -> Response:
    """Return *answer* to whoever asked here, its body as it comes."""

    async def body() -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.aiter_raw():
                yield chunk
        finally:
            await answer.aclose()

    kept = {name: x for name, x in answer.headers.items() if name not in CONNECTION}
    return StreamingResponse(body(), answer.status_code, kept)


async def main(said: argparse.Namespace) -> None:
    """Serve the node until it is told to stop."""
    async with (
        httpx.AsyncClient(timeout=30.0) as http,
        await LocalPlacements.start(said.server) as local,
    ):

        async def node(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive)
            answer = await fetch(http, request, said.registry + request.url.path)
            await passed_on(answer)(scope, receive, send)

        placed = Placed(node, local, said.region, http)
        host, _, port = said.listen.rpartition(":")
        await uvicorn.Server(uvicorn.Config(placed, host, int(port))).serve()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--server", default="127.0.0.1:7450", help="the service")
    options.add_argument("--region", required=True, help="where this node is")
    options.add_argument("--registry", required=True, help="its own registry's URL")
    options.add_argument("--listen", default="127.0.0.1:5005", help="HOST:PORT")
    with suppress(KeyboardInterrupt):
        asyncio.run(main(options.parse_args()))
