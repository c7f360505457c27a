"""The layouts of deploy histories that can become traces, and how each is read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from placement.core.errors import InputError, LimitInvalidError
from placement.simulation.names import repository_of, tag_of
from placement.simulation.tables import columns_in, table_rows
from placement.simulation.trace import (
    ROW_COUNT_MAX,
    Kind,
    Trace,
    TraceRow,
    in_order,
    parse_region_name,
    parse_time,
)

EVENTS: Final = ("events.csv.gz", "events.csv")
"""What a folder with a history holds, one of them."""
FOLDER_COUNT_MAX: Final = 1_000
GOVUK_FIRST_S: Final = 1_672_531_200
"""2023-01-01: before, GOV.UK's deploys were not automatic; those rows are not used."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One way in which a history is written down: its columns and what they mean."""

    trace: str
    """The trace's name, and the first component of its repositories."""
    folder: str
    time: str
    region: str
    app: tuple[str, ...]
    """The columns that name an app, joined by ``/``."""
    version: str
    starts: frozenset[str]
    """The kinds of rows that are starts; ``remove`` is a removal everywhere."""
    unread: tuple[str, ...]
    """Further columns, from which nothing is taken; they tell layouts apart."""
    first_s: int = 0
    """Earlier rows are not used; unix seconds."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that are read."""
        return (self.time, self.region, *self.app, self.version, "kind")

    @property
    def known_by(self) -> frozenset[str]:
        """Return the columns that a file of this layout has."""
        return frozenset((*self.columns, *self.unread))


GOVUK: Final = Layout(
    "govuk",
    "govuk-deploys",
    "t",
    "env",
    ("app",),
    "version",
    frozenset({"deploy", "redeploy"}),
    (),
    GOVUK_FIRST_S,
)
KONFLUX: Final = Layout(
    "konflux",
    "konflux-rollouts",
    "t",
    "cluster",
    ("image",),
    "tag",
    frozenset({"add", "deploy"}),
    ("component",),
)
PHALANX: Final = Layout(
    "phalanx",
    "phalanx-sites",
    "t",
    "site",
    ("app", "image_key"),
    "version",
    frozenset({"add", "deploy"}),
    ("env",),
)
LAYOUTS: Final = (GOVUK, KONFLUX, PHALANX)
REMOVE: Final = "remove"


@dataclass(frozen=True, slots=True)
class History:
    """A file that was found, and its layout."""

    layout: Layout
    path: Path


@dataclass(frozen=True, slots=True)
class Imported:
    """A history as a trace, and how many of its rows are not in it."""

    trace: Trace
    early_count: int
    """Rows before the layout's first moment."""
    repeated_count: int
    """Rows that say of the same moment what another row says."""
    merged_tags: tuple[str, ...]
    """Tags that stand for two versions of an app: names that OCI cannot keep apart."""


def find_histories(source: Path) -> list[History]:
    """Return the histories in the folder *source* and directly below it, by layout.

    Raises InputError when there is none, when there are two of one layout, and when a
    folder that is named like a layout holds another.
    """
    if not source.is_dir():
        raise InputError("SOURCE_FOLDER", source, "name a folder that exists")
    below = sorted(path for path in source.iterdir() if path.is_dir())
    found: dict[str, History] = {}
    for folder in (source, *below[:FOLDER_COUNT_MAX]):
        history = _history_in(folder)
        if history is None:
            continue
        trace = history.layout.trace
        if trace in found:
            remedy = f"leave one of two histories of {trace}: {found[trace].path}"
            raise InputError("SOURCE_FOLDER", history.path, remedy)
        found[trace] = history
    if not found:
        known = ", ".join(f"{x.folder}/{EVENTS[0]}" for x in LAYOUTS)
        remedy = f"name a folder that holds one or several of {known}"
        raise InputError("SOURCE_FOLDER", source, remedy)
    return [found[x.trace] for x in LAYOUTS if x.trace in found]


def _history_in(folder: Path) -> History | None:
    paths = [folder / name for name in EVENTS if (folder / name).is_file()]
    if not paths:
        return None
    names = columns_in(paths[0])
    fitting = [layout for layout in LAYOUTS if layout.known_by <= set(names)]
    if fitting:
        # One layout's columns may be among another's: the one with more is meant.
        return History(max(fitting, key=lambda one: len(one.known_by)), paths[0])
    for layout in LAYOUTS:
        if folder.name == layout.folder:
            remedy = f"the first line must name {','.join(sorted(layout.known_by))}"
            line, shown = f"{paths[0]}: line 1", ",".join(names)
            raise InputError(line, shown, remedy)
    return None


def import_history(
    history: History, tell: Callable[[int], None] = lambda _: None
) -> Imported:
    """Return *history* as a trace in the order of time; *tell* hears rows read so far.

    Several rows that say the same of one region at one moment, such as those of the
    environments of one site, are one. Raises InputError, naming line, field, value and
    remedy.
    """
    layout = history.layout
    rows: list[TraceRow] = []
    versions: dict[tuple[str, str], str] = {}
    merged: dict[str, None] = {}
    early_count = 0
    for number, (row, version) in enumerate(_rows(history)):
        if number == ROW_COUNT_MAX:
            remedy = f"give at most {ROW_COUNT_MAX} rows"
            raise LimitInvalidError(str(history.path), number + 1, remedy)
        tell(number + 1)
        if row.time_s < layout.first_s:
            early_count += 1
            continue
        if (
            row.tag
            and versions.setdefault((row.repository, row.tag), version) != version
        ):
            merged[f"{row.repository}:{row.tag}"] = None
        rows.append(row)
    trace = in_order(rows)
    single = tuple(dict.fromkeys(trace.rows))
    repeated_count = len(rows) - len(single)
    trace = Trace(single, trace.was_ordered)
    return Imported(trace, early_count, repeated_count, tuple(merged))


def _rows(history: History) -> Iterator[tuple[TraceRow, str]]:
    layout = history.layout
    for where, cells in table_rows(history.path, layout.columns):
        time, region, *apps, version, kind = cells
        removed = kind == REMOVE
        if not removed and kind not in layout.starts:
            remedy = f"give one of {', '.join(sorted((*layout.starts, REMOVE)))}"
            field = f"{where}, kind"
            raise InputError(field, kind, remedy)
        yield (
            TraceRow(
                parse_time(time, f"{where}, {layout.time}"),
                parse_region_name(region, f"{where}, {layout.region}"),
                repository_of(
                    layout.trace, "/".join(apps), f"{where}, {'/'.join(layout.app)}"
                ),
                None if removed else tag_of(version, f"{where}, {layout.version}"),
                Kind.REMOVE if removed else Kind.START,
            ),
            version,
        )
