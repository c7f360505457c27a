"""docs/logs.md from the source: ``python -m tests.logs_page`` writes it anew."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "placement"
PAGE: Final = ROOT / "docs" / "logs.md"
LOGGERS: Final = frozenset({"log", "log_events"})
CHOSEN: Final = frozenset({"write", "level"})
"""What a call is named whose level was chosen just before."""
LEVELS: Final = ("debug", "info", "warning", "error", "exception", "critical")
BEGINS: Final = "<!-- events: written by tests/logs_page.py -->"
ENDS: Final = "<!-- end -->"


@dataclass
class Line:
    """One event, wherever it is written."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)


def lines() -> dict[str, Line]:
    """Return every event of the package, by its name."""
    found: dict[str, Line] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text()
        if "structlog.get_logger" not in text:
            continue
        module = str(path.relative_to(PACKAGE).with_suffix(""))
        for call, levels in _calls(ast.parse(text)):
            name = call.args[0]
            assert isinstance(name, ast.Constant), f"{module}:{call.lineno}"
            line = found.setdefault(str(name.value), Line())
            line.levels |= levels
            line.modules.add(module)
            # Without a name: what a value tells of itself, such as an error's metadata.
            line.fields |= {each.arg or "…" for each in call.keywords} - {"exc_info"}
    return dict(sorted(found.items()))


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, set[str]]]:
    """Yield each call that writes a line, and at which levels it may do so."""
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        chosen = {
            level
            for node in ast.walk(scope)
            if isinstance(node, ast.IfExp)
            for part in (node.body, node.orelse)
            if (level := _level(part))
        }
        for node in ast.walk(scope):
            if not isinstance(node, ast.Call):
                continue
            if level := _level(node.func):
                yield node, {"error" if level == "exception" else level}
            elif isinstance(node.func, ast.Name) and node.func.id in CHOSEN and chosen:
                yield node, chosen


def _level(node: ast.expr) -> str:
    """Return the level that ``log.info`` names, or nothing."""
    if not isinstance(node, ast.Attribute) or node.attr not in LEVELS:
        return ""
    named = isinstance(node.value, ast.Name) and node.value.id in LOGGERS
    return node.attr if named else ""


def page() -> str:
    """Return the page as it should be: what people wrote, around the events."""
    rows = ["| event | level | fields | in |", "|---|---|---|---|"]
    for name, line in lines().items():
        levels = ", ".join(level for level in LEVELS if level in line.levels)
        told = ", ".join(f"`{each}`" for each in sorted(line.fields)) or " "
        modules = ", ".join(f"`{each}`" for each in sorted(line.modules))
        rows.append(f"| `{name}` | {levels} | {told} | {modules} |")
    before, _, rest = PAGE.read_text().partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return "".join([before, "\n".join([BEGINS, *rows, ENDS]), after])


if __name__ == "__main__":
    PAGE.write_text(page())
