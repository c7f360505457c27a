"""What the parts of an agent are built from, opened once and shared."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from placement.agent.feeds.translation import FeedSettings
from placement.agent.outlets import Outlet
from placement.agent.quiet import Quiet
from placement.agent.registry.client import Registry
from placement.agent.reporting import Report
from placement.agent.request_tail import RequestLogTail
from placement.agent.serving import Serving
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.sightings import Find
from placement.agent.underway import Underway
from placement.client import ClientTls, LocalPlacements, PlacementClient
from placement.config import Config
from placement.core.topology import Region, Topology
from placement.spooling import Spool

Registries = Mapping[Region, Registry]
"""Each region's registry; a region without one is not there."""


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where the service is, host:port, and how it and we know each other."""

    target: str
    tls: ClientTls | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What every part is built from; the parts share it."""

    config: Config
    region: Region
    topology: Topology
    feed: FeedSettings
    starts: StartSettings
    find: Find
    """Finds the digests of tags that schedulers name."""
    spool: Spool
    report: Report
    outlet: Outlet
    client: PlacementClient
    service: ServiceAddress
    local: LocalPlacements | None
    """The local replica; None where no part of this agent asks it."""
    registries: Registries
    request_log: RequestLogTail | None
    registry: CollectorRegistry
    """Tells what the parts say of themselves, on /metrics."""
    stack: AsyncExitStack
    """Closes what parts open, once all of them have ended."""
    underway: Underway = field(default_factory=Underway)
    """What the replicator and the mirror bring, so that neither brings it twice."""
    quiet: Quiet = field(default_factory=Quiet)
    """Garbage is collected only while neither of them writes."""
    serving: Serving = field(default_factory=Serving)
    """While the mirror serves anybody the registry is scanned more slowly, and events
    are sent a little later."""
