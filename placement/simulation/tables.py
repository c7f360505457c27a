"""CSV files, gzipped or not, read row by row; what is wrong is said by line."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from placement.core.errors import InputError


def columns_in(path: Path) -> tuple[str, ...]:
    """Return what the first line of the file at *path* names.

    Raises InputError if it cannot be read.
    """
    with _opened(path) as lines:
        return _names(csv.reader(lines))


def table_rows(
    path: Path, columns: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each row's place, such as ``FILE: line 3``, and its cells of *columns*.

    Further columns and empty lines are passed over. Raises InputError, naming file
    and line, for a file without these columns, for a row that is too short, and for
    a file that cannot be read.
    """
    with _opened(path) as lines:
        reader = csv.reader(lines, strict=True)
        names = _names(reader)
        if missing := [name for name in columns if name not in names]:
            remedy = (
                f"the first line must name the columns {','.join(columns)};"
                f" it lacks {','.join(missing)}"
            )
            line, shown = f"{path}: line 1", ",".join(names)
            raise InputError(line, shown, remedy)
        places = [names.index(name) for name in columns]
        for cells in reader:
            where = f"{path}: line {reader.line_num}"
            if len(cells) > max(places):
                yield where, tuple([cells[place] for place in places])
            elif cells:
                remedy = f"give each of {','.join(columns)}, with commas between"
                raise InputError(where, ",".join(cells), remedy)


def _names(reader: Iterator[list[str]]) -> tuple[str, ...]:
    return tuple(name.strip() for name in next(reader, []))


@contextmanager
def _opened(path: Path) -> Iterator[io.TextIOBase]:
    """Open the text in *path* while it is read; InputError as soon as that fails."""
    try:
        # newline="" is what the csv module asks for; a byte order mark is no content.
        with path.open("rb") as file:
            plain = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            with io.TextIOWrapper(plain, encoding="utf-8-sig", newline="") as lines:
                yield lines
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        remedy = f"name a readable CSV file, gzipped if its name ends in .gz ({reason})"
        raise InputError(str(path), path.name, remedy) from None
