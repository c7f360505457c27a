"""Tests that documents name: a document is kept honest by whether they exist."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`")


def missing_tests(text: str) -> list[str]:
    """Return those of the tests named in *text* that do not exist."""
    return [
        f"{file}::{name}"
        for file, name in TEST.findall(text)
        if not (ROOT / file).is_file() or (name and name not in functions(file))
    ]


@cache
def functions(file: str) -> frozenset[str]:
    """Return the names of all functions of a module."""
    tree = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def table_rows(text: str, first: str) -> list[list[str]]:
    """Return the cells of each row of a table whose first cell matches *first*."""
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(first, cells[0]):
            rows.append(cells)
    return rows
