"""An event: one fact, who recorded it, and where the log holds it.

The facts are named like their messages in ``events.proto``, whose comments define them,
and so is each field, with its unit added: ``occur_time`` is ``occur_time_ns`` here.
"""

from dataclasses import dataclass
from typing import Final

from placement.core.facts.content import (
    ContentAnnounced,
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    InventoryAbsence,
    InventoryContent,
    InventoryTaken,
    OwnershipDeclared,
    TagMoved,
    TransferMeasured,
)
from placement.core.facts.decisions import (
    EvictionCancelled,
    EvictionPlanned,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationStarted,
    ReplicationSubject,
    ReplicationWithheld,
)
from placement.core.facts.machines import (
    AppWithdrawn,
    MachineGroup,
    MachinesCounted,
    MachineStarted,
    MachineStopped,
    StartsRequested,
)
from placement.core.facts.operations import (
    ContentPinned,
    ContentUnpinned,
    EventQuarantined,
    PolicyChanged,
    RegionChanged,
    ReplicationPaused,
    ReplicationResumed,
    TickPassed,
)
from placement.core.facts.values import (
    CacheKind,
    ClientKind,
    Document,
    DurationNs,
    Factor,
    FailureCause,
    Identifier,
    Name,
    Operation,
    RegionState,
    ReplicationTrigger,
    StartCause,
    Text,
    TimeNs,
    TransferOutcome,
    WithholdReason,
)
from placement.core.oci import Digest
from placement.core.topology import Region

__all__ = [
    "DECIDING_FACTS",
    "AppWithdrawn",
    "CacheKind",
    "ClientKind",
    "ContentAnnounced",
    "ContentEvicted",
    "ContentPinned",
    "ContentPulled",
    "ContentPushed",
    "ContentReplicated",
    "ContentUnpinned",
    "Document",
    "DurationNs",
    "Event",
    "EventQuarantined",
    "EvictionCancelled",
    "EvictionPlanned",
    "Fact",
    "Factor",
    "FailureCause",
    "Identifier",
    "InventoryAbsence",
    "InventoryContent",
    "InventoryTaken",
    "MachineGroup",
    "MachineStarted",
    "MachineStopped",
    "MachinesCounted",
    "Name",
    "Operation",
    "OwnershipDeclared",
    "PolicyChanged",
    "Recorded",
    "RecordedMessage",
    "RegionChanged",
    "RegionState",
    "ReplicationCancelled",
    "ReplicationCompleted",
    "ReplicationExpired",
    "ReplicationFailed",
    "ReplicationPaused",
    "ReplicationPlanned",
    "ReplicationRequested",
    "ReplicationResumed",
    "ReplicationStarted",
    "ReplicationSubject",
    "ReplicationTrigger",
    "ReplicationWithheld",
    "SetAside",
    "StartCause",
    "StartsRequested",
    "TagMoved",
    "Text",
    "TickPassed",
    "TimeNs",
    "TransferMeasured",
    "TransferOutcome",
    "WithholdReason",
]

Fact = (
    ContentPushed
    | ContentPulled
    | TagMoved
    | StartsRequested
    | MachineStarted
    | MachineStopped
    | MachinesCounted
    | AppWithdrawn
    | InventoryTaken
    | TransferMeasured
    | ContentAnnounced
    | ContentReplicated
    | ContentEvicted
    | OwnershipDeclared
    | ReplicationRequested
    | ReplicationPlanned
    | ReplicationWithheld
    | ReplicationStarted
    | ReplicationCompleted
    | ReplicationFailed
    | ReplicationCancelled
    | ReplicationExpired
    | EvictionPlanned
    | EvictionCancelled
    | RegionChanged
    | ReplicationPaused
    | ReplicationResumed
    | ContentPinned
    | ContentUnpinned
    | PolicyChanged
    | TickPassed
    | EventQuarantined
)

DECIDING_FACTS: Final[frozenset[type]] = frozenset(
    {
        ReplicationRequested,
        ReplicationPlanned,
        ReplicationWithheld,
        ReplicationExpired,
        ReplicationCancelled,
        EvictionPlanned,
        EvictionCancelled,
        RegionChanged,
        ReplicationPaused,
        ReplicationResumed,
        ContentPinned,
        ContentUnpinned,
        PolicyChanged,
        TickPassed,
        EventQuarantined,
    }
)
"""Requests, decisions, operators' orders, ticks and quarantines.

They have subjects and event ids of their own: no region's agent can store one, nor an
event under whose id one would be a repeat.
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One recorded fact and who recorded it."""

    event_id: Identifier
    region: Region
    fact: Fact
    occur_time_ns: TimeNs | None = None
    publisher: Name = Name("")
    organization: Name = Name("")
    app: Name = Name("")


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event where the log holds it.

    *time_ns* is the event's own time, never later than *store_time_ns*, the time at
    which the log stored the message.
    """

    sequence: int
    batch_index: int
    time_ns: int
    store_time_ns: int
    event: Event


@dataclass(frozen=True, slots=True)
class SetAside:
    """An event that cannot be folded, by the bytes and the log's time alone."""

    sequence: int
    batch_index: int
    store_time_ns: int
    reason: str
    """From the documented list, such as DIGEST_INVALID."""


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """One message of the log, decoded: what the fold advances by."""

    sequence: int
    store_time_ns: int
    message_hash: bytes
    """BLAKE2b-16 of its bytes and time: recognises a log that was rewound."""
    items: tuple[Recorded | SetAside, ...]


def is_deciding(event: Event) -> bool:
    """Say whether *event* counts only on the subjects of decisions."""
    return type(event.fact) in DECIDING_FACTS


def regions_named(event: Event) -> list[Region]:
    """Return every region that *event* names, its own first, each once."""
    fact = event.fact
    found: list[Region | None] = [event.region]
    for name in ("client_region", "source_region", "target_region"):
        found.append(getattr(fact, name, None))  # noqa: PERF401 - one name a line
    found.extend(getattr(fact, "regions", ()))
    found.extend(getattr(fact, "target_regions", ()))
    found.extend(getattr(fact, "start_regions", ()))
    subject = getattr(fact, "subject", None)
    if isinstance(subject, ReplicationSubject):
        found.append(subject.target_region)
    return list(dict.fromkeys(region for region in found if region is not None))


def contents_named(event: Event) -> list[Digest]:
    """Return every content that *event* names, more than once where it does so."""
    fact = event.fact
    found: list[Digest | None] = [
        getattr(fact, name, None)
        for name in ("digest", "subject_digest", "original_digest")
    ]
    found.extend(getattr(fact, "digests", ()))
    for entry in (fact, *getattr(fact, "contents", ()), *getattr(fact, "groups", ())):
        found.append(getattr(entry, "digest", None))
        found.append(getattr(getattr(entry, "content", None), "digest", None))
        found.extend(each.digest for each in getattr(entry, "references", ()))
    found.extend(each.digest for each in getattr(fact, "absences", ()))
    subject = getattr(fact, "subject", None)
    if isinstance(subject, ReplicationSubject):
        found.append(subject.digest)
    return [digest for digest in found if digest is not None]
