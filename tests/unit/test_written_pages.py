"""docs/client.md and docs/cli.md say what the code says, and their examples hold."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import placement.client as module
from placement.cli.main import COMMANDS
from placement.client import calls, channels, client, feed, watching
from tests import cli_page, client_page
from tests.pages import Part, rewritten


@pytest.mark.parametrize(
    ("page", "name", "parts"),
    [
        (client_page.PAGE, "client_page", client_page.PARTS),
        (cli_page.PAGE, "cli_page", cli_page.PARTS),
    ],
)
def test_page_is_as_its_module_writes_it(
    page: Path, name: str, parts: Mapping[str, Part]
) -> None:
    """``python -m tests.client_page`` and ``tests.cli_page`` write them anew."""
    text = page.read_text()

    assert text == rewritten(text, name, parts), f"python -m tests.{name}"


def test_every_name_and_command_is_on_its_page() -> None:
    """What users import, and what they type."""
    classes = set(
        re.findall(r"^### (\w+)$", client_page.PAGE.read_text(), re.MULTILINE)
    )
    commands = set(
        re.findall(r"^### placement ([\w-]+)", cli_page.PAGE.read_text(), re.MULTILINE)
    )

    assert set(module.__all__) == classes
    assert set(COMMANDS) == commands


def test_everything_that_users_import_says_what_it_is() -> None:
    """A method without a sentence would be an empty line of the reference."""
    for name in module.__all__:
        found = getattr(module, name)
        assert found.__doc__, name
        for method, function in client_page.methods(found):
            assert client_page.unbound(function).__doc__, f"{name}.{method}"


def test_figures_of_the_page_are_those_of_the_code() -> None:
    """Deadlines, waits and limits, as the tables say them."""
    text = client_page.PAGE.read_text()
    said = {
        f"`timeout_s`, {client.TIMEOUT_S:g} s by default",
        f"after {watching.SILENCE_S:g} s of silence it begins again",
        f"up to {calls.ATTEMPTS_MAX} times",
        f"{calls.FIRST_WAIT_S:g} s, doubling to {calls.LAST_WAIT_S:g} s",
        f"{channels.CONNECT_MS_MAX / 1e3:g} s; then another attempt",
        f"a ping after {channels.KEEPALIVE_MS / 1e3:g} s of silence",
        f"{channels.KEEPALIVE_TIMEOUT_MS / 1e3:g} s for its answer",
        f"after {feed.SILENT_NS / 1e9:g} s without a word",
        f"doubles up to {watching.LAST_WAIT_S:g} s",
        f"have {channels.OLD_CHANNEL_S:g} s to end",
        f"| `holds` | {client.HOLDS_S:g} s |",
    }

    assert [sentence for sentence in said if sentence not in text] == []


@pytest.mark.parametrize("name", ["client", "registry-nodes", "schedulers"])
def test_python_of_the_page_is_python(name: str) -> None:
    """And it names methods that there are."""
    text = (client_page.PAGE.parent / f"{name}.md").read_text()
    known = {
        method
        for found in (module.PlacementClient, module.LocalPlacements)
        for method, _ in client_page.methods(found)
    }
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = compile(block, name, "exec", flags)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                asked = node.value.id in {"client", "local", "LocalPlacements"}
                assert not asked or node.attr in known, node.attr
