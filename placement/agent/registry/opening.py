"""Opens a registry as we ask it for our own ends: by name, within limits, verified."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Final

import httpx

from placement.agent.registry.client import Registry
from placement.agent.registry.exchange import TIMEOUT, USER_AGENT
from placement.agent.registry.fence import Fence
from placement.agent.registry.settings import RegistrySettings
from placement.agent.registry.transport import Transport
from placement.core.errors import InputError

CONNECTIONS_MAX: Final = 128
IDLE_SECONDS: Final = 60.0
"""Connecting across an ocean takes a round trip or three."""


@asynccontextmanager
async def opened(
    settings: RegistrySettings,
    connections_max: int = CONNECTIONS_MAX,
    idle_seconds: float = IDLE_SECONDS,
) -> AsyncIterator[Registry]:
    """Give a registry with connections of its own, which are closed at the end.

    A connection that was idle for *idle_seconds* is not used again. Raises InputError
    when the ``ca_file`` is none.
    """
    transport = Transport(
        Fence(settings), _authorities(settings), connections_max, idle_seconds
    )
    async with httpx.AsyncClient(
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        timeout=TIMEOUT,
        transport=transport,
        trust_env=False,
    ) as http:
        # What a registry tells one client by a cookie, no other one may send.
        http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
        yield Registry(settings, http, transport=transport)


def _authorities(settings: RegistrySettings) -> ssl.SSLContext:
    """Return what verifies the registry: its own authorities, or the system's."""
    file = settings.ca_file
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        remedy = f"name a PEM file of authorities that can be read ({error})"
        raise InputError("ca_file", str(file), remedy) from None
