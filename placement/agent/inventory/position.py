"""How far a scan has come, kept on disk so that a restart goes on from there."""

import json
import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final

import structlog

from placement.spooling import SpoolUnwritableError

FORMAT: Final = 1
FILE_BYTES_MAX: Final = 65_536

log = structlog.get_logger(__name__)


@dataclass
class Position:
    """A scan: when it began, how far it came, what it found so far."""

    scan_time_ns: int
    after: str = ""
    """The last repository of which everything is reported."""
    finished: bool = False
    failed_count: int = 0
    """Repositories that could not be read, and whatever else makes it incomplete."""
    page_count: int = 0
    repository_count: int = 0
    tag_count: int = 0
    content_count: int = 0
    content_bytes: int = 0
    absence_count: int = 0
    removed_tag_count: int = 0

    @property
    def complete(self) -> bool:
        """Whether all of the registry was read without an error."""
        return self.finished and not self.failed_count


class PositionFile:
    """Keeps one position; without a path, in memory."""

    def __init__(self, path: Path | None, region: str) -> None:
        """Keep it at *path*, for *region* alone."""
        self._path = path
        self._region = region
        self._kept: Position | None = None

    def read(self) -> Position | None:
        """Return what was kept; None when that is nothing, or nothing of use."""
        if self._path is None:
            return self._kept
        try:
            with self._path.open("rb") as file:
                kept = json.loads(file.read(FILE_BYTES_MAX))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            log.warning("position_unreadable", file=str(self._path), error=str(error))
            return None
        return self._parsed(kept)

    def write(self, position: Position) -> None:
        """Keep *position*: all of it, or what was there before.

        Raises SpoolUnwritableError.
        """
        self._kept = replace(position)
        if self._path is None:
            return
        kept = {"format": FORMAT, "region": self._region, **asdict(position)}
        beside = self._path.with_suffix(".new")
        try:
            with beside.open("w", encoding="utf-8") as file:
                json.dump(kept, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            message = f"{self._path} cannot be written: {error}"
            raise SpoolUnwritableError(message) from error

    def _parsed(self, kept: object) -> Position | None:
        if not isinstance(kept, dict):
            return None
        if (kept.get("format"), kept.get("region")) != (FORMAT, self._region):
            return None
        position = Position(0)
        for field in fields(Position):
            value = kept.get(field.name)
            if type(value) is not type(getattr(position, field.name)):
                return None
            setattr(position, field.name, value)
        return position
