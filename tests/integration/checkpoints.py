"""Checkpoints that can be told apart: what each generation changes, and then holds."""

from pathlib import Path

from placement.adapters.sqlite.store import SqliteCheckpointStore
from placement.ports import CheckpointHeader, Chunk
from tests.loaded import Checkpoint

CHUNKS = 24
CHANGED = 5
BODY_BYTES_MAX = 40_000

Content = dict[tuple[str, int], bytes]


def header(generation: int) -> CheckpointHeader:
    """Return the header of *generation*, which is also its sequence."""
    return CheckpointHeader(
        "epoch", generation, generation * 10**9, 1, b"%032d" % generation
    )


def changes(generation: int) -> list[Chunk]:
    """Return what *generation* changes: some bodies, stamped with it, and a delete."""
    numbers = [(generation * 7 + i) % CHUNKS for i in range(CHANGED)]
    chunks = []
    for number in numbers:
        stamp = f"{number} in {generation};".encode()
        size_bytes = (number * 7_919 + generation * 104_729) % BODY_BYTES_MAX
        body = (stamp * (size_bytes // len(stamp) + 1))[: size_bytes + 1]
        chunks.append(Chunk(("digest", "tag")[number % 2], number, body))
    if generation % 3 == 0:
        chunks.append(Chunk("digest", generation % CHUNKS // 2 * 2, b""))
    return chunks


def content(generation: int) -> Content:
    """Return all chunks as they are after *generation*."""
    held: Content = {}
    for each in range(1, generation + 1):
        held.update({(c.table, c.number): c.body for c in changes(each)})
    return {key: body for key, body in held.items() if body}


def is_generation(checkpoint: Checkpoint | None, generation: int) -> bool:
    """Return whether *checkpoint* is exactly that of *generation*."""
    return (
        checkpoint is not None
        and checkpoint.header == header(generation)
        and {(c.table, c.number): c.body for c in checkpoint.chunks}
        == content(generation)
        and len(checkpoint.chunks) == len(content(generation))
    )


async def save(store: SqliteCheckpointStore, *generations: int) -> None:
    """Save *generations*, one after the other."""
    for generation in generations:
        await store.save(header(generation), changes(generation))


async def made(path: Path, generation: int) -> None:
    """Make a checkpoint file of *generation* at *path*, and close it."""
    store = SqliteCheckpointStore(path)
    await save(store, *range(1, generation + 1))
    await store.close()
