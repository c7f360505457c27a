"""docs/reference/configuration.md: every key, from the models that check it."""

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from placement.cli.main import COMMANDS, load_command
from placement.config import Config
from tests.reference.markdown import made_by, prose, table

HEAD: Final = ("key, variable, flag", "type", "default", "takes")
WORDS: Final = {
    bool: "boolean",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
}
SETS: Final = "Sets {} of the configuration."
AGENT_FLAGS: Final = {
    "agent.region": "region",
    "agent.listen": "listen",
    "agent.receiver.token_file": "token_file",
    "agent.receiver.client_regions": "client_regions",
    "agent.receiver.proxy": "proxy",
}
"""The parameters of `placement agent` that set a key, beside those that say so."""
PACKAGE: Final = Path(__file__).parents[2]


def configuration_page() -> str:
    """Return the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield "# Configuration"
    yield ""
    yield from made_by("placement/config")
    yield "One TOML file (`--config FILE`, else `placement.toml` in the working"
    yield "directory), then the environment, then flags: the last one counts. Each row"
    yield "gives a key as a dotted name, its environment variable, and the flags that"
    yield "set it for one run. `nats.url` is `url = …` below `[nats]`. Unknown keys are"
    yield "refused; `placement config check --show` prints what is in force. Paths are"
    yield "from the working directory. Units stand where a value takes them, and a name"
    yield "ends with them."
    yield ""
    yield from _section(Config, "")


def _section(model: type[BaseModel], prefix: str) -> Iterator[str]:
    yield f"## `[{prefix[:-1]}]`" if prefix else "## At the top"
    yield ""
    yield prose(" ".join((model.__doc__ or "").split()))
    yield ""
    fields = model.model_fields.items()
    inner = {name: _model(field.annotation) for name, field in fields}
    plain = [(name, field) for name, field in fields if inner[name] is None]
    yield from table(HEAD, (_row(prefix + name, field) for name, field in plain))
    for name, found in inner.items():
        if found is not None:
            yield from _section(found, f"{prefix}{name}.")


def _model(kind: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _row(key: str, field: FieldInfo) -> tuple[str, ...]:
    names = [key, f"PLACEMENT_{key.replace('.', '__').upper()}", *flags(key)]
    default = field.get_default(call_default_factory=True)
    takes = prose(field.description or "")
    return (
        "<br>".join(f"`{name}`" for name in names),
        kind_of(field.annotation),
        shown(default),
        takes,
    )


def kind_of(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    """Return the type of a key in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return kind_of(inner[0])
    if origin in {Union, types.UnionType}:
        return kind_of(next(each for each in inner if each is not types.NoneType))
    if origin is Literal:
        return "one of " + ", ".join(f"`{each}`" for each in inner)
    if origin is tuple:
        return f"list of {kind_of(inner[0])}"
    if origin is dict:
        model = _model(inner[1])
        return f"table of {_anchor(model) if model else kind_of(inner[1])}"
    return WORDS[annotation]


def _anchor(model: type[BaseModel]) -> str:
    assert model.__name__ == "RegistryConfig", "the one that is in a table by name"
    return "tables, each as [`[agent.registry]`](#agentregistry)"


def shown(default: object) -> str:
    """Return a default as the file would say it."""
    if isinstance(default, SecretStr) or default in (None, "", (), {}):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, Path) and default.is_absolute():
        return f"the shipped `{default.relative_to(PACKAGE)}`"
    if isinstance(default, tuple):
        return ", ".join(f"`{each}`" for each in default)
    return f"`{default}`"


def flags(key: str) -> list[str]:
    """Return the flags that set *key*, each with the first command that has it."""
    found: dict[str, str] = {}
    for name in COMMANDS:
        for option in load_command(name).params:
            if not isinstance(option, click.Option):
                continue
            ours = name == "agent" and AGENT_FLAGS.get(key) == option.name
            if ours or _sets(option.help or "", key):
                found.setdefault(option.opts[0], f"{option.opts[0]} of {name}")
    return list(found.values())


def _sets(said: str, key: str) -> bool:
    """Say whether an option's help says that it sets *key*."""
    return said == SETS.format(key) or said.startswith((f"Sets {key} ", f"Sets {key}:"))
