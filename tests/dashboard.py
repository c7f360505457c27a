"""The shipped Grafana dashboard, as its tests read it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

FILE: Final = Path(__file__).parents[1] / "tools/deploy/grafana/placement.json"
METRIC: Final = re.compile(r"\b(?:placement|process)_[a-z0-9_]+\b")
SELECTOR: Final = re.compile(r"((?:placement|process)_[a-z0-9_]+)\{([^}]*)\}")
MATCHER: Final = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
GROUPED: Final = re.compile(r"\b(?:by|on) \(([^)]*)\)")
OF_PROMETHEUS: Final = frozenset({"job", "instance"})
"""Labels that Prometheus gives to whatever it scrapes."""


class Asked(NamedTuple):
    """One expression, and whose panel it is of."""

    panel: str
    expression: str
    legend: str


def board() -> dict[str, Any]:
    """Return the dashboard."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def asked() -> Iterator[Asked]:
    """Yield every expression of the dashboard: of panels, and of annotations."""
    found = board()
    for panel in found["panels"]:
        for target in panel.get("targets", ()):
            yield Asked(panel["title"], target["expr"], target["legendFormat"])
    for annotation in found["annotations"]["list"]:
        if "expr" in annotation:
            yield Asked(annotation["name"], annotation["expr"], "")


def filled(expression: str) -> str:
    """Return *expression* with its variables as Grafana fills them in for all."""
    return re.sub(r"\$(?!__)\w+", ".*", expression.replace("$__rate_interval", "1m"))
