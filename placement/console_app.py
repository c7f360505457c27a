"""Composition root of the console: builds it from the configuration, and serves it."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from prometheus_client import CollectorRegistry

from placement.api.server import PlacementServer
from placement.config import Config, load_prices, load_topology, split_address
from placement.config.values import is_loopback
from placement.console.guarding import Rules
from placement.console.pages import PAGES
from placement.console.serving import serving
from placement.console.settings import ConsoleSettings
from placement.console.site import Checkpoint, Workings, site_of
from placement.console.web import Console
from placement.runtime.planner import Planner
from placement.runtime.view import View

CHECKPOINT: Final = (
    "placement_checkpoint_sequence",
    "placement_checkpoint_timestamp_seconds",
)
NS_PER_SECOND: Final = 1_000_000_000


def console_settings(config: Config) -> ConsoleSettings:
    """Return how the configuration sets the console up, which has to be on."""
    host, port = split_address(config.console_listen)
    return ConsoleSettings(
        host=host,
        port=port,
        optional="console_listen" not in config.model_fields_set,
        cert_file=config.tls.cert_file,
        key_file=config.tls.key_file,
        client_ca_file=config.tls.client_ca_file,
        trust_domain=config.tls.trust_domain,
        look_interval_s=config.tls.reload_seconds,
    )


@contextlib.asynccontextmanager
async def serve_console(
    config: Config,
    view: View,
    parts: tuple[PlacementServer, Planner | None, CollectorRegistry],
) -> AsyncIterator[int | None]:
    """Serve the console within the block, and give its port; None: there is none.

    Raises InputError, naming the key, when the address cannot be listened on.
    """
    (server, planner, registry), topology = parts, load_topology(config)
    workings = Workings(
        planner=planner,
        watch_count=lambda: server.watch_count,
        checkpoint=lambda: _checkpoint(registry),
    )
    prices = load_prices(config, topology)
    site = site_of(view, topology, prices, workings, server.stored)
    settings = console_settings(config)
    loopback = is_loopback(config.console_listen)
    console = Console(
        site, PAGES, Rules(loopback, settings.trust_domain, server.denials)
    )
    async with serving(console.app, settings) as port:
        try:
            yield port
        finally:
            console.live.stop()


def _checkpoint(registry: CollectorRegistry) -> Checkpoint:
    """Return what metrics say of the checkpoint."""
    found = {
        sample.name: sample.value
        for metric in registry.restricted_registry(CHECKPOINT).collect()
        for sample in metric.samples
    }
    sequence, saved_s = (found.get(name, 0.0) for name in CHECKPOINT)
    return Checkpoint(int(sequence), int(saved_s * NS_PER_SECOND))
