"""Facts about content: pushed, pulled, tagged, moved between regions, gone.

Defined by the comments of ``events.proto``; each class is its message there.
"""

from dataclasses import dataclass

from placement.core.facts.values import (
    ClientKind,
    DurationNs,
    Identifier,
    Name,
    Text,
    TimeNs,
    TransferOutcome,
)
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class ContentPushed:
    """Content was stored in the event's region by a push or a mount."""

    content: Descriptor
    repository: Repository
    tag: Tag | None = None
    references: tuple[Descriptor, ...] = ()
    subject_digest: Digest | None = None
    client_region: Region | None = None
    push_duration_ns: DurationNs | None = None
    mounted_from_repository: Repository | None = None


@dataclass(frozen=True, slots=True)
class ContentPulled:
    """A client fetched content: a use; presence is none of its business."""

    digest: Digest
    repository: Repository
    tag: Tag | None = None
    client_region: Region | None = None
    source_region: Region | None = None
    transferred_bytes: int = 0
    pull_duration_ns: DurationNs | None = None
    client_kind: ClientKind = ClientKind.UNSPECIFIED
    media_type: Name = Name("")
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class TagMoved:
    """A tag was set in the event's region, or removed (no digest)."""

    repository: Repository
    tag: Tag
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class InventoryContent:
    """One content of an inventory."""

    content: Descriptor
    repository: Repository
    references: tuple[Descriptor, ...] = ()
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class InventoryAbsence:
    """Content that a HEAD by digest answered 404 for."""

    digest: Digest
    repository: Repository


@dataclass(frozen=True, slots=True)
class InventoryTaken:
    """A page of what the event's region holds."""

    scan_time_ns: TimeNs
    complete: bool = False
    contents: tuple[InventoryContent, ...] = ()
    absences: tuple[InventoryAbsence, ...] = ()


@dataclass(frozen=True, slots=True)
class TransferMeasured:
    """A real transfer into the event's region was timed."""

    source_region: Region
    transferred_bytes: int
    transfer_duration_ns: DurationNs
    concurrency: int = 0
    outcome: TransferOutcome = TransferOutcome.UNSPECIFIED
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class ContentAnnounced:
    """Content is on its way into the event's region."""

    content: Descriptor
    repository: Repository
    held_bytes: int = 0
    source_region: Region | None = None
    replication_id: Identifier | None = None


@dataclass(frozen=True, slots=True)
class ContentReplicated:
    """Content arrived in the event's region by a copy: never demand."""

    contents: tuple[Descriptor, ...]
    repository: Repository
    source_region: Region | None = None
    verified: bool = False
    replication_id: Identifier | None = None
    original_digest: Digest | None = None
    references: tuple[Descriptor, ...] = ()


@dataclass(frozen=True, slots=True)
class ContentEvicted:
    """Content left the event's region."""

    repository: Repository
    digests: tuple[Digest, ...] = ()
    whole_repository: bool = False
    reason: Text = Text("")
    eviction_id: Identifier | None = None


@dataclass(frozen=True, slots=True)
class OwnershipDeclared:
    """Who owns a repository, where its name does not tell."""

    repository: Repository
    organization: Name = Name("")
    app: Name = Name("")
