"""docs/limits.md is true: each value the code's, each reason and each test real."""

import ast
import asyncio
import re
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import pytest

from placement.api.reasons import REASONS
from placement.config import Config, ConfigError, load_topology
from placement.core.state import State
from placement.core.topology import REGION_COUNT_MAX
from placement.runtime.tokens import make_token
from placement.runtime.view import View
from placement.wire.requests import LIMITS
from tests.builders import START_NS

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "limits.md"
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
BY_THE_FOLD = {"REGION_LIMIT"}
"""Reasons of what is set aside, which no call is refused with."""

Row = tuple[str, str, str, str, str]


def rows() -> list[Row]:
    """Return limit, value, what one more is, constant and tests of each row."""
    found = []
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 6 and re.fullmatch(r"[\d,]+", cells[1]):
            limit, value, _, one_more, constant, tests = cells
            found.append((limit, value, one_more, constant.strip("`"), tests))
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_row_is_true(row: Row) -> None:
    """The value is the constant's, the reason is listed, and the tests are there."""
    _, value, one_more, constant, tests = row

    module, _, name = constant.partition(":")
    assert int(value.replace(",", "")) == getattr(import_module(module), name)
    reasons = set(re.findall(r"`([A-Z_]{5,})`", one_more))
    assert reasons <= set(REASONS) | BY_THE_FOLD
    named = TEST.findall(tests)
    assert named
    for file, function in named:
        tree = ast.parse((ROOT / file).read_text())
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        there = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
        assert function in there, f"{file}::{function}"


def test_every_limit_that_is_told_has_a_row() -> None:
    """What GetServiceInfo tells is what the page tells, with the same values."""
    told = {
        limit.split("`")[1]: int(value.replace(",", ""))
        for limit, value, *_ in rows()
        if "(told)" in limit
    }

    assert told == dict(LIMITS)


def test_catalogue_file_of_one_region_too_many_is_refused(tmp_path: Path) -> None:
    """200 regions load; the 201st is refused with the file's name and the limit."""

    def written(count: int) -> Config:
        path = tmp_path / f"{count}.toml"
        tables = (
            f"[regions.r{n}]\nlatitude = 0\nlongitude = 0\n" for n in range(count)
        )
        path.write_text('home = "r0"\n' + "".join(tables))
        return Config(regions_file=path)

    loaded = load_topology(written(REGION_COUNT_MAX))
    with pytest.raises(ConfigError, match="list 1 to 200 regions") as refused:
        load_topology(written(REGION_COUNT_MAX + 1))

    assert len(loaded.regions) == REGION_COUNT_MAX
    assert refused.value.reason == "CONFIG_INVALID"


async def test_call_beyond_those_that_may_wait_is_answered_at_once() -> None:
    """To wait costs memory, so the answer is as it is now."""
    view = View(lambda: START_NS)
    view.replace(State(), "epoch", restored=False)
    later = make_token("epoch", 7, "")
    with patch("placement.runtime.view.WAITERS_MAX", 1):
        waiting = asyncio.create_task(view.wait_for(later, 60.0))
        await asyncio.sleep(0)

        met = await asyncio.wait_for(view.wait_for(later, 60.0), 10)

    assert not met
    assert not waiting.done()
    waiting.cancel()
