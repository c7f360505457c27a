"""``placement config``: is what the operator chose possible, what is it, and whence."""

from collections.abc import Iterator
from pathlib import Path

import rich_click as click
from rich.console import RenderableType
from rich.text import Text

from placement.cli import output
from placement.cli.output import Answer
from placement.cli.session import Session, config_option, output_option, pass_session
from placement.config import (
    CONFIG_FILE,
    Config,
    ConfigError,
    load_prices,
    load_topology,
    origin_of,
    unknown_variables,
)
from placement.config.errors import SECRET
from placement.core.errors import InputError

MASKED = "**********"
"""What pydantic shows of a secret that is not empty."""


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command()
@click.option("--show", is_flag=True, help="Also print what is in force.")
@config_option
@output_option
@pass_session
def check(session: Session, *, show: bool) -> None:
    """Say whether file, environment and region catalogue are valid.

    The file is `--config`, else placement.toml in the working directory; PLACEMENT_...
    variables go before it, and flags before those. Secrets are never printed.
    """
    found = session.config
    topology = load_topology(found)
    load_prices(found, topology)
    _check_files(found)
    file = session.config_file or (CONFIG_FILE if CONFIG_FILE.is_file() else None)
    answer: dict[str, object] = {
        "valid": True,
        "file": str(file) if file else None,
        "region_count": len(topology.regions),
        "home_region": topology.home,
        "unknown_variables": unknown_variables(),
    }
    if show:
        answer["config"] = _dumped(found)
    output.emit(session, answer, _lines)


@config.command()
@click.option("--origin", is_flag=True, help="Also say where each key was set.")
@config_option
@output_option
@pass_session
def show(session: Session, *, origin: bool) -> None:
    """Print every key with its value.

    With `--origin` also where that comes from: a line of the file, a variable of the
    environment, the command line, or the default. Secrets are never printed.
    """
    found = session.config
    told = origin_of(session.config_file, session.overrides)
    rows = [
        {"key": key, "value": value} | ({"origin": told(key)} if origin else {})
        for key, value in _rows(_dumped(found))
    ]
    output.emit(session, {"keys": rows}, _keys)


def _keys(answer: Answer) -> Iterator[RenderableType]:
    columns = ("key", "value", "origin")
    rows = answer["keys"]
    shown = columns if rows and "origin" in rows[0] else columns[:2]
    yield output.table(
        shown,
        (
            [_shown(row[name]) if name == "value" else row[name] for name in shown]
            for row in rows
        ),
    )


def _dumped(found: Config) -> dict[str, object]:
    """Return all keys, secrets as such, empty ones as nothing."""
    dumped = found.model_dump(mode="json")
    return {name: _masked(value) for name, value in dumped.items()}


def _masked(value: object) -> object:
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items()}
    return SECRET if value == MASKED else value


def _check_files(found: Config) -> None:
    """Raise ConfigError unless every file that is named can be read."""
    problems = []
    for section, values in (("tls", found.tls), ("nats", found.nats)):
        for name, value in values:
            if isinstance(value, Path) and not value.is_file():
                error = InputError(f"{section}.{name}", str(value), "no such file")
                problems.append(("configuration", error))
    if problems:
        raise ConfigError(problems)


def _lines(answer: Answer) -> Iterator[RenderableType]:
    where = answer["file"] or "no file: defaults, environment and flags"
    yield Text(
        f"valid: {where}; {answer['region_count']} regions,"
        f" home region {answer['home_region']}"
    )
    for name in answer["unknown_variables"]:
        yield Text(f"warning: {name} is no key, and is ignored", style="yellow")
    if "config" in answer:
        rows = ((key, _shown(value)) for key, value in _rows(answer["config"]))
        yield output.table(("key", "value"), rows)


def _rows(values: Answer, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "(none)" if value is None or value == "" else str(value)
