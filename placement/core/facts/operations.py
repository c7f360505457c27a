"""Facts about operations: what operators steer, and the passing of time.

Defined by the comments of ``events.proto``; each class is its message there.
"""

from dataclasses import dataclass

from placement.core.facts.values import (
    Document,
    Name,
    Operation,
    RegionState,
    Text,
)
from placement.core.oci import Digest, Repository
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class RegionChanged:
    """A region was drained, taken down or brought back."""

    target_region: Region
    state: RegionState
    operation: Operation = Operation()


@dataclass(frozen=True, slots=True)
class ReplicationPaused:
    """New copies were stopped, into all regions if none is named."""

    target_regions: tuple[Region, ...] = ()
    operation: Operation = Operation()


@dataclass(frozen=True, slots=True)
class ReplicationResumed:
    """New copies were allowed again, into all regions if none is named."""

    target_regions: tuple[Region, ...] = ()
    operation: Operation = Operation()


@dataclass(frozen=True, slots=True)
class ContentPinned:
    """Content must stay, wherever it is if no region is named."""

    repository: Repository
    digest: Digest
    target_regions: tuple[Region, ...] = ()
    operation: Operation = Operation()


@dataclass(frozen=True, slots=True)
class ContentUnpinned:
    """Content need not stay any longer, anywhere if no region is named."""

    repository: Repository
    digest: Digest
    target_regions: tuple[Region, ...] = ()
    operation: Operation = Operation()


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """Another policy is in force for every planner."""

    name: Name
    content: Document = Document("")
    operation: Operation = Operation()


@dataclass(frozen=True, slots=True)
class TickPassed:
    """Time went by."""

    tick_number: int


@dataclass(frozen=True, slots=True)
class EventQuarantined:
    """An earlier event made the fold fail and is not to be folded by anybody."""

    sequence: int
    batch_index: int = 0
    reason: Text = Text("")
