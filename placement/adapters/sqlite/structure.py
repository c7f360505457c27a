"""Whether a checkpoint's file has just our tables, with their pages in order."""

import re
from typing import Final

import aiosqlite

from placement.adapters.sqlite.file import schema
from placement.adapters.sqlite.proof import DamageError
from placement.core.errors import clipped

_READ_TABLES: Final = (
    "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
)
_CREATE: Final = re.compile(r"CREATE TABLE .+?STRICT(?=;)")
_COMMENT: Final = re.compile(r"--.*")


async def check_structure(connection: aiosqlite.Connection) -> None:
    """Raise DamageError unless the tables are ours and their pages in order."""
    tables = await connection.execute_fetchall(_READ_TABLES)
    if [_bare(sql) for (sql,) in tables] != _CREATE.findall(_bare(schema())):
        message = "it has other tables than this version makes"
        raise DamageError(message)
    found = list(await connection.execute_fetchall("PRAGMA integrity_check(1)"))
    if found != [("ok",)]:
        raise DamageError(clipped(found))


def _bare(sql: str) -> str:
    """Return *sql* without comments, which may change, and with single spaces."""
    return " ".join(_COMMENT.sub("", sql).split())
