"""A checkpoint as it is kept, held whole for a test to look at."""

from collections.abc import Callable
from dataclasses import dataclass, field

from placement.ports import CheckpointHeader, CheckpointStore, Chunk


@dataclass
class Checkpoint:
    """What a store gave."""

    header: CheckpointHeader
    chunks: list[Chunk] = field(default_factory=list)


async def loaded(store: CheckpointStore) -> Checkpoint | None:
    """Return what *store* loads, or None when there is nothing."""
    begun: list[Checkpoint] = []

    def begin(header: CheckpointHeader) -> Callable[[Chunk], None]:
        begun.append(Checkpoint(header))
        return begun[-1].chunks.append

    header = await store.load(begin)
    if header is None:
        return None
    assert begun[-1].header == header
    return begun[-1]
