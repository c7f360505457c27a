"""GET /metrics and /healthz, over plain HTTP, from memory alone.

They hold no name of a tenant, repository or content. No authentication is asked: listen
where only those reach it who may know how the service is.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from placement.core.errors import InputError
from placement.hosting import Hosting, host_app, open_listener, port_of
from placement.runtime.view import View
from placement.telemetry.exposition import metrics_page

CONNECTIONS_MAX: Final = 32
FIELD: Final = "metrics_listen"

log_events = structlog.get_logger(__name__)


def metrics_app(registry: CollectorRegistry, view: View) -> Starlette:
    """Return both pages as an ASGI app."""

    async def health(_request: Request) -> Response:
        status_code = 200 if view.ready else 503
        return PlainTextResponse(health_text(view), status_code)

    return Starlette(
        routes=[
            metrics_page(registry),
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


@contextlib.asynccontextmanager
async def listening(
    app: Starlette, host: str, port: int, field: str = FIELD
) -> AsyncIterator[int]:
    """Serve *app* within the block, and give the port it is on; 0 is any free one.

    Raises InputError, naming the key *field*, when the address cannot be listened on.
    """
    try:
        listener = open_listener(host, port)
    except OSError as error:
        remedy = f"choose an address of this machine that is free ({error.strerror})"
        raise InputError(field, f"{host}:{port}", remedy) from None
    bound = port_of(listener)
    serving = asyncio.create_task(host_app(app, listener, Hosting(CONNECTIONS_MAX)))
    log_events.info("metrics_listening", host=host, port=bound)
    try:
        yield bound
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        listener.close()  # where it never began to serve
