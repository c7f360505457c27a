"""What the documentation shows to copy is what the product reads: TOML, JSON, Python.

A block of somebody else's format says so above: ``<!-- not ours: WHOSE -->``.
"""

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from placement.api.reasons import REASONS
from placement.config import load_config, load_topology
from placement.wire.event_json import event_from_json
from tests.documented import PAGES, ROOT, Block, blocks

SHOWN = [
    block
    for page in PAGES
    for block in blocks(page)
    if not block.mark.startswith("not ours: ")
]
DIGEST = f"sha256:{'d' * 64}"
CATALOGUE = "regions.toml"
KNOWN = """\
import asyncio
from pathlib import Path
from typing import Any

import httpx

from placement.client import *
"""
GIVEN = (
    "digest: str, client: PlacementClient, tls: ClientTls,"
    " application: Any, Placed: Any"
)
"""What blocks of Python take as known."""


def shown(language: str) -> list[Block]:
    """Return the blocks of a language."""
    return [block for block in SHOWN if block.language == language]


@pytest.mark.parametrize("block", shown("toml"), ids=lambda block: block.place)
def test_configuration_is_loaded(block: Block, tmp_path: Path) -> None:
    """By what loads an operator's own: no key that is none, no value that cannot be."""
    file = tmp_path / "placement.toml"
    if block.file == CATALOGUE:
        (tmp_path / CATALOGUE).write_text(block.text)
        file.write_text(f'regions_file = "{tmp_path / CATALOGUE}"\n')
        assert load_topology(load_config(file)).regions
    else:
        file.write_text(block.text)
        assert set(tomllib.loads(block.text)) <= load_config(file).model_fields_set


@pytest.mark.parametrize("block", shown("json"), ids=lambda block: block.place)
def test_json_is_json_and_its_reasons_are_known(block: Block) -> None:
    """What an event's JSON means is tried where the format is translated."""
    told = json.loads(block.text)

    assert isinstance(told, dict)
    assert told.get("reason", "INPUT_INVALID") in REASONS


def test_example_of_an_event_is_published() -> None:
    """The line of docs/events.md is what `placement publish` reads."""
    [block] = [each for each in shown("json") if each.page == "docs/events.md"]
    document = json.loads(block.text.replace("sha256:…", DIGEST))

    event = event_from_json(document)

    assert (event.region, event.event_id) == ("syd", "a-1")


@pytest.mark.parametrize("block", shown("python"), ids=lambda block: block.place)
def test_python_names_what_exists(block: Block) -> None:
    """It compiles, and each name that is imported from us can be."""
    tree = ast.parse(block.text)

    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "placement"
        ):
            module = importlib.import_module(node.module or "")
            assert [a.name for a in node.names if not hasattr(module, a.name)] == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_python_has_the_types_of_the_library(tmp_path: Path) -> None:
    """All blocks together, each in a function: arguments and answers are as typed."""
    parts = [KNOWN]
    for number, block in enumerate(shown("python")):
        body = textwrap.indent(block.text, "    ")
        head = f"async def block_{number}({GIVEN}) -> None:  # {block.place}"
        parts.append(f"{head}\n{body}    ...\n")
    file = tmp_path / "shown.py"
    file.write_text("\n\n".join(parts))
    mypy = shutil.which("mypy", path=Path(sys.executable).parent)

    done = subprocess.run(
        [str(mypy), "--config-file", str(ROOT / "pyproject.toml"), str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    faults = re.findall(r"error: .*", done.stdout)
    assert faults == [], f"{done.stdout}\n{file.read_text()}"
