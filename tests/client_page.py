"""docs/client.md: every class and method that users import, from its docstring.

``python -m tests.client_page`` writes them anew.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import placement.client as module
from placement.api.reasons import REASONS
from tests.pages import rewritten, row

PAGE: Final = Path(__file__).parents[1] / "docs" / "client.md"
_MODULES: Final = re.compile(r"\b(?:[a-z_0-9]+\.)+(?=[A-Z])")
"""In front of types: where they are defined says nothing to a reader."""
_OWN: Final = "placement."


def reference() -> Iterator[str]:
    """Yield what users import, class by class."""
    for name in sorted(module.__all__, key=order):
        found = getattr(module, name)
        yield from (f"### {name}", "")
        yield from prose(found.__doc__)
        if made_by_hand(found):
            yield from ("", f"`{name}{signature(found.__init__)}`", "")
            yield from prose(found.__init__.__doc__)
        yield from fields(found)
        for method, function in methods(found):
            kind = (
                "" if isinstance(function, property) else signature(unbound(function))
            )
            yield from ("", f"- `{prefix(function)}{method}{kind}`", "")
            lines = prose(inspect.getdoc(unbound(function)))
            yield from (f"  {line}" if line else "" for line in lines)
        yield ""


def order(name: str) -> tuple[int, str]:
    """Sort the two that are used most to the front."""
    first = ("PlacementClient", "LocalPlacements", "PlacementCallError", "ClientTls")
    return (first.index(name) if name in first else len(first), name)


def made_by_hand(found: Any) -> bool:  # noqa: ANN401 - any class
    """Say whether users call the class itself, by an ``__init__`` of its own."""
    own = "__init__" in vars(found) and not dataclasses.is_dataclass(found)
    return own and found.__name__ in {"Outbox", "PlacementClient"}


def fields(found: Any) -> Iterator[str]:  # noqa: ANN401 - any class
    """Yield the fields of a value, with their types."""
    names: dict[str, Any] = {}
    typed = hasattr(found, "_fields") or hasattr(found, "__total__")
    if dataclasses.is_dataclass(found) or typed:
        names = inspect.get_annotations(found)
    elif found.__name__ == "PlacementCallError":
        names = {
            "code": "grpc.StatusCode",
            **dict.fromkeys(("reason", "message", "field", "remedy"), str),
            "retryable": bool,
            "retry_delay_ms": int | None,
            "metadata": "Mapping[str, str]",
        }
    if names:
        each = (f"`{name}: {annotation(kind)}`" for name, kind in names.items())
        yield from ("", f"Fields: {', '.join(each)}.")


def methods(found: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties of a class, those of its bases too."""
    seen = set()
    for base in found.__mro__:
        if not base.__module__.startswith(_OWN):
            continue
        for name, function in vars(base).items():
            public = not name.startswith("_") and name not in seen
            if public and (
                inspect.isfunction(function)
                or isinstance(function, classmethod | property)
            ):
                seen.add(name)
                yield name, function


def unbound(function: Any) -> Any:  # noqa: ANN401 - a function, in what wraps it
    """Return the function inside a class method or a property."""
    if isinstance(function, classmethod):
        return function.__func__
    return function.fget if isinstance(function, property) else function


def prefix(function: Any) -> str:  # noqa: ANN401 - a function, in what wraps it
    """Return how a method is called, other than plainly."""
    inner = unbound(function)
    if inspect.isasyncgenfunction(inner):
        return "async for … in "
    return "await " if inspect.iscoroutinefunction(inner) else ""


def signature(function: Any) -> str:  # noqa: ANN401 - a function
    """Return parameters with their types and defaults, and what is returned."""
    found = inspect.signature(function)
    shown = []
    star = False
    for name, each in list(found.parameters.items())[1:]:
        if each.kind is each.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        lead = "**" if each.kind is each.VAR_KEYWORD else ""
        default = "" if each.default is each.empty else f" = {plain(each.default)}"
        shown.append(f"{lead}{name}: {annotation(each.annotation)}{default}")
    returned = found.return_annotation
    told = "" if returned in {None, inspect.Signature.empty} else annotation(returned)
    arrow = f" -> {told}" if told else ""
    return f"({', '.join(shown)}){arrow}"


def annotation(kind: Any) -> str:  # noqa: ANN401 - an annotation
    """Return a type as people write it."""
    text = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    return _MODULES.sub("", text).replace("*<class 'Freshness'>", "Freshness")


def plain(default: object) -> str:
    """Return a default value; of a function only its name."""
    if callable(default):
        return str(getattr(default, "__name__", default))
    return repr(default)


def prose(text: str | None) -> Iterator[str]:
    """Yield a docstring as Markdown: names in italics and code become code."""
    for line in inspect.cleandoc(text or "").splitlines():
        marked = line.replace("``", "`")
        yield re.sub(r"(?<![*`\w])\*([a-z_]+)\*(?![*\w])", r"`\1`", marked)


def errors() -> Iterator[str]:
    """Yield every reason that a call may fail with, and what to do about it."""
    yield row(["reason", "status", "what to do", "repeated by the client"])
    yield "|---|---|---|---|"
    for name, reason in REASONS.items():
        again = "yes" if reason.retryable else "no"
        yield row([f"`{name}`", reason.code.name, reason.action, again])


PARTS: Final = {"errors": errors, "reference": reference}


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(), "client_page", PARTS))
