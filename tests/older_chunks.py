"""Chunks of the first layout: every key with its length, every integer in 64 bits."""

from collections.abc import Iterator, Mapping
from struct import Struct

from placement.core.chunks import PackedChunk
from placement.core.state import State
from placement.core.tables.keys import digest_text
from placement.core.tables.table import Row, Table

CHUNK_ROWS = 1024
HEAD = Struct("<qI")
FREE = 0xFFFFFFFF


def of_first_layout(
    state: State, columns: Mapping[str, int] | None = None
) -> Iterator[PackedChunk]:
    """Yield *state* as it was once packed; of some tables only the first *columns*."""
    for table in state.tables().values():
        count = len(table.columns)
        kept = count if columns is None else columns.get(table.name, count)
        for number, body in enumerate(bodies(table, kept)):
            yield table.name, number, body


def bodies(table: Table, columns: int) -> Iterator[bytes]:
    """Yield the chunks of *table*, in order."""
    keys: dict[Row, bytes] = {row: key for key, row in table.rows()}
    if table.name == "digests":
        keys = {row: digest_text(key).encode() for row, key in keys.items()}
    added = max(keys, default=-1) + 1
    for first in range(0, added, CHUNK_ROWS):
        rows = [Row(row) for row in range(first, min(first + CHUNK_ROWS, added))]
        named = [keys.get(row) for row in rows]
        lengths = [FREE if key is None else len(key) for key in named]
        values = [table.get(row, column) for column in range(columns) for row in rows]
        yield b"".join(
            (
                HEAD.pack(added, len(rows)),
                Struct(f"<{len(rows)}I").pack(*lengths),
                *(key for key in named if key is not None),
                Struct(f"<{len(values)}q").pack(*values),
            )
        )
