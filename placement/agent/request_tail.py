"""A registry's JSON log on disk, followed as it grows, for the requests that it tells.

The file may be renamed and made anew, or emptied, by whoever rotates logs. What is
remembered is bounded: the newest requests.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import structlog

from placement.agent.feeds.request_log import (
    LINE_LENGTH_MAX,
    RequestRecord,
    parse_request_log,
)

RECORDS_MAX: Final = 65_536
LOOK_BACK_BYTES: Final = 4 << 20
"""At the start so much of the log's end is read: for what the spool still holds."""
CHUNK_BYTES: Final = 256 << 10
POLL_SECONDS: Final = 0.05
MISSING_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


class RequestLogTail(Mapping[str, RequestRecord]):
    """The newest requests that the log at a path tells, by their ids."""

    def __init__(self, path: Path, records_max: int = RECORDS_MAX) -> None:
        """Remember *path*, which need not exist yet; ``run`` follows it."""
        self._path = path
        self._records_max = records_max
        self._records: OrderedDict[str, RequestRecord] = OrderedDict()
        self._grown = asyncio.Event()
        self._file: BinaryIO | None = None
        self._rest = b""
        self._skips = False
        """Whether the line that is being read is too long, or lacks its start."""

    def __getitem__(self, request_id: str) -> RequestRecord:
        """Return how a request was answered; raises KeyError."""
        return self._records[request_id]

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of the requests that are known."""
        return iter(self._records)

    def __len__(self) -> int:
        """Return how many are known."""
        return len(self._records)

    async def wait_for(self, request_ids: Collection[str], seconds_max: float) -> None:
        """Return once all of these are known, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                while any(each not in self._records for each in request_ids):
                    grown = self._grown
                    await grown.wait()

    async def run(self) -> None:
        """Follow the log until cancelled."""
        first, told = True, False
        try:
            while True:
                if self._file is None and not self._open(looks_back=first):
                    if not told:
                        log.warning("request_log_missing", path=str(self._path))
                        told = True
                    first = False  # what comes into being is read from its start
                    await asyncio.sleep(MISSING_SECONDS)
                    continue
                first = told = False
                if not self.read_more():
                    self._follow()
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    await asyncio.sleep(0)
        finally:
            self._close()

    def read_more(self) -> bool:
        """Read what was added, up to a chunk; False: nothing was."""
        assert self._file is not None, "the log is open"
        chunk = self._file.read(CHUNK_BYTES)
        if not chunk:
            return False
        # A writer that does not append leaves a hole where its file was emptied.
        *lines, self._rest = (self._rest + chunk).lstrip(b"\0").split(b"\n")
        for line in lines:
            if not self._skips:
                self._note(line)
            self._skips = False
        if len(self._rest) > LINE_LENGTH_MAX:
            self._rest, self._skips = b"", True
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()
        return True

    def _note(self, line: bytes) -> None:
        record = parse_request_log(line.decode("utf-8", "replace"))
        if record is None:
            return
        self._records[record.request_id] = record
        if len(self._records) > self._records_max:
            self._records.popitem(last=False)

    def _open(self, *, looks_back: bool) -> bool:
        """Open the log, at its start or near its end; False: there is none now."""
        try:
            self._file = self._path.open("rb", buffering=0)
            size = os.fstat(self._file.fileno()).st_size
        except OSError:
            return False
        self._rest, self._skips = b"", False
        if looks_back and size > LOOK_BACK_BYTES:
            self._file.seek(size - LOOK_BACK_BYTES)
            self._skips = True
        return True

    def _follow(self) -> None:
        """At the end of the file: see whether it goes on in another, or was emptied."""
        assert self._file is not None, "the log is open"
        here = os.fstat(self._file.fileno())
        if here.st_size < self._file.tell():
            self._file.seek(0)
            self._rest, self._skips = b"", False
            return
        try:
            there = self._path.stat()
        except OSError:
            return  # renamed, and not made anew yet: the old one may still grow
        if (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino):
            if self.read_more():  # added between our last read and the rename
                return
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
