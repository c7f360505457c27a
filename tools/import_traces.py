#!/usr/bin/env python3
"""Convert histories of deploys into traces that `placement simulate` replays.

    python tools/import_traces.py SOURCE_FOLDER OUT_FOLDER
    python tools/import_traces.py --expand SOURCE_FOLDER OUT_FOLDER

SOURCE_FOLDER is a history or holds several: folders with an events.csv.gz of a known
layout (govuk-deploys, konflux-rollouts, phalanx-sites). Each becomes a file in
OUT_FOLDER: govuk.csv.gz, konflux.csv.gz, phalanx.csv.gz, with the columns
time,region,repository,tag,kind. The same input gives the same bytes. Needs nothing
installed but Python 3.11.
"""

import argparse
import csv
import gzip
import io
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from placement.core.errors import InputError
from placement.simulation.expansion import (
    Expanded,
    expand,
    find_start_config,
    read_start_config,
)
from placement.simulation.layouts import (
    GOVUK,
    History,
    Imported,
    find_histories,
    import_history,
)
from placement.simulation.trace import COLUMNS, Kind, Trace, TraceRow

PROGRESS_ROWS = 20_000
SHOWN_MAX = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert as the command line says and return the exit status: 0, or 2."""
    options = _options(arguments)
    try:
        _convert(options)
    except InputError as error:
        print(f"import_traces: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"import_traces: {error}: name a folder to write to", file=sys.stderr)
        return 2
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    described, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=described,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE_FOLDER", type=Path)
    parser.add_argument("out", metavar="OUT_FOLDER", type=Path)
    parser.add_argument(
        "--expand",
        action="store_true",
        help="also write govuk-all.csv.gz: before the six months that the newest"
        " start_config_DATE.csv covers, deploys; within them every machine start",
    )
    parser.add_argument(
        "--from", dest="first", type=_day, metavar="DATE", help="leave out rows before"
    )
    parser.add_argument(
        "--to", dest="end", type=_day, metavar="DATE", help="and rows from DATE on"
    )
    parser.add_argument(
        "--one-app-in",
        type=_divisor,
        metavar="N",
        default=1,
        help="keep every Nth app, by a hash of its name",
    )
    return parser.parse_args(arguments)


def _convert(options: argparse.Namespace) -> None:
    histories = find_histories(options.source)
    options.out.mkdir(parents=True, exist_ok=True)
    for history in histories:
        imported = import_history(history, _progress(history.layout.trace))
        trace = _cut(imported.trace, options)
        target = options.out / f"{history.layout.trace}.csv.gz"
        write_trace(trace, target)
        print(_summary(target, trace, imported), flush=True)
        if options.expand and history.layout is GOVUK:
            _expand(history, imported.trace, options.out)


def _expand(history: History, trace: Trace, out: Path) -> None:
    found = find_start_config(history.path.parent)
    print(f"govuk-all: expanding by {found.name}", file=sys.stderr, flush=True)
    config = read_start_config(found, history.layout.trace)
    expanded = expand(trace, config)
    target = out / "govuk-all.csv.gz"
    write_trace(expanded.trace, target)
    print(_expanded_summary(target, expanded), flush=True)


def write_trace(trace: Trace, target: Path) -> None:
    """Write *trace* to *target*, all of it or nothing, the same bytes every time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (row.time_s, row.region, row.repository, row.tag or "", row.kind)
        for row in trace.rows
    )
    # Neither a time nor a file name in the header: both would differ between runs.
    packed = gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)
    partial = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(packed)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _cut(trace: Trace, options: argparse.Namespace) -> Trace:
    first_s, end_s = options.first or 0, options.end or sys.maxsize
    divisor = options.one_app_in
    kept: dict[str, bool] = {}
    rows: list[TraceRow] = []
    for row in trace.rows:
        if row.repository not in kept:
            digest = sha256(row.repository.encode()).digest()
            kept[row.repository] = int.from_bytes(digest[:8], "big") % divisor == 0
        if kept[row.repository] and first_s <= row.time_s < end_s:
            rows.append(row)
    return Trace(tuple(rows), trace.was_ordered)


def _summary(target: Path, trace: Trace, imported: Imported) -> str:
    removals = sum(row.kind is Kind.REMOVE for row in trace.rows)
    versions = {(row.repository, row.tag) for row in trace.rows if row.tag}
    parts = [
        f"{len(trace.rows)} rows",
        f"{len(trace.rows) - removals} starts",
        f"{removals} removals",
        f"{len({row.repository for row in trace.rows})} apps",
        f"{len(versions)} versions",
        f"{len(trace.regions())} regions",
    ]
    if trace.rows:
        parts.append(f"{_date(trace.rows[0].time_s)} to {_date(trace.rows[-1].time_s)}")
    parts.append(f"left out {imported.early_count} too early")
    parts.append(f"{imported.repeated_count} repeated")
    if not imported.trace.was_ordered:
        parts.append("sorted by time, which the source was not")
    if imported.merged_tags:
        shown = " ".join(imported.merged_tags[:SHOWN_MAX])
        parts.append(
            f"{len(imported.merged_tags)} tags stand for two versions: {shown}"
        )
    return f"{target}: {', '.join(parts)}"


def _expanded_summary(target: Path, expanded: Expanded) -> str:
    first, end = _date(expanded.first_s), _date(expanded.end_s)
    starts = expanded.deploy_count + expanded.cron_count
    return (
        f"{target}: {len(expanded.trace.rows)} rows; from {first} to before {end}"
        f" {starts} starts: {expanded.deploy_count} by deploys,"
        f" {expanded.cron_count} by cron"
    )


def _progress(name: str) -> Callable[[int], None]:
    def tell(count: int) -> None:
        if count % PROGRESS_ROWS == 0:
            print(f"{name}: {count} rows read", file=sys.stderr, flush=True)

    return tell


def _day(text: str) -> int:
    try:
        moment = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        message = f"{text!r} is no date: give YYYY-MM-DD"
        raise argparse.ArgumentTypeError(message) from None
    return int(moment.timestamp())


def _divisor(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        message = f"{text!r} is no count: give a whole number above 0"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _date(time_s: int) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d}"


if __name__ == "__main__":
    sys.exit(main())
