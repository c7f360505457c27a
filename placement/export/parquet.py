"""Rows into Parquet files, row group by row group: what is in memory is bounded."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from placement.export.kinds import Kind
from placement.export.schema import Table

ROWS_PER_GROUP: Final = 2**16
LIST_ITEMS_PER_GROUP: Final = 2**18
"""A group ends there, too: pages of inventories are rows with thousands of contents."""
COMPRESSION: Final = "zstd"

_DESCRIPTOR: Final = [
    ("media_type", pa.string()),
    ("digest", pa.string()),
    ("size_bytes", pa.int64()),
    ("platform", pa.string()),
]
_TEXTS: Final = pa.list_(pa.string())
_CONTENT: Final = [
    *_DESCRIPTOR,
    ("repository", pa.string()),
    ("references", _TEXTS),
    ("tags", _TEXTS),
]
_ABSENCE: Final = [("digest", pa.string()), ("repository", pa.string())]
_GROUP: Final = [
    ("repository", pa.string()),
    ("digest", pa.string()),
    ("machine_ids", _TEXTS),
]
_FACTOR: Final = [("name", pa.string()), ("value", pa.float64())]
TYPES: Final = {
    Kind.INT: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.BOOL: pa.bool_(),
    Kind.TIME: pa.timestamp("us"),
    Kind.DURATION: pa.int64(),
    Kind.TEXT: pa.string(),
    Kind.NAME: pa.string(),
    Kind.MEDIA: pa.string(),
    Kind.WORDS: pa.string(),
    Kind.TEXTS: _TEXTS,
    Kind.DESCRIPTORS: pa.list_(pa.struct(_DESCRIPTOR)),
    Kind.CONTENTS: pa.list_(pa.struct(_CONTENT)),
    Kind.ABSENCES: pa.list_(pa.struct(_ABSENCE)),
    Kind.GROUPS: pa.list_(pa.struct(_GROUP)),
    Kind.FACTORS: pa.list_(pa.struct(_FACTOR)),
}


def arrow_schema(table: Table) -> pa.Schema:
    """Return the Parquet schema of *table*."""
    return pa.schema([(each.name, TYPES[each.kind]) for each in table.columns])


@dataclass(slots=True)
class _Alike:
    """Rows with the same columns, and where they stand among all."""

    lists: tuple[int, ...]
    """Which of the columns hold lists."""
    places: list[int] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)


class RowGroup:
    """Rows on their way into a file; a column that no row has is null."""

    def __init__(self, schema: pa.Schema) -> None:
        """Begin empty."""
        self._schema = schema
        self._lists = {each.name for each in schema if pa.types.is_list(each.type)}
        self._alike: dict[tuple[str, ...], _Alike] = {}
        self._items = 0
        self.rows = 0

    @property
    def full(self) -> bool:
        """Whether it is to be written before it takes more."""
        return self.rows >= ROWS_PER_GROUP or self._items >= LIST_ITEMS_PER_GROUP

    def add(self, row: dict[str, Any]) -> None:
        """Take a row; columns that it leaves out, or that are None, are null."""
        names = tuple(row)
        alike = self._alike.get(names)
        if alike is None:
            lists = [n for n, name in enumerate(names) if name in self._lists]
            alike = self._alike[names] = _Alike(tuple(lists))
        values = tuple(row.values())
        alike.places.append(self.rows)
        alike.rows.append(values)
        self.rows += 1
        for place in alike.lists:
            self._items += len(values[place] or ())

    def taken(self) -> pa.Table:
        """Return the rows, and begin again."""
        columns: dict[str, np.ndarray[Any, Any]] = {}
        for names, alike in self._alike.items():
            places = np.array(alike.places)
            for name, values in zip(names, zip(*alike.rows, strict=True), strict=True):
                column = columns.get(name)
                if column is None:
                    column = columns[name] = np.full(self.rows, None, object)
                held = np.empty(len(values), object)
                held[:] = values
                column[places] = held
        arrays = [
            pa.array(columns[each.name].tolist(), each.type)
            if each.name in columns
            else pa.nulls(self.rows, each.type)
            for each in self._schema
        ]
        self._alike.clear()
        self.rows = self._items = 0
        return pa.Table.from_arrays(arrays, schema=self._schema)


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is whole and on the disk."""

    path: Path
    rows: int
    bytes: int
    sha256: str


class FileWriter:
    """Writes one file of one table."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Make the file at *path*, over whatever is there."""
        self._path = path
        self._group = RowGroup(schema)
        self._writer = parquet.ParquetWriter(path, schema, compression=COMPRESSION)
        self._rows = 0

    def add(self, row: dict[str, Any]) -> None:
        """Take a row."""
        self._group.add(row)
        if self._group.full:
            self._flush()

    def _flush(self) -> None:
        self._rows += self._group.rows
        self._writer.write_table(self._group.taken())

    def close(self) -> Written:
        """Write what is left, let it reach the disk, and return what the file is."""
        if self._group.rows:
            self._flush()
        self._writer.close()
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        return Written(self._path, self._rows, size, digest)

    def abandon(self) -> None:
        """Let go of the file: it is not going to be whole."""
        self._writer.close()
