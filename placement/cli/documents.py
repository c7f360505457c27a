"""Files and standard input as JSON documents: one a line, or one a file."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, Self

from rich.console import Console
from rich.progress import Progress, TaskID

from placement.core.errors import InputError, LimitInvalidError

LINE_BYTES_MAX: Final = 1 << 20
"""As much as a registry may post; an event alone is a quarter of it at the most."""
FILE_BYTES_MAX: Final = 64 << 20
"""A file that is one document is read whole."""
STANDARD_INPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Document:
    """A decoded JSON value, and where it stood, such as ``events.jsonl:12``."""

    where: str
    value: object


@dataclass(frozen=True, slots=True)
class Fault:
    """What cannot be published, where it stood, and why."""

    where: str
    error: InputError


OnBytes = Callable[[int], None]
"""Told how many bytes were read since the last call."""


class Reading:
    """The files that are read, with a progress bar on a terminal."""

    def __init__(self, files: Sequence[str]) -> None:
        """Open nothing yet."""
        self._files = files
        self._stack = ExitStack()
        self._streams: list[tuple[str, BinaryIO]] = []
        self._progress: tuple[Progress, TaskID] | None = None

    def __enter__(self) -> Self:
        """Open every file; raises InputError for one that cannot be."""
        for name in self._files:
            shown = "stdin" if name == STANDARD_INPUT else name
            self._streams.append((shown, self._opened(name)))
        screen = Console(stderr=True)
        total = sum(
            Path(name).stat().st_size for name in self._files if name != STANDARD_INPUT
        )
        if screen.is_terminal and total:
            bar = self._stack.enter_context(Progress(console=screen, transient=True))
            self._progress = bar, bar.add_task("publishing", total=total)
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the files and the bar."""
        self._stack.close()

    def documents(self) -> Iterator[Document | Fault]:
        """Yield what is in the files, in order."""
        readers = (
            read_documents(name, stream, self._read) for name, stream in self._streams
        )
        return chain.from_iterable(readers)

    def _opened(self, name: str) -> BinaryIO:
        if name == STANDARD_INPUT:
            return sys.stdin.buffer
        try:
            return self._stack.enter_context(Path(name).open("rb"))
        except OSError as error:
            remedy = f"{error.strerror}: name a file that can be read"
            raise InputError("FILE", name, remedy) from None

    def _read(self, byte_count: int) -> None:
        if self._progress is not None:
            bar, task = self._progress
            bar.advance(task, byte_count)


def read_documents(
    name: str, stream: BinaryIO, on_bytes: OnBytes
) -> Iterator[Document | Fault]:
    """Yield the documents of *stream*, which people call *name*.

    A stream whose first line is no document by itself may be one as a whole; an array
    is its items. One line's fault does not touch the others.
    """
    number = 0
    while line := stream.readline(LINE_BYTES_MAX + 1):
        number += 1
        on_bytes(len(line))
        if not line.strip():
            continue
        if number == 1 and line.lstrip()[:1] in b"{[" and _decoded(line) is None:
            rest = stream.read(FILE_BYTES_MAX)
            on_bytes(len(rest))
            whole = _decoded(line + rest)
            if whole is not None:
                yield from _items(name, whole.value)
                return
            yield from _lines(name, (line + rest).splitlines(keepends=True))
            number += rest.count(b"\n")
            continue
        yield from _line(f"{name}:{number}", line, stream)


def _items(name: str, value: object) -> Iterator[Document | Fault]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield Document(f"{name}[{index}]", item)
    else:
        yield Document(name, value)


def _lines(name: str, lines: Iterable[bytes]) -> Iterator[Document | Fault]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield from _line(f"{name}:{number}", line, None)


def _line(
    where: str, line: bytes, stream: BinaryIO | None
) -> Iterator[Document | Fault]:
    if len(line) > LINE_BYTES_MAX:
        while stream and line and not line.endswith(b"\n"):
            line = stream.readline(LINE_BYTES_MAX)
        remedy = f"give lines of at most {LINE_BYTES_MAX} bytes"
        yield Fault(where, LimitInvalidError("line", "too long", remedy))
        return
    found = _decoded(line)
    if found is None:
        text = line.strip().decode("utf-8", "backslashreplace")
        remedy = "give one JSON object a line, or one document a file"
        yield Fault(where, InputError("line", text, remedy))
        return
    yield Document(where, found.value)


@dataclass(frozen=True, slots=True)
class _Decoded:
    value: object


def _decoded(text: bytes) -> _Decoded | None:
    try:
        return _Decoded(json.loads(text))
    except (ValueError, RecursionError):
        return None
