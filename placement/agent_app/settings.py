"""What the configuration says of an agent, in the words of its parts.

Secrets are read from their files once, here, and are never shown.
"""

from collections.abc import Collection, Iterator
from typing import Final

from placement.agent.door.door import DoorSettings
from placement.agent.feeds.networks import parse_networks
from placement.agent.feeds.translation import FeedSettings
from placement.agent.inventory.settings import InventorySettings
from placement.agent.receiver import ReceiverSettings
from placement.agent.registry.settings import RegistrySettings
from placement.agent.replicator.replicator import ReplicatorSettings
from placement.agent.router.settings import RouterSettings
from placement.config import (
    AgentConfig,
    RegistryConfig,
    read_secret,
    split_address,
)
from placement.config.agent_keys import (
    DoorConfig,
    ReceiverConfig,
    ReplicatorConfig,
    SpoolConfig,
)
from placement.core.event import Name
from placement.core.topology import Region, Topology, parse_region
from placement.spooling import SpoolLimits

PUBLISHER: Final = Name("placement-agent")


def feed_settings(chosen: ReceiverConfig, region: Region) -> FeedSettings:
    """Return how notifications are to be read; raises InputError."""
    networks = (f"{net}={at}" for net, at in chosen.client_regions.items())
    return FeedSettings(
        region=region,
        publisher=PUBLISHER,
        client_regions=parse_networks(networks, "agent.receiver.client_regions"),
        proxy=chosen.proxy,
    )


def receiver_settings(
    chosen: ReceiverConfig, region: Region, feeds: Collection[str]
) -> ReceiverSettings:
    """Return who may post what; raises InputError for a secret that is not there."""
    key = read_secret(chosen.signature_key_file, "agent.receiver.signature_key_file")
    return ReceiverSettings(
        region=region,
        feeds=feeds,
        token=read_secret(chosen.token_file, "agent.receiver.token_file"),
        signature_key=key.encode(),
    )


def inventory_settings(agent: AgentConfig, region: Region) -> InventorySettings:
    """Return how the region's own registry is read as a whole."""
    chosen = agent.inventory
    return InventorySettings(
        region=region,
        publisher=PUBLISHER,
        interval_ns=int(chosen.interval_seconds * 1_000_000_000),
        requests_per_second=chosen.requests_per_second,
        check_blobs=chosen.check_blobs,
        position_file=agent.state_dir / "inventory.json",
    )


def replicator_settings(chosen: ReplicatorConfig, region: Region) -> ReplicatorSettings:
    """Return how much is copied at once, and how fast; raises InputError."""
    where = "agent.replicator.bytes_per_second"
    return ReplicatorSettings(
        region=region,
        copies=chosen.copies,
        blobs=chosen.blobs,
        bytes_per_second={
            parse_region(code, f"{where}.{code}"): most
            for code, most in chosen.bytes_per_second.items()
        },
        evict=chosen.evict,
        garbage_collect_command=chosen.garbage_collect_command,
    )


def router_settings(agent: AgentConfig, region: Region) -> RouterSettings:
    """Return how the mirror of *region* answers."""
    chosen = agent.router
    host, port = split_address(chosen.listen)
    return RouterSettings(
        region=region,
        directory=agent.state_dir / "router",
        host=host,
        port=port,
        source_seconds=chosen.source_seconds,
        stall_seconds=chosen.stall_seconds,
        fills=chosen.fill,
        spool_bytes_max=chosen.spool_bytes,
        redirect_user_agents=chosen.redirect_user_agents,
        cert_file=chosen.cert_file,
        key_file=chosen.key_file,
        publisher=PUBLISHER,
    )


def asks_locally(agent: AgentConfig) -> bool:
    """Say whether any part asks a local replica."""
    asked = agent.router.listen or agent.door.listen or agent.door.http_listen
    return bool(asked) or agent.replicator.source != "none"


def door_settings(chosen: DoorConfig) -> DoorSettings | None:
    """Return where the door is; None: nowhere."""
    if not chosen.listen and not chosen.http_listen:
        return None
    return DoorSettings(
        split_address(chosen.listen) if chosen.listen else None,
        split_address(chosen.http_listen) if chosen.http_listen else None,
    )


def spool_limits(chosen: SpoolConfig) -> SpoolLimits:
    """Return how much the spool holds."""
    return SpoolLimits(
        waiting_bytes_max=chosen.waiting_bytes_max,
        kept_bytes_max=chosen.kept_bytes_max,
        kept_ns_max=int(chosen.kept_seconds * 1_000_000_000),
        aside_count_max=chosen.aside_count_max,
    )


def registries(
    agent: AgentConfig, region: Region, topology: Topology
) -> Iterator[RegistrySettings]:
    """Yield each region's registry, as far as its address is known.

    A region without a section in ``agent.sources`` is as our own one, at the address
    that the catalogue states. Raises InputError.
    """
    sources = {
        parse_region(name, f"agent.sources.{name}"): chosen
        for name, chosen in agent.sources.items()
    }
    for code in dict.fromkeys((region, *sources, *topology.regions)):
        own = code == region or code not in sources
        field_name = "agent.registry" if own else f"agent.sources.{code}"
        chosen = agent.registry if own else sources[code]
        listed = topology.endpoint(code) if code in topology.regions else ""
        url = (chosen.url if code == region or not own else "") or listed
        if url:
            yield registry_settings(code, chosen, url, field_name)


def registry_settings(
    region: Region, chosen: RegistryConfig, url: str, field_name: str
) -> RegistrySettings:
    """Return a registry's settings; its secrets are read now. Raises InputError."""
    password = chosen.password.get_secret_value()
    return RegistrySettings(
        region=region,
        url=url,
        user=chosen.user,
        password=password
        or read_secret(chosen.password_file, f"{field_name}.password_file"),
        token=read_secret(chosen.token_file, f"{field_name}.token_file"),
        token_realms=chosen.token_realms,
        storage_hosts=chosen.storage_hosts,
        ca_file=chosen.ca_file,
    )
