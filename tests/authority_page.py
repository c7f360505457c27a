"""docs/authority.md: its tables, as the service enforces them.

``python -m tests.authority_page`` writes them anew.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from placement.api.authority.identity import REGIONAL, TENANT, Role
from placement.api.authority.table import FACTS, METHODS

PAGE: Final = Path(__file__).parents[1] / "docs" / "authority.md"
BEGINS: Final = "<!-- {}: written by tests/authority_page.py -->"
ENDS: Final = "<!-- end -->"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mark(*, allowed: bool) -> str:
    return "yes" if allowed else "no"


def roles() -> Iterator[str]:
    """Yield the table of roles."""
    yield _row(["role", "in a region", "of a tenant"])
    yield "|---|---|---|"
    for role in Role:
        region = "always" if role in REGIONAL else "if its name says so"
        yield _row([f"`{role}`", region, _mark(allowed=role in TENANT)])


def methods() -> Iterator[str]:
    """Yield the table of methods."""
    tenants = sorted(TENANT)
    columns = [*Role, *(f"tenant's {role}" for role in tenants)]
    yield _row(["method", *columns])
    yield "|---" * (len(columns) + 1) + "|"
    for name, (everywhere, of_tenant) in METHODS.items():
        marks = [_mark(allowed=role in everywhere) for role in Role]
        marks += [_mark(allowed=role in of_tenant) for role in tenants]
        service, method = name[1:].split("/")
        yield _row([f"`{service.rpartition('.')[2]}.{method}`", *marks])


def facts() -> Iterator[str]:
    """Yield the table of facts."""
    publishers = [role for role in Role if any(role in may for may in FACTS.values())]
    yield _row(["fact", *publishers])
    yield "|---" * (len(publishers) + 1) + "|"
    for name, may in FACTS.items():
        yield _row([f"`{name}`", *(_mark(allowed=role in may) for role in publishers)])


def rewritten(text: str) -> str:
    """Return the page with its tables as they must be."""
    for name, table in (("roles", roles), ("methods", methods), ("facts", facts)):
        begin = BEGINS.format(name)
        before, found, rest = text.partition(begin)
        assert found, name
        _, found, after = rest.partition(ENDS)
        assert found, name
        text = "\n".join([before + begin, "", *table(), "", ENDS + after])
    return text


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
