"""Rows that prove themselves: what a checkpoint's rows hold, and whether they still do.

Each chunk carries a hash over its name, number and body; the one header row carries a
root hash over itself and all chunk hashes. So nothing can be flipped, lost, doubled,
swapped or left over from an older save without notice, and a save hashes no more than
it is given, since the chunk hashes stay in memory.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Final

from placement.core.errors import clipped
from placement.ports import CheckpointHeader, Chunk

FORMAT: Final = 2  # raised when schema.sql changes, or what is hashed
READABLE: Final = frozenset({1, FORMAT})
"""Format 1 hashed chunks by BLAKE2b, too: half as fast where processors have SHA-2.

Its chunks stay as they are in a file that is saved to now, each until it is replaced.
"""

Key = tuple[str, int]
"""A chunk's table and number."""


class DamageError(Exception):
    """What is wrong with a file; its path and the remedy are added on the way out."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a file is known to hold: how often it was saved, and the chunks' hashes."""

    generation: int = 0
    hashes: Mapping[Key, bytes] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Change:
    """The rows of one save beside its chunks, and what the file holds after it."""

    header_row: tuple[object, ...]
    deleted: list[Key]
    after: Saved


def planned(
    before: Saved,
    header: CheckpointHeader,
    put: Mapping[Key, bytes],
    deleted: Iterable[Key],
) -> Change:
    """Return what saves *header* with the hashes of the chunks that are *put*."""
    hashes = {**before.hashes, **put}
    gone = [key for key in deleted if hashes.pop(key, None) is not None]
    after = Saved(before.generation + 1, hashes)
    sealed = (FORMAT, after.generation, *astuple(header))
    return Change((*sealed, _root_hash(sealed, after)), gone, after)


@dataclass(frozen=True, slots=True)
class Stated:
    """What a header row says; nothing of it is proven yet."""

    header: CheckpointHeader
    format: int
    generation: int
    root_hash: bytes

    def proven(self, hashes: Mapping[Key, bytes]) -> Saved:
        """Return what the file holds; DamageError unless it is just these *hashes*."""
        saved = Saved(self.generation, hashes, self.format)
        sealed = (self.format, self.generation, *astuple(self.header))
        if self.root_hash == _root_hash(sealed, saved):
            return saved
        message = (
            f"table checkpoint (generation {self.generation}, sequence"
            f" {self.header.sequence}) and the {len(hashes)} chunks of table chunk are"
            " not those of one save"
        )
        raise DamageError(message)


def stated(rows: Iterable[object]) -> Stated:
    """Return the one row of *rows*; raises DamageError unless it can be read."""
    match list(rows):
        case [
            (
                int(format_),
                int(generation),
                str(epoch),
                int(sequence),
                int(store_time_ns),
                int(fold_version),
                bytes(message_hash),
                bytes(root_hash),
            )
        ]:
            header = CheckpointHeader(
                epoch, sequence, store_time_ns, fold_version, message_hash
            )
            return Stated(header, format_, generation, root_hash)
        case found:
            message = (
                f"table checkpoint has {len(found)} rows, or one that is no header"
            )
    raise DamageError(message)


def checked_chunk(row: Sequence[object]) -> tuple[Chunk, bytes]:
    """Return *row* as a chunk and its hash.

    Raises DamageError unless it is as it was saved.
    """
    match row:
        case (str(table), int(number), bytes(body), bytes(own_hash)) if (
            own_hash == chunk_hash(table, number, body)
            or own_hash == _chunk_hash_1(table, number, body)
        ):
            return Chunk(table, number, body), own_hash
    named = f"chunk {clipped(row[1])} of {clipped(row[0])}"
    message = f"{named} is not as saved"
    raise DamageError(message)


def chunk_hash(table: str, number: int, body: bytes) -> bytes:
    """Return the hash that binds *body* to its place."""
    own_hash = hashlib.sha256(_place(table, number))
    own_hash.update(body)
    return own_hash.digest()


def _chunk_hash_1(table: str, number: int, body: bytes) -> bytes:
    """Return what ``chunk_hash`` was in format 1."""
    own_hash = hashlib.blake2b(_place(table, number), digest_size=32)
    own_hash.update(body)
    return own_hash.digest()


def _place(table: str, number: int) -> bytes:
    """Return a chunk's place, which says where it ends and its body begins."""
    return ascii((table, number)).encode()


def _root_hash(sealed: tuple[object, ...], saved: Saved) -> bytes:
    """Return the hash over the header row and the set of chunks.

    ``ascii`` is the same in all versions of Python, and says where each value ends.
    """
    root_hash = hashlib.blake2b(ascii(sealed).encode(), digest_size=32)
    root_hash.update(b"".join(sorted(saved.hashes.values())))
    return root_hash.digest()
