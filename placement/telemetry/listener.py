"""GET /metrics and /healthz, over plain HTTP, from memory alone.

They hold no name of a tenant, repository or content. No authentication is asked: listen
where only those reach it who may know how the service is.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from placement.core.errors import InputError
from placement.runtime.view import View

CONNECTIONS_MAX: Final = 32
STOP_SECONDS_MAX: Final = 1
FIELD: Final = "metrics_listen"

log_events = structlog.get_logger(__name__)


def metrics_app(registry: CollectorRegistry, view: View) -> Starlette:
    """Return both pages as an ASGI app."""

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    async def health(_request: Request) -> Response:
        status_code = 200 if view.ready else 503
        return PlainTextResponse(health_text(view), status_code)

    return Starlette(
        routes=[
            Route("/metrics", metrics, methods=["GET"]),
            Route("/healthz", health, methods=["GET"]),
        ]
    )


def health_text(view: View) -> str:
    """Return how the service is, for people: the state, and what is wrong, if it is."""
    basis = view.basis()
    lines = [
        basis.state.name,
        f"epoch: {basis.epoch or 'none yet'}",
        f"sequence: {basis.sequence} of {view.last_sequence or 'an unknown number'}",
        f"staleness: {basis.staleness_ns / 1_000_000_000:.1f} s",
    ]
    if view.rebuilding:
        lines.append(f"folded again beside: {view.rebuilding}")
    if view.trouble:
        lines.append(f"trouble: {view.trouble}")
    return "\n".join(lines) + "\n"


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.asynccontextmanager
async def listening(app: Starlette, host: str, port: int) -> AsyncIterator[int]:
    """Serve *app* within the block, and give the port it is on; 0 is any free one.

    Raises InputError, naming the key, when the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        remedy = f"choose an address of this machine that is free ({error.strerror})"
        raise InputError(FIELD, f"{host}:{port}", remedy) from None
    server = _Server(
        uvicorn.Config(
            app,
            access_log=False,
            lifespan="off",
            limit_concurrency=CONNECTIONS_MAX,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS_MAX,
            ws="none",
        )
    )
    bound = listener.getsockname()[1]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    log_events.info("metrics_listening", host=host, port=bound)
    try:
        yield bound
    finally:
        server.should_exit = True
        await asyncio.wait({serving})
