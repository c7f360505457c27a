"""The manifest of an export: what it holds, how far it goes, and by which rules.

It is written last, in one step: what it does not name is not part of the export.
"""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from placement.core.errors import InputError
from placement.core.fold import FOLD_VERSION
from placement.durable import sync_directory
from placement.export.bounds import Bound
from placement.export.schema import SCHEMA_VERSION

NAME: Final = "manifest.json"
FORMAT: Final = "placement-export"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One log, as far as it was exported; numbered from 1 in the order of exporting."""

    number: int
    name: str
    first_sequence: int
    last_sequence: int
    last_store_time_ns: int
    mark: str
    """Of the last message: tells a log that was rewound, in hex."""


@dataclass(frozen=True, slots=True)
class OutcomeVersion:
    """When the outcomes were told."""

    version: int
    epoch: int
    as_of_sequence: int
    as_of_time_ns: int


@dataclass(frozen=True, slots=True)
class File:
    """A file of the export; its path is relative to the directory."""

    path: str
    table: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the figures of a report are weighed by: the policy in force at the end."""

    policy: str = ""
    kappa_bytes_per_second: float = 0.0
    local_start_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of it."""

    since_sequence: int = 1
    """Of the first log."""
    since_time_ns: int = 0
    """The time that this sequence was found by; 0: by none."""
    hashed_by: str = ""
    """The fingerprint of the key that names are hashed with; empty: they are not."""
    events_per_file: int = 0
    fold_version: int = FOLD_VERSION
    epochs: tuple[Epoch, ...] = ()
    outcome_versions: tuple[OutcomeVersion, ...] = ()
    parameters: Parameters = Parameters()
    files: tuple[File, ...] = field(default=())

    @property
    def epoch(self) -> Epoch | None:
        """Return the log that was exported last."""
        return self.epochs[-1] if self.epochs else None

    def begins_at(self, bound: Bound) -> bool:
        """Say whether *bound* is where it was begun; no log is asked for that.

        A time means another message once the log is trimmed or replaced.
        """
        sequence, time_ns = bound
        if time_ns:
            return time_ns == self.since_time_ns
        return sequence == self.since_sequence

    def with_epoch(self, epoch: Epoch, files: tuple[File, ...]) -> "Manifest":
        """Return it with the latest word on *epoch*, and more files."""
        before = tuple(each for each in self.epochs if each.number != epoch.number)
        return replace(self, epochs=(*before, epoch), files=(*self.files, *files))

    def plain(self) -> dict[str, Any]:
        """Return it as its file says it."""
        head = {"format": FORMAT, "schema_version": SCHEMA_VERSION}
        return head | asdict(self)


def load_manifest(directory: Path) -> Manifest | None:
    """Return the manifest of *directory*; None where there is none.

    Raises InputError for a file that is no manifest of this version.
    """
    path = directory / NAME
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    remedy = "export into a new directory"
    try:
        told = json.loads(text)
        if told.pop("format") != FORMAT:
            raise InputError("directory", str(path), f"no export: {remedy}")
        version = told.pop("schema_version")
        if version != SCHEMA_VERSION:
            said = f"schema version {version}, and this program's is {SCHEMA_VERSION}"
            raise InputError("directory", f"{path} ({said})", remedy)
        return _read(told)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        said = f"cannot be read as a manifest ({error!r}): {remedy}"
        raise InputError("directory", str(path), said) from None


def _read(told: dict[str, Any]) -> Manifest:
    return Manifest(
        **told
        | {
            "epochs": tuple(Epoch(**each) for each in told["epochs"]),
            "outcome_versions": tuple(
                OutcomeVersion(**each) for each in told["outcome_versions"]
            ),
            "parameters": Parameters(**told["parameters"]),
            "files": tuple(File(**each) for each in told["files"]),
        }
    )


def save_text(path: Path, text: str) -> None:
    """Put *text* at *path* in one step, durably."""
    draft = path.with_name(f".{path.name}.new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def save_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest of *directory*."""
    text = json.dumps(manifest.plain(), indent=1)
    save_text(directory / NAME, text + "\n")
