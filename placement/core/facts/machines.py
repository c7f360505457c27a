"""Facts about machines: asked for, started, stopped, counted.

Defined by the comments of ``events.proto``; each class is its message there.
"""

from dataclasses import dataclass

from placement.core.facts.values import (
    CacheKind,
    DurationNs,
    Identifier,
    StartCause,
    TimeNs,
)
from placement.core.oci import Digest, Platform, Repository, Tag
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class StartsRequested:
    """Somebody is about to start machines."""

    repository: Repository
    reference: Digest | Tag
    regions: tuple[Region, ...]
    machine_count: int = 0
    expected_time_ns: TimeNs | None = None
    request_id: Identifier | None = None
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class MachineStarted:
    """A machine started in the event's region."""

    digest: Digest
    repository: Repository
    machine_id: Identifier
    tag: Tag | None = None
    platform: Platform | None = None
    request_time_ns: TimeNs | None = None
    image_wait_ns: DurationNs | None = None
    source_region: Region | None = None
    transferred_bytes: int = 0
    cache: CacheKind = CacheKind.UNSPECIFIED
    cause: StartCause = StartCause.UNSPECIFIED
    expected_wait_p50_ns: DurationNs | None = None
    expected_wait_p90_ns: DurationNs | None = None


@dataclass(frozen=True, slots=True)
class MachineStopped:
    """A machine stopped in the event's region."""

    machine_id: Identifier
    digest: Digest | None = None
    repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class MachineGroup:
    """The machines that run one image."""

    repository: Repository
    digest: Digest
    machine_ids: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class MachinesCounted:
    """A page of the machines that run in the event's region."""

    scan_time_ns: TimeNs
    complete: bool = False
    groups: tuple[MachineGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class AppWithdrawn:
    """An app is no longer meant to run in the event's region."""

    repository: Repository
