"""What is handed out or noted beside the tables, one value each."""

from dataclasses import dataclass
from typing import NamedTuple

from placement.core.facts.values import TransferOutcome
from placement.core.oci import Digest
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.table import Row
from placement.core.topology import Region


class ReplicaRecord(NamedTuple):
    """A replica as it is kept; times in nanoseconds, sizes in bytes."""

    region: Region
    phase: ReplicaPhase
    held_bytes: int
    create_time_ns: int
    change_time_ns: int


@dataclass(frozen=True, slots=True)
class TagPointer:
    """What a tag points to, who set it and when."""

    digest: Digest
    region: Region
    time_ns: int
    sequence: int


class Transfer(NamedTuple):
    """Bytes that really moved from one region to another, and how long that took."""

    source: Row
    target: Row
    transferred_bytes: int
    duration_ns: int
    time_ns: int
    concurrency: int
    outcome: TransferOutcome
