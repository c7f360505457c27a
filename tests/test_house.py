"""The house rules as tests: sizes, sentences, imports, and a README that is true."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from placement.cli.main import main

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "placement"
MODULE_LINES_MAX = 300
FUNCTION_LINES_MAX = 70
PORT_METHODS_MAX = 5
README = ROOT / "README.md"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """Return every module of the package that people wrote."""
    generated = PACKAGE / "v1"
    found = [path for path in PACKAGE.rglob("*.py") if generated not in path.parents]
    return sorted(found)


def functions(path: Path) -> Iterator[Function]:
    """Yield every function of a module, methods too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def words(path: Path) -> str:
    """Return a path as it is named in messages."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(), ids=words)
def test_module_fits_in_the_head(path: Path) -> None:
    """A module is at most 300 lines and opens with one sentence of responsibility."""
    text = path.read_text()
    docstring = ast.get_docstring(ast.parse(text)) or ""

    assert len(text.splitlines()) <= MODULE_LINES_MAX
    assert docstring.splitlines()[0].rstrip().endswith((".", ":", ";", ","))


@pytest.mark.parametrize("path", modules(), ids=words)
def test_function_fits_on_a_screen(path: Path) -> None:
    """No function is longer than 70 lines."""
    long = [
        f"{function.name}: {(function.end_lineno or 0) - function.lineno + 1} lines"
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES_MAX
    ]

    assert long == []


def test_suppression_names_its_rule_and_reason() -> None:
    """Every noqa and type: ignore says which rule and why."""
    marks = re.compile(r"#\s*(noqa|type: ignore|pragma: no cover)(?P<rest>.*)")
    bare = []
    for path in [*modules(), *sorted((ROOT / "tests").rglob("*.py"))]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = marks.search(line)
            if found and path != Path(__file__):
                ruled = re.match(r"(:\s*[A-Z]+\d+|\[[\w, -]+\])", found["rest"])
                if not ruled:
                    bare.append(f"{words(path)}:{number}")

    assert bare == []


def test_port_stays_small() -> None:
    """A port has at most five methods."""
    ports = {
        node.name: [item for item in node.body if isinstance(item, Function)]
        for name in ("ports.py", "spooling.py")
        for node in ast.walk(ast.parse((PACKAGE / name).read_text()))
        if isinstance(node, ast.ClassDef)
        and any(
            isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases
        )
    }

    assert set(ports) == {
        *("EventLog", "CheckpointStore", "Peers", "RunRecords", "Spool")
    }
    for methods in ports.values():
        asked = [each for each in methods if not each.decorator_list]
        assert len(asked) <= PORT_METHODS_MAX, "a property is no method"


def test_only_the_configuration_reads_the_environment() -> None:
    """What a process does follows from its configuration alone."""
    readers = {
        words(path)
        for path in modules()
        if re.search(r"os\.environ|os\.getenv", path.read_text())
    }

    assert readers == {
        "placement/config/loading.py",
        "placement/cli/main.py",
        "placement/unconfigured.py",
    }


def test_only_the_composition_root_names_concrete_adapters() -> None:
    """Adapters are chosen in one place for each program."""
    namers = {
        words(path)
        for path in modules()
        if "from placement.adapters" in path.read_text()
        and path.parts[-2] != "adapters"
        and "adapters" not in path.parts
    }

    assert namers == {
        "placement/agent_app/delivery.py",
        "placement/agent_app/regional.py",
        "placement/agent_app/running.py",
        "placement/app.py",
        "placement/nats_settings.py",
        "placement/stores.py",
    }


def test_core_has_neither_clock_nor_chance() -> None:
    """Determinism: no call in the core depends on when or where it is made."""
    forbidden = re.compile(r"\b(time\.time|perf_counter|random\.|hash\(|id\()")
    guilty = [
        f"{words(path)}:{number}"
        for path in modules()
        if "core" in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if forbidden.search(line)
    ]

    assert guilty == []


def test_readme_tree_is_true() -> None:
    """Every path in the README's tree exists, and every room is in it."""
    text = README.read_text()
    tree = text.split("## The house", 1)[1].split("```text", 1)[1].split("```", 1)[0]
    named = tree_paths(tree)
    rooms = {
        words(path) + "/"
        for path in PACKAGE.rglob("*")
        if path.is_dir()
        and path.name not in {"__pycache__", "v1"}
        and any(path.glob("*.py"))
    }

    assert [path for path in named if not (ROOT / path).exists()] == []
    assert sorted(rooms - named) == []


def tree_paths(tree: str) -> set[str]:
    """Return the paths of an indented tree, two spaces a level."""
    found: set[str] = set()
    parents: list[str] = []
    for line in tree.splitlines():
        matched = re.match(r"( *)([\w.\-/]+)(?: {2,}|$)", line)
        if not matched:
            continue
        depth = len(matched[1]) // 2
        parents = [*parents[:depth], matched[2]]
        found.add("".join(parents))
    return found


def test_readme_names_every_command() -> None:
    """The README shows each command of the program, and no other."""
    text = README.read_text()
    shown = set(
        re.findall(r"\bplacement ([a-z-]+)\b(?= |`|$)", text, flags=re.MULTILINE)
    )
    commands = set(main.list_commands(main.make_context("placement", ["status"])))

    assert commands <= shown
