"""Exports of small logs, for tests: made, read back, and asked."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyarrow import parquet

from placement.adapters.memory import MemoryEventLog
from placement.core.event import Event, Identifier
from placement.core.state import State
from placement.export.exporting import Exported, Wanted, export
from placement.export.hidden_names import NameKey
from placement.export.manifest import Manifest, load_manifest
from placement.export.querying import answer
from placement.ports import EventLog, Message
from placement.runtime.replay import fold_log
from placement.wire.events import encode_message
from tests.builders import UNNAMED


class TimedLog(MemoryEventLog):
    """A log in memory whose messages are stored when a test says."""

    def __init__(self) -> None:
        """Be empty, at the beginning of time."""
        self.now_ns = 0
        super().__init__(lambda: self.now_ns, idle_seconds=0.01)
        self._count = 0

    async def store(self, time_ns: int, subject: str, body: bytes) -> None:
        """Store a message as it is."""
        self._count += 1
        self.now_ns = time_ns
        await self.append(subject, body, f"message-{self._count}")

    async def tell(self, told: Iterable[tuple[int, Event]]) -> "TimedLog":
        """Store events, one a message."""
        for time_ns, event in told:
            own = replace(event, event_id=Identifier(f"event-{self._count + 1}"))
            named = own if event.event_id == UNNAMED else event
            subject, body, _ = encode_message([named])
            await self.store(time_ns, subject, body)
        return self


async def log_of_messages(messages: Sequence[Message]) -> TimedLog:
    """Return a log of the same messages."""
    log = TimedLog()
    for message in messages:
        await log.store(message.store_time_ns, message.subject, message.body)
    return log


async def exported(log: EventLog, directory: Path, **wanted: Any) -> Exported:  # noqa: ANN401 - as Wanted has them
    """Export *log* into *directory*, and say nothing of how far it is."""
    return await export(log, Wanted(directory, **wanted), lambda *_: None)


async def state_of(log: EventLog) -> State:
    """Return what *log* folds to, as the service folds it."""
    _, state = await fold_log(log)
    return state


def manifest_of(directory: Path) -> Manifest:
    """Return the manifest of an export."""
    found = load_manifest(directory)
    assert found is not None
    return found


def rows_of(directory: Path, table: str) -> list[dict[str, Any]]:
    """Return every row of a table, in the order of its files."""
    files = [each for each in manifest_of(directory).files if each.table == table]
    return [
        row
        for file in files
        for row in parquet.ParquetFile(directory / file.path).read().to_pylist()
    ]


def asked(directory: Path, name: str, **how: bool) -> list[dict[str, Any]]:
    """Return the rows of a ready query's answer."""
    found = answer(directory, name, **how)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def files_of(directory: Path) -> dict[str, bytes]:
    """Return every visible file of an export with its bytes."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


TEST_KEY = NameKey(b"a key of tests, and of tests only")
