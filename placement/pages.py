"""What the service serves over HTTP, each part loaded only where it is wanted."""

from contextlib import AbstractAsyncContextManager, nullcontext

from prometheus_client import CollectorRegistry

from placement.api.server import PlacementServer
from placement.config import Config, split_address
from placement.runtime.planner import Planner
from placement.runtime.view import View


def metrics_pages(
    config: Config, registry: CollectorRegistry, view: View
) -> AbstractAsyncContextManager[int | None]:
    """Return what serves ``/metrics`` and ``/healthz``, if they are wanted."""
    if not config.metrics_listen:
        return nullcontext()
    from placement.telemetry.listener import (  # noqa: PLC0415 - costs 0.15 s
        listening,
        metrics_app,
    )

    return listening(metrics_app(registry, view), *split_address(config.metrics_listen))


def console_pages(
    config: Config,
    view: View,
    parts: tuple[PlacementServer, Planner | None, CollectorRegistry],
) -> AbstractAsyncContextManager[int | None]:
    """Return what serves the console, if it is wanted, and gives its port."""
    if not config.console_listen:
        return nullcontext()
    from placement.console_app import serve_console  # noqa: PLC0415 - costs 0.2 s

    return serve_console(config, view, parts)
