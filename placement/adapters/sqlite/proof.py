"""Rows that prove themselves: what a checkpoint's rows hold, and whether they still do.

Each chunk carries a hash over its name, number and body; the one header row carries a
root hash over itself and all chunk hashes. So nothing can be flipped, lost, doubled,
swapped or left over from an older save without notice, and a save hashes no more than
it is given, since the chunk hashes stay in memory.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Final

from placement.core.errors import clipped
from placement.ports import CheckpointHeader, Chunk

FORMAT: Final = 1  # raised when schema.sql changes, or what is hashed

Key = tuple[str, int]
"""A chunk's table and number."""


class DamageError(Exception):
    """What is wrong with a file; its path and the remedy are added on the way out."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a file is known to hold: how often it was saved, and the chunks' hashes."""

    generation: int = 0
    hashes: Mapping[Key, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """The rows of one save, and what the file holds after it."""

    header_row: tuple[object, ...]
    chunk_rows: list[tuple[str, int, bytes, bytes]]
    deleted: list[Key]
    after: Saved


def planned(
    before: Saved, header: CheckpointHeader, given: Mapping[Key, bytes]
) -> Change:
    """Return the rows that save *header* and *given*; an empty body deletes."""
    put = [(*key, body, _chunk_hash(*key, body)) for key, body in given.items() if body]
    deleted = [key for key, body in given.items() if not body]
    hashes = dict(before.hashes)
    hashes.update({(table, number): own_hash for table, number, _, own_hash in put})
    for key in deleted:
        hashes.pop(key, None)
    after = Saved(before.generation + 1, hashes)
    sealed = (FORMAT, after.generation, *astuple(header))
    return Change((*sealed, _root_hash(sealed, after)), put, deleted, after)


def checked_header(
    rows: Iterable[object], hashes: Mapping[Key, bytes]
) -> tuple[CheckpointHeader, Saved]:
    """Return the one row of *rows*, made for just these *hashes*.

    Raises DamageError.
    """
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
            saved = Saved(generation, hashes)
            if root_hash == _root_hash((format_, generation, *astuple(header)), saved):
                return header, saved
            message = (
                f"table checkpoint (generation {generation}, sequence {sequence}) and"
                f" the {len(hashes)} chunks of table chunk are not those of one save"
            )
        case found:
            message = (
                f"table checkpoint has {len(found)} rows, or one that is no header"
            )
    raise DamageError(message)


def checked_chunks(rows: Iterable[Any], hashes: dict[Key, bytes]) -> list[Chunk]:
    """Return *rows* as chunks, and add their hashes to *hashes*.

    Raises DamageError for the first that is not as it was saved, or comes again.
    """
    chunks = []
    for row in rows:
        match row:
            case (str(table), int(number), bytes(body), bytes(own_hash)) if (
                own_hash == _chunk_hash(table, number, body)
                and (table, number) not in hashes
            ):
                hashes[table, number] = own_hash
                chunks.append(Chunk(table, number, body))
            case _:
                table, number, *_ = row
                message = f"chunk {clipped(number)} of {clipped(table)} is not as saved"
                raise DamageError(message)
    return chunks


def _chunk_hash(table: str, number: int, body: bytes) -> bytes:
    """Return the hash that binds *body* to its place."""
    own_hash = hashlib.blake2b(ascii((table, number)).encode(), digest_size=32)
    own_hash.update(body)
    return own_hash.digest()


def _root_hash(sealed: tuple[object, ...], saved: Saved) -> bytes:
    """Return the hash over the header row and the set of chunks.

    ``ascii`` is the same in all versions of Python, and says where each value ends.
    """
    root_hash = hashlib.blake2b(ascii(sealed).encode(), digest_size=32)
    root_hash.update(b"".join(sorted(saved.hashes.values())))
    return root_hash.digest()
