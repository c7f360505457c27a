"""What every feed takes and gives: its settings, and what became of a notification."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from placement.core.errors import InputError
from placement.core.event import Event, Identifier, Name
from placement.core.topology import Region


class IgnoredReason(StrEnum):
    """Why a well-formed notification says nothing that the log should hold."""

    HEAD_IS_NO_USE = "head-is-no-use"
    """A HEAD request: clients ask so whether content exists; nothing was fetched."""
    METHOD_UNKNOWN = "method-unknown"
    """A pull by another method than GET: not known to have fetched anything."""
    NOT_MODIFIED = "not-modified"
    """The client had the content already and fetched nothing (304)."""
    FAILED = "failed"
    """The registry answered with an error (4xx, 5xx)."""
    OWN_COPY = "own-copy"
    """Our replicator read it: demand must never feed on our own copies."""
    ACTION_UNKNOWN = "action-unknown"
    """An action that this version does not know."""
    NOT_CONTENT = "not-content"
    """A scan, a quota, a report: nothing came, went or was used by it."""
    OTHER_REGION = "other-region"
    """It happened where this agent is not."""
    OTHER_REGISTRY = "other-registry"
    """The image is of a registry that this agent was not told to mind."""
    IMAGE_UNKNOWN = "image-unknown"
    """Nothing tells which image the machine runs."""
    TAG_UNKNOWN = "tag-unknown"
    """The image is known by its tag alone, and nobody knows the tag's digest."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A notification that makes no event."""

    event_id: Identifier
    reason: IgnoredReason


@dataclass(frozen=True, slots=True)
class Malformed:
    """A notification that cannot be an event; *index* None is the whole envelope."""

    index: int | None
    field: str
    value: str
    remedy: str

    @classmethod
    def of(cls, index: int | None, error: InputError) -> "Malformed":
        """Return what *error* says of the notification at *index*."""
        return cls(index, error.field or "notification", error.value, error.remedy)


@dataclass(frozen=True, slots=True)
class Translation:
    """What an envelope means: each of its notifications is in one of the three."""

    events: tuple[Event, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    malformed: tuple[Malformed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """What the operator says of one registry; user agents are prefixes, in any case."""

    region: Region
    """Where the registry stores. From the configuration, never from an event."""
    publisher: Name
    """Who records the events, for people."""
    own_user_agents: tuple[str, ...] = ("placement-replicator/",)
    """Our replicators: what they read is no demand, what they write has arrived."""
    scanner_user_agents: tuple[str, ...] = (
        "anchore",
        "clair",
        "grype",
        "snyk",
        "syft",
        "trivy",
    )
    """Scanners: no demand."""
    replicator_user_agents: tuple[str, ...] = ()
    """Others' replicators that read here: no demand. A pull-through cache of
    Distribution, for one, is ``Go-http-client/``, as many other programs are."""
    client_regions: Mapping[IPv4Network | IPv6Network, Region] = field(
        default_factory=dict
    )
    """Where clients are, by network; the longest prefix wins, others are not known."""
    trusts_forwarded: bool = False
    """Whether a proxy in front of the registry overwrites X-Forwarded-For. If not, any
    client may write there what it likes, and such an address says nothing."""
    proxy: bool = False
    """Whether the registry is a pull-through cache: it tells of no push, so that its
    presence is read from its pulls."""
    own_accounts: tuple[str, ...] = ()
    """Accounts of our replicators, for registries that name accounts, not programs."""
    copying_accounts: tuple[str, ...] = ("harbor-jobservice",)
    """Accounts of the registry's own replication: what they push has arrived."""
    peer_regions: Mapping[str, Region] = field(default_factory=dict)
    """What the registry calls other regions, such as ``us-east-1``, and ours for it."""
