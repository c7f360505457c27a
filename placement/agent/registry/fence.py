"""Where a registry's words may make us connect: out to the public, never inward.

A registry redirects reads to its storage, and names a token service. So its word alone
decides which host we connect to, and a hostile one would name this machine's metadata
service, or a neighbour that only this network reaches. Addresses that are configured
are connected to wherever they are; any other has to be public, and what was looked up
is what is connected to, so that a name cannot mean two things.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx

from placement.agent.registry.settings import RegistrySettings

PORTS: Final = {"http": 80, "https": 443}
TRANSLATED: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("2002::/16"))
"""IPv6 that some networks carry to an IPv4 address within it, whichever that is."""

Place = tuple[str, int | None]
"""A host in lower case and a port; None is any port."""


def places_of(settings: RegistrySettings) -> frozenset[Place]:
    """Return what is configured: the registry, its token services and its storage.

    Of the registry's own host every port: it could reach those by itself.
    """
    own = place_of(settings.base)[0], None
    told = {place_of(address) for address in settings.token_realms}
    return frozenset({own} | told | {_host(each) for each in settings.storage_hosts})


def place_of(address: str) -> Place:
    """Return where *address*, an URL, is; ("", None) for one that is nowhere."""
    try:
        parts = urlsplit(address)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return "", None
    return (parts.hostname or "").lower(), port


def is_named(places: Iterable[Place], host: str, port: int | None) -> bool:
    """Say whether *places* hold *host*, at *port* or at any."""
    name = host.lower()
    return any(name == known and at in {None, port} for known, at in places)


def is_public(address: str) -> bool:
    """Say whether *address*, of an IP, is everybody's: no network's own."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if any(found in network for network in TRANSLATED):
            return False
        found = found.ipv4_mapped or found
    return found.is_global and not found.is_multicast


class Fence(httpcore.AsyncNetworkBackend):
    """Connects to what is configured, and to what is public."""

    def __init__(
        self, places: frozenset[Place], inner: httpcore.AsyncNetworkBackend
    ) -> None:
        """Let *inner* connect, to *places* wherever they are."""
        self._places = places
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, or raise ConnectError where *host* leads inward."""
        target = host
        if not is_named(self._places, host, port):
            target = await _public_address(host, port)
        return await self._inner.connect_tcp(
            target, port, timeout, local_address, socket_options
        )

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await self._inner.sleep(seconds)


class FencedTransport(httpx.AsyncHTTPTransport):
    """An HTTP transport that connects through a Fence."""

    def __init__(
        self, settings: RegistrySettings, verify: ssl.SSLContext, limits: httpx.Limits
    ) -> None:
        """Connect to the registry of *settings* and to where it may send us."""
        super().__init__(verify=verify, trust_env=False, limits=limits)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=Fence(places_of(settings), httpcore.AnyIOBackend()),
        )


async def _public_address(host: str, port: int) -> str:
    """Return the address of *host*, all of whose addresses have to be public."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        message = f"{host} has no address: {error}"
        raise httpcore.ConnectError(message) from error
    addresses = [str(each[4][0]) for each in found]
    inward = [address for address in addresses if not is_public(address)]
    if inward or not addresses:
        message = (
            f"the registry sends us to {host}:{port}, which is no public address "
            f"({', '.join(inward)}): name it in storage_hosts if we may go there"
        )
        raise httpcore.ConnectError(message)
    return addresses[0]


def _host(text: str) -> Place:
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and not host.endswith(":"):
        return host.strip("[]").lower(), int(port)
    return text.strip("[]").lower(), None
