"""Ready questions to an export, answered by DuckDB."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import duckdb

from placement.core.errors import InputError
from placement.export.manifest import NAME, load_manifest
from placement.export.views import view_statements

_FOLDER: Final = files("placement.export") / "queries"


@dataclass(frozen=True, slots=True)
class Table:
    """An answer."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def queries() -> dict[str, str]:
    """Return the ready queries, by name: each as its file says it."""
    found = (each for each in _FOLDER.iterdir() if each.name.endswith(".sql"))
    texts = {each.name.removesuffix(".sql"): each.read_text("utf-8") for each in found}
    return dict(sorted(texts.items()))


def question(text: str) -> str:
    """Return what a query answers: its first line."""
    return text.partition("\n")[0].removeprefix("-- ")


def answer(directory: Path, name: str, *, with_known_bad: bool = False) -> Table:
    """Return what the query *name* finds in the export in *directory*.

    What happened in a known-bad interval is left out, unless *with_known_bad*. Raises
    InputError, naming the argument.
    """
    ready = queries()
    if name not in ready:
        raise InputError("NAME", name, f"give one of {', '.join(ready)}")
    manifest = load_manifest(directory)
    if manifest is None:
        remedy = f"no {NAME} there: make it with `placement export {directory}`"
        raise InputError("--directory", str(directory), remedy)
    root = f"{directory.resolve()}/"
    views = view_statements(manifest, root, with_known_bad=with_known_bad)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "allow_community_extensions": False,
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        try:
            connection.execute(views)
            found = connection.execute(ready[name])
            columns = tuple(column[0] for column in found.description or ())
            return Table(columns, found.fetchall())
        except duckdb.Error as error:  # which kind, damage may choose
            why, _, _ = str(error).strip().partition("\n")
            remedy = "a file of the manifest is missing or damaged: export anew"
            raise InputError("--directory", f"{directory}: {why}", remedy) from None
