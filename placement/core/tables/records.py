"""What the state hands out: replicas and tags, with names in place of row numbers."""

from dataclasses import dataclass
from typing import NamedTuple

from placement.core.oci import Digest
from placement.core.tables.cells import ReplicaPhase
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
