"""Small servers that speak what Kubernetes' and Nomad's APIs document, over a socket.

They keep a history, stream it, cut connections in the middle of a line, forget what is
old, and refuse: as the real ones do.
"""

import asyncio
import contextlib
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

POLL_SECONDS = 0.005
Document = dict[str, Any]


class Quiet(uvicorn.Server):
    """A server that leaves the signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """*app* on a free port; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
        ws="none",
    )
    server = Quiet(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving


class CutError(Exception):
    """The connection is cut here."""


class Twin:
    """What both have: requests that are noted, cuts, and refusals."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.tokens: set[str] = set()
        self.failures: list[int] = []
        self.cuts: Counter[str] = Counter()
        self.closing = False

    def refusal(self, request: Request) -> Response | None:
        """Note *request*; answer the next of the planned failures."""
        self.requests.append((request.url.path, dict(request.query_params)))
        self.tokens.add(
            request.headers.get("authorization", "")
            or request.headers.get("x-nomad-token", "")
        )
        if self.failures:
            return JSONResponse({"message": "planned"}, self.failures.pop(0))
        return None

    def asked(self, path: str) -> list[dict[str, str]]:
        """The queries of all requests for *path*."""
        return [query for asked, query in self.requests if asked == path]

    async def paced(self, line: str, of: str) -> AsyncIterator[str]:
        """One line in two pieces; cut in the middle, if that is due for *of*."""
        half = len(line) // 2
        yield line[:half]
        if self.cuts[of]:
            self.cuts[of] -= 1
            raise CutError
        yield line[half:] + "\n"


class KubernetesTwin(Twin):
    """Pods, Events and Nodes, with list, watch, bookmarks and 410."""

    def __init__(self) -> None:
        """Begin with an empty cluster."""
        super().__init__()
        self.version = 100
        self.oldest = 0
        self.pods: dict[str, Document] = {}
        self.nodes: dict[str, Document] = {}
        self.history: list[tuple[int, str, str, Document]] = []
        self.http_gone = False

    @property
    def app(self) -> Starlette:
        """The API."""
        return Starlette(
            routes=[
                Route("/api/v1/{kind}", self.collection),
                Route("/api/v1/nodes/{name}", self.node),
            ]
        )

    def change(self, path: str, kind: str, document: Document) -> None:
        """Something happened to *document*, of /api/v1/*path*."""
        self.version += 1
        document["metadata"]["resourceVersion"] = str(self.version)
        self.history.append((self.version, path, kind, document))
        if path == "pods":
            uid = document["metadata"]["uid"]
            self.pods.pop(uid, None)
            if kind != "DELETED":
                self.pods[uid] = document

    def bookmark(self, path: str) -> None:
        """Tell watchers the newest version, and nothing else."""
        self.version += 1
        version = {"resourceVersion": str(self.version)}
        bookmark = (self.version, path, "BOOKMARK", {"metadata": version})
        self.history.append(bookmark)

    def compact(self) -> None:
        """Forget the history, as etcd does after some minutes."""
        self.version += 1
        self.oldest = self.version

    async def node(self, request: Request) -> Response:
        """One node."""
        refusal = self.refusal(request)
        found = self.nodes.get(request.path_params["name"])
        return refusal or JSONResponse(found or {}, 200 if found else 404)

    async def collection(self, request: Request) -> Response:
        """A list, or a watch."""
        refusal = self.refusal(request)
        if refusal is not None:
            return refusal
        kind = request.path_params["kind"]
        if "watch" in request.query_params:
            since = int(request.query_params["resourceVersion"])
            if self.http_gone and since < self.oldest:
                return JSONResponse({"code": 410}, 410)
            return StreamingResponse(self.watch(kind, since))
        known = {"pods": self.pods, "nodes": self.nodes}.get(kind, {})
        items = list(known.values())
        limit = int(request.query_params["limit"])
        begin = int(request.query_params.get("continue", 0))
        more = str(begin + limit) if begin + limit < len(items) else ""
        metadata = {"resourceVersion": str(self.version), "continue": more}
        page = items[begin : begin + limit]
        return JSONResponse({"kind": "List", "metadata": metadata, "items": page})

    async def watch(self, kind: str, since: int) -> AsyncIterator[str]:
        """All changes after *since*, for ever."""
        if since < self.oldest:
            gone = {
                "kind": "Status",
                "code": 410,
                "message": "too old resource version",
            }
            yield json.dumps({"type": "ERROR", "object": gone}) + "\n"
            return
        told = since
        while not self.closing:
            for version, path, change, document in list(self.history):
                if version > told and path == kind:
                    line = json.dumps({"type": change, "object": document})
                    async for piece in self.paced(line, kind):
                        yield piece
                    told = version
            await asyncio.sleep(POLL_SECONDS)


class NomadTwin(Twin):
    """Allocations and nodes, and the event stream with its heartbeats."""

    def __init__(self) -> None:
        """Begin with an empty cluster."""
        super().__init__()
        self.index = 10
        self.history: list[Document] = []
        self.allocations: dict[str, Document] = {}
        self.nodes: dict[str, Document] = {}

    @property
    def app(self) -> Starlette:
        """The API."""
        return Starlette(
            routes=[
                Route("/v1/event/stream", self.stream),
                Route("/v1/allocations", self.listed),
                Route("/v1/allocation/{name}", self.allocation),
                Route("/v1/node/{name}", self.node),
            ]
        )

    def change(self, allocation: Document, job: Document | None = None) -> None:
        """An allocation was updated; the stream leaves its job out."""
        self.index += 1
        self.allocations[allocation["ID"]] = {**allocation, "Job": job}
        event = {
            "Topic": "Allocation",
            "Type": "AllocationUpdated",
            "Key": allocation["ID"],
            "Index": self.index,
            "Payload": {"Allocation": {**allocation, "Job": None}},
        }
        self.history.append({"Index": self.index, "Events": [event]})

    async def stream(self, request: Request) -> Response:
        """The event stream from an index on, that index included."""
        refusal = self.refusal(request)
        return refusal or StreamingResponse(
            self.lines(int(request.query_params["index"]))
        )

    async def lines(self, since: int) -> AsyncIterator[str]:
        """Lines, and heartbeats while there are none."""
        told = since - 1
        while not self.closing:
            for line in list(self.history):
                if line["Index"] > told:
                    async for piece in self.paced(json.dumps(line), "stream"):
                        yield piece
                    told = line["Index"]
            yield "{}\n"
            await asyncio.sleep(POLL_SECONDS)

    async def listed(self, request: Request) -> Response:
        """Stubs of all allocations, page by page."""
        refusal = self.refusal(request)
        if refusal is not None:
            return refusal
        stubs = [{**one, "Job": None} for one in self.allocations.values()]
        count = int(request.query_params["per_page"])
        begin = int(request.query_params.get("next_token", 0))
        more = begin + count < len(stubs)
        headers = {"X-Nomad-NextToken": str(begin + count)} if more else {}
        return JSONResponse(stubs[begin : begin + count], headers=headers)

    async def allocation(self, request: Request) -> Response:
        """One allocation, with its job."""
        refusal = self.refusal(request)
        found = self.allocations.get(request.path_params["name"])
        return refusal or JSONResponse(found or {}, 200 if found else 404)

    async def node(self, request: Request) -> Response:
        """One node."""
        refusal = self.refusal(request)
        found = self.nodes.get(request.path_params["name"])
        return refusal or JSONResponse(found or {}, 200 if found else 404)
