"""A trace: which version of which app started in which region, and when.

Canonical form: CSV, gzipped if its name ends in ``.gz``, UTF-8, with the columns
``time,region,repository,tag,kind``; further columns are ignored. ``time`` is in whole
unix seconds; ``kind`` is ``start``, or ``remove`` when the app left the region, which
needs no tag. Rows of one second keep their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Final

from placement.core.errors import (
    InputError,
    LimitInvalidError,
    TextInvalidError,
    TimeInvalidError,
)
from placement.core.oci import Repository, Tag, parse_repository, parse_tag
from placement.simulation.tables import table_rows

COLUMNS: Final = ("time", "region", "repository", "tag", "kind")
ROW_COUNT_MAX: Final = 10_000_000
REGION_LENGTH_MAX: Final = 128
TIME_S_MAX: Final = 2**62 // 10**9
"""The last whole second that the log can hold, in the year 2116."""
NO_TAG: Final = ("", "-")
"""What a row of kind ``remove`` may say instead of a tag."""


class Kind(StrEnum):
    """What a row says of an app in a region."""

    START = "start"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One row; *region* is the trace's own name of it. A start always has a tag."""

    time_s: int
    region: str
    repository: Repository
    tag: Tag | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class Trace:
    """The rows in the order of time; those of one second as the file has them."""

    rows: tuple[TraceRow, ...]
    was_ordered: bool = True
    """Whether the file had them in that order; if not, its reader should be told."""

    def regions(self) -> tuple[str, ...]:
        """Return the trace's regions, each once, in the order of first appearance."""
        return tuple(dict.fromkeys(row.region for row in self.rows))


def read_trace(path: Path) -> Trace:
    """Return the trace in the file at *path*, sorted by time where it is not.

    Raises InputError, naming line, field, value and remedy, for what is no trace, for
    a file without a row or with too many, and for one that cannot be read.
    """
    found: list[TraceRow] = []
    for row in _rows(path):
        if len(found) == ROW_COUNT_MAX:
            remedy = f"give at most {ROW_COUNT_MAX} rows; cut the trace by time"
            raise LimitInvalidError(str(path), len(found) + 1, remedy)
        found.append(row)
    if not found:
        raise LimitInvalidError(str(path), 0, "give a trace with at least one row")
    return in_order(found)


def in_order(rows: list[TraceRow]) -> Trace:
    """Return *rows* as a trace: by time, those of one second in the order given."""
    was_ordered = all(one.time_s <= other.time_s for one, other in pairwise(rows))
    return Trace(tuple(sorted(rows, key=attrgetter("time_s"))), was_ordered)


def _rows(path: Path) -> Iterator[TraceRow]:
    repositories: dict[str, Repository] = {}
    tags: dict[str, Tag] = {}
    regions: dict[str, str] = {}
    for where, (time, region, repository, tag, kind) in table_rows(path, COLUMNS):
        if repository not in repositories:
            field = f"{where}, repository"
            repositories[repository] = parse_repository(repository, field)
        if region not in regions:
            regions[region] = parse_region_name(region, f"{where}, region")
        known = parse_kind(kind, f"{where}, kind")
        if tag not in tags and not (known is Kind.REMOVE and tag in NO_TAG):
            tags[tag] = parse_tag(tag, f"{where}, tag")
        yield TraceRow(
            parse_time(time, f"{where}, time"),
            regions[region],
            repositories[repository],
            tags.get(tag),
            known,
        )


def parse_time(text: str, field: str = "time") -> int:
    """Return *text* as whole unix seconds; raises TimeInvalidError, naming *field*."""
    whole, _, fraction = text.strip().partition(".")
    if not (whole.isascii() and whole.isdecimal()) or fraction.strip("0"):
        remedy = "give whole unix seconds, such as 1735689600"
        raise TimeInvalidError(field, text, remedy)
    # Text this long is checked first: int() of very long text is slow.
    if len(whole) > len(str(TIME_S_MAX)) or not 0 < int(whole) <= TIME_S_MAX:
        remedy = f"give unix seconds, 1 to {TIME_S_MAX}, not milliseconds"
        raise TimeInvalidError(field, text, remedy)
    return int(whole)


def parse_region_name(text: str, field: str = "region") -> str:
    """Return a trace's name of a region; raises TextInvalidError, naming *field*."""
    if not 0 < len(text) <= REGION_LENGTH_MAX or not text.isprintable() or " " in text:
        remedy = f"give 1 to {REGION_LENGTH_MAX} printable characters without spaces"
        raise TextInvalidError(field, text, remedy)
    return text


def parse_kind(text: str, field: str = "kind") -> Kind:
    """Return *text* as a kind of row; raises InputError, naming *field*."""
    try:
        return Kind(text)
    except ValueError:
        raise InputError(field, text, "give start or remove") from None
