"""What the fields of facts are made of: kinds, times, texts, orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

TimeNs = NewType("TimeNs", int)
DurationNs = NewType("DurationNs", int)
Identifier = NewType("Identifier", str)
"""1 to 128 printable ASCII characters without spaces."""
Name = NewType("Name", str)
"""At most 255 printable characters; empty when not known."""
Text = NewType("Text", str)
"""At most 1,024 characters without control characters; for people."""
Document = NewType("Document", str)
"""At most 8,192 characters; a whole file."""


class ClientKind(IntEnum):
    """What kind of client pulled."""

    UNSPECIFIED = 0
    RUNTIME = 1
    BUILDER = 2
    SCANNER = 3
    REPLICATOR = 4


class CacheKind(IntEnum):
    """From where a machine had its image."""

    UNSPECIFIED = 0
    HOST = 1
    REGION = 2
    REMOTE = 3


class StartCause(IntEnum):
    """Why a machine was started."""

    UNSPECIFIED = 0
    DEPLOY = 1
    UPDATE = 2
    AUTOSCALE = 3
    CRON = 4
    MIGRATION = 5
    RESTART = 6


class TransferOutcome(IntEnum):
    """How a transfer ended."""

    UNSPECIFIED = 0
    COMPLETED = 1
    FAILED = 2
    ABORTED = 3


class ReplicationTrigger(IntEnum):
    """What made a decision due."""

    UNSPECIFIED = 0
    PUSH = 1
    START = 2
    STARTS_REQUESTED = 3
    FIRST_LAYER = 4
    REQUEST = 5
    REPAIR = 6
    SWEEP = 7
    PIN = 8


class WithholdReason(IntEnum):
    """Why a copy was withheld."""

    UNSPECIFIED = 0
    CONTROL_GROUP = 1
    OBSERVE_ONLY = 2
    OVER_BUDGET = 3


class FailureCause(IntEnum):
    """Why a copy failed."""

    UNSPECIFIED = 0
    SOURCE = 1
    TARGET = 2
    CONTENT_GONE = 3
    CONTENT_CORRUPT = 4


class RegionState(IntEnum):
    """What a region may be used for."""

    UNSPECIFIED = 0
    ACTIVE = 1
    DRAINING = 2
    DOWN = 3


@dataclass(frozen=True, slots=True)
class Factor:
    """A number that an answer or a decision rests on; its unit ends its name."""

    name: Identifier
    value: float


def factors_of(named: Mapping[str, float]) -> tuple[Factor, ...]:
    """Return *named* numbers as factors, in their order."""
    return tuple(Factor(Identifier(name), float(named[name])) for name in named)


@dataclass(frozen=True, slots=True)
class Operation:
    """Who steered, why, and until when."""

    actor: Name = Name("")
    reason: Text = Text("")
    expire_time_ns: TimeNs | None = None
    request_id: Identifier | None = None
