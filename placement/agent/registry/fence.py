"""Where a registry's words may make us connect: out to the public, never inward.

A registry redirects reads to its storage, and names a token service. So its word alone
decides which host we connect to, and a hostile one would name this machine's metadata
service, or a neighbour that only this network reaches. Addresses that are configured
are connected to wherever they are; any other has to be public, and what was looked up
is what is connected to, so that a name cannot mean two things.
"""

import errno
import socket
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final
from urllib.parse import urlsplit

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from placement.agent.registry.settings import RegistrySettings

PORTS: Final = {"http": 80, "https": 443}
GLOBAL: Final = IPv6Network("2000::/3")
"""All that is given to anybody; what else there is, networks translate or keep: old
site-local addresses, ``64:ff9b::``, ``::ffff:0:a.b.c.d``, ``::a.b.c.d``."""
INWARD: Final = (
    IPv6Network("2001::/32"),  # Teredo: an IPv4 address is within, whichever
    IPv6Network("2002::/16"),  # 6to4: likewise
    IPv6Network("3fff::/20"),  # documentation
    IPv4Network("168.63.129.16/32"),  # a cloud's own services, by an address of its own
    IPv4Network("192.0.0.0/24"),  # protocols' own, and another cloud's
    IPv4Network("192.88.99.0/24"),  # what was the relay of 6to4
)
"""What Python may call global, though no host of everybody's is there."""
ISATAP: Final = frozenset({b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe"})
"""Before an IPv4 address at the end, in the network of whoever tunnels so."""

Place = tuple[str, int | None]
"""A host in lower case and a port; None is any port."""


def places_of(settings: RegistrySettings) -> frozenset[Place]:
    """Return what is configured: the registry, its token services and its storage.

    Of the registry's own host every port: it could reach those by itself.
    """
    own = place_of(settings.base)[0], None
    told = {place_of(address) for address in settings.token_realms}
    return frozenset({own} | told) | storage_of(settings)


def storage_of(settings: RegistrySettings) -> frozenset[Place]:
    """Return where storage may be though that is not public, or without TLS."""
    return frozenset(map(_host, settings.storage_hosts))


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


def is_address(host: str) -> bool:
    """Say whether *host* is an IP address itself."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Say whether *address*, of an IP, is everybody's: no network's own."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        elif found not in GLOBAL or found.packed[8:12] in ISATAP:
            return False
    inward = any(found in network for network in INWARD)
    return found.is_global and not found.is_multicast and not inward


class Fence(AbstractResolver):
    """Looks names up, and keeps those to itself that lead inward."""

    def __init__(
        self, settings: RegistrySettings, inner: AbstractResolver | None = None
    ) -> None:
        """Let *inner* look up; what *settings* names may be wherever it is."""
        self._places = places_of(settings)
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; raises OSError where one leads inward."""
        found = await self._inner.resolve(host, port, family)
        self.check(host, port, [each["host"] for each in found])
        return found

    def check(self, host: str, port: int | None, addresses: Iterable[str]) -> None:
        """Raise OSError unless all *addresses* of *host* may be connected to."""
        if is_named(self._places, host, port):
            return
        inward = [address for address in addresses if not is_public(address)]
        if inward:
            message = (
                f"the registry sends us to {host}:{port}, which is no public address "
                f"({', '.join(inward)}): name it in storage_hosts if we may go there"
            )
            raise OSError(errno.EACCES, message)

    async def close(self) -> None:
        """Let go of what looks up."""
        await self._inner.close()


def _host(text: str) -> Place:
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and not host.endswith(":"):
        return host.strip("[]").lower(), int(port)
    return text.strip("[]").lower(), None
