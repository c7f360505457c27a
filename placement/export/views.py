"""The tables of an export as views for DuckDB: only files that the manifest names."""

from typing import Final

from placement.export.manifest import Manifest
from placement.export.schema import OUTCOMES, TABLES, Table

VIEWS: Final = "views.sql"
"""``duckdb -init views.sql``, in the directory of the export."""
OUTCOME_VERSIONS: Final = "outcome_versions"
_ONCE: Final = {
    "pulls": "registry_region, event_id",
    "starts": "region, event_id",
    "decisions": "replication_id, decision",
}
"""What a row is known by, in logs of which two may hold it: the first one counts."""
_PATTERNS: Final = str.maketrans({each: f"[{each}]" for each in "*?["})
"""DuckDB reads paths as patterns: a directory's name must match itself alone."""
_USABLE: Final = (
    ("usable_pulls", "pulls", "registry_region"),
    ("usable_starts", "starts", "region"),
    ("usable_outcomes", "outcomes", "target_region"),
)
"""Each with the region whose feed tells of it, which is not where a client may be."""


def view_statements(
    manifest: Manifest, root: str = "", *, with_known_bad: bool = False
) -> str:
    """Return the statements that make the views, each on lines of its own.

    *root* stands before each path. The views ``usable_…`` leave out what happened in a
    known-bad interval, unless *with_known_bad*.
    """
    several = len(manifest.epochs) > 1
    parts = [_view(table, manifest, root, several=several) for table in TABLES]
    parts.append(_LATEST)
    parts.append(_parameters(manifest))
    for name, table, region in _USABLE:
        parts.append(_usable(name, table, region, with_known_bad=with_known_bad))
    return "\n".join(parts)


def _view(table: Table, manifest: Manifest, root: str, *, several: bool) -> str:
    name = OUTCOME_VERSIONS if table is OUTCOMES else table.name
    head = f"CREATE OR REPLACE VIEW {name} AS"
    files = [each.path for each in manifest.files if each.table == table.name]
    if not files:
        columns = ", ".join(
            f'NULL::{each.kind.sql} AS "{each.name}"' for each in table.columns
        )
        return f"{head} SELECT {columns} WHERE false;"
    known = (f"{root}{path}".translate(_PATTERNS) for path in files)
    paths = ",\n  ".join(map(_quoted, known))
    columns = ", ".join(f'"{each.name}"' for each in table.columns)
    said = (
        f"{head} SELECT {columns} FROM read_parquet([\n  {paths}],"  # noqa: S608 - quoted
        " hive_partitioning = false, union_by_name = true)"
    )
    if several and name in _ONCE:
        key, order = _ONCE[name], "epoch, sequence, batch_index"
        said += f" QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}) = 1"
    return f"{said};"


_LATEST: Final = (
    f"CREATE OR REPLACE VIEW outcomes AS SELECT * FROM {OUTCOME_VERSIONS} QUALIFY "  # noqa: S608 - names of ours
    "row_number() OVER (PARTITION BY replication_id ORDER BY version DESC) = 1;"
)


def _parameters(manifest: Manifest) -> str:
    told, versions = manifest.parameters, manifest.outcome_versions
    as_of = versions[-1] if versions else None
    sequence = as_of.as_of_sequence if as_of else 0
    micros = as_of.as_of_time_ns // 1_000 if as_of else 0
    return (
        "CREATE OR REPLACE VIEW parameters AS SELECT "
        f"{_quoted(told.policy)} AS policy, "
        f"{told.kappa_bytes_per_second!r}::DOUBLE AS kappa_bytes_per_second, "
        f"{round(told.local_start_seconds * 1e9)}::BIGINT AS local_start_ns, "
        f"{sequence}::BIGINT AS as_of_sequence, "
        f"make_timestamp({micros}) AS as_of_time;"
    )


def _usable(name: str, table: str, region: str, *, with_known_bad: bool) -> str:
    said = f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {table} AS each"  # noqa: S608 - names of ours
    if with_known_bad:
        return f"{said};"
    return (
        f"{said} WHERE NOT EXISTS (SELECT 1 FROM intervals AS bad WHERE "  # noqa: S608 - names of ours
        f"(bad.region IS NULL OR bad.region = each.{region}) AND "
        "(bad.start_time IS NULL OR each.time >= bad.start_time) AND "
        "each.time < bad.end_time);"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
