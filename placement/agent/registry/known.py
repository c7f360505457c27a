"""The registries that an agent knows: its own, and those that it copies from."""

import ssl
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

import httpx

from placement.agent.registry.client import Registry
from placement.agent.registry.settings import RegistrySettings
from placement.core.topology import Region

USER_AGENT: Final = f"placement-replicator/{version('placement')}"
"""By it, feeds know our own copies and scans, which are no demand."""
CONNECTIONS_MAX: Final = 64

Registries = Mapping[Region, Registry]
"""Each region's registry; a region without one is not there."""


def known_registry(settings: RegistrySettings) -> tuple[Registry, httpx.AsyncClient]:
    """Return a registry, and its connections, to be closed in the end."""
    verify: ssl.SSLContext | bool = True
    if settings.ca_file is not None:
        verify = ssl.create_default_context(cafile=settings.ca_file)
    http = httpx.AsyncClient(
        headers={"User-Agent": USER_AGENT},
        verify=verify,
        limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
        trust_env=False,
    )
    return Registry(settings, http), http
