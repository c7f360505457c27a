"""What a notification lets one know of a client: what kind it is, and where it is."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from placement.agent.feeds.translation import FeedSettings
from placement.core.event import ClientKind
from placement.core.topology import Region

RUNTIME_USER_AGENTS: Final = (
    "containerd/",
    "containers/",  # podman
    "cri-o/",
    "docker/",
    "podman/",
    "skopeo/",
)
BUILDER_USER_AGENTS: Final = ("buildah/", "buildkit/", "kaniko/")


def is_own(user_agent: str, feed: FeedSettings) -> bool:
    """Say whether one of our own replicators asked."""
    return _starts(user_agent, feed.own_user_agents)


def client_kind(user_agent: str, feed: FeedSettings) -> ClientKind:
    """Return what kind of client says *user_agent*; UNSPECIFIED for unknown ones."""
    kinds = (
        (ClientKind.SCANNER, feed.scanner_user_agents),
        (ClientKind.REPLICATOR, feed.replicator_user_agents),
        (ClientKind.RUNTIME, RUNTIME_USER_AGENTS),
        (ClientKind.BUILDER, BUILDER_USER_AGENTS),
    )
    for kind, prefixes in kinds:
        if _starts(user_agent, prefixes):
            return kind
    return ClientKind.UNSPECIFIED


def client_region(address: str, feed: FeedSettings) -> Region | None:
    """Return the region of the network that *address* is in; None when not known.

    Distribution writes ``ip:port`` for the peer of the connection, and a bare ``ip``
    for what an X-Forwarded-For or X-Real-Ip header claims, which any client may send.
    Source: distribution/distribution, ``RemoteAddr``.
    """
    host, forwarded = _host(address)
    if forwarded and not feed.trusts_forwarded:
        return None
    try:
        client = _unmapped(ip_address(host))
    except ValueError:  # a host name, or nothing
        return None
    networks = [network for network in feed.client_regions if client in network]
    if not networks:
        return None
    nearest = max(networks, key=lambda network: network.prefixlen)
    return feed.client_regions[nearest]


def _host(address: str) -> tuple[str, bool]:
    """Return the host of *address*, and whether it came without a port."""
    if address.startswith("["):
        host, _, port = address[1:].partition("]:")
        return host.removesuffix("]"), not port
    host, _, port = address.partition(":")
    if not port or ":" in port:  # a bare IPv4 address, a bare IPv6 address
        return address, True
    return host, False


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 socket shows as ``::ffff:10.0.0.1``."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _starts(user_agent: str, prefixes: tuple[str, ...]) -> bool:
    return user_agent.lower().startswith(tuple(prefix.lower() for prefix in prefixes))
