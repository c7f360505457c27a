"""One TOML file < environment < flags, merged and checked.

``PLACEMENT_LISTEN`` is the key ``listen``, and ``PLACEMENT_NATS__URL`` the key
``nats.url``; an empty variable is as good as none.
"""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from placement.config.errors import ConfigError, config_error, keys_of
from placement.config.keys import Config
from placement.core.errors import InputError
from placement.supervised import Supervisor
from placement.unconfigured import CONFIG_FILE, PREFIX

NESTED: Final = "__"
FLAG: Final = "command line"
DEFAULT: Final = "default"

LINES_MAX: Final = 2_000
"""Of a longer file, keys further on have no line."""

Tree = dict[str, Any]
Layers = tuple[tuple[str, Tree], ...]
"""Where keys are set: what it is called, and what it says."""


def load_config(
    file: Path | None = None, overrides: Mapping[str, object] | None = None
) -> Config:
    """Return the configuration from *file*, the environment and *overrides*.

    *file* None means CONFIG_FILE, if there is one. *overrides* are flags by dotted key,
    such as ``nats.url``; None is a flag that was not given. Raises ConfigError.
    """
    layers = _layers(file, overrides)
    origin = partial(_origin, layers)
    try:
        return Config(**reduce(_merged, [tree for _, tree in reversed(layers)]))
    except ValidationError as error:
        raise config_error(Config, error, origin) from None
    except InputError as error:
        raise ConfigError([(origin(error.field), error)]) from None


def origin_of(
    file: Path | None = None, overrides: Mapping[str, object] | None = None
) -> Callable[[str], str]:
    """Return what tells where a dotted key is set, as ``load_config`` would find it.

    Such as ``placement.toml:3``, ``PLACEMENT_LISTEN``, ``command line``, ``default``.
    Raises ConfigError.
    """
    layers = _layers(file, overrides)
    place, _ = layers[-1]
    lines = _lines(Path(place)) if place else {}

    def origin(key: str) -> str:
        found = _origin(layers, key)
        line = lines.get(key)
        return f"{found}:{line}" if found == place and line else found

    return origin


def read_toml(file: Path) -> Tree:
    """Return what *file* holds; raises ConfigError when it cannot be read as TOML."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        remedy = f"{error.strerror}: name a file that can be read"
    # Of what is too deep or too long the parser says so in other words.
    except (ValueError, RecursionError) as error:
        remedy = f"correct the TOML: {error}"
    raise ConfigError([("configuration", InputError("file", str(file), remedy))])


def unknown_variables() -> list[str]:
    """Return the PLACEMENT_ variables that are no key, for a warning.

    They are no error: Kubernetes sets PLACEMENT_PORT and others in every pod beside a
    Service named placement.
    """
    known = {_variable(key) for key in keys_of(Config)}
    known |= {_variable(name) for name in Config.model_fields}
    return sorted(
        name for name in os.environ if name.startswith(PREFIX) and name not in known
    )


def supervisor() -> Supervisor:
    """Return who supervises this process, as systemd tells; most often nobody does."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    limit, whose = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    meant = limit.isascii() and limit.isdigit() and whose in {None, str(os.getpid())}
    return Supervisor(address, int(limit) / 1e6 if meant else 0.0)


def foreign_environment() -> dict[str, str]:
    """Return the environment without our variables, for a service of one's own."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(PREFIX)
    }


def _environment() -> Tree:
    """Return what our variables say; raises ConfigError."""
    if not any(name.upper().startswith(PREFIX) for name in os.environ):
        return {}
    from pydantic_settings import (  # noqa: PLC0415 - costs 0.1 s
        BaseSettings,
        EnvSettingsSource,
        SettingsConfigDict,
        SettingsError,
    )

    class Environment(Config, BaseSettings):
        """The same keys, as pydantic-settings looks for them in the environment."""

        model_config = SettingsConfigDict(
            env_prefix=PREFIX, env_nested_delimiter=NESTED, env_ignore_empty=True
        )

    try:
        return EnvSettingsSource(Environment)()
    except SettingsError as error:
        remedy = "set its keys one by one, such as PLACEMENT_NATS__URL"
        problem = InputError("a table", str(error), remedy)
        raise ConfigError([("environment", problem)]) from None


def _layers(file: Path | None, overrides: Mapping[str, object] | None) -> Layers:
    """Return where keys are set, what goes first first; the last one is the file."""
    if file is None and CONFIG_FILE.is_file():
        file = CONFIG_FILE
    return (
        (FLAG, _nested(overrides or {})),
        (PREFIX, _environment()),
        (str(file or ""), read_toml(file) if file else {}),
    )


def _origin(layers: Layers, key: str) -> str:
    return next(
        (_named(name, key) for name, tree in layers if _has(tree, key)), DEFAULT
    )


def _lines(file: Path) -> dict[str, int]:
    """Return the line of each key of *file*.

    The parser does not tell: but what lines up to some line hold, those up to the line
    before do not, if both are whole.
    """
    found: dict[str, int] = {}
    text = file.read_text("utf-8").splitlines()
    begins = 1
    for number in range(1, min(len(text), LINES_MAX) + 1):
        try:
            tree = tomllib.loads("\n".join(text[:number]))
        except tomllib.TOMLDecodeError:
            continue  # within a value of several lines
        for key in _keys(tree):
            found.setdefault(key, begins)
        begins = number + 1
    return found


def _keys(tree: Tree, prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")


def _nested(overrides: Mapping[str, object]) -> Tree:
    tree: Tree = {}
    for key, value in overrides.items():
        *sections, name = key.split(".")
        if value is not None:
            inner = reduce(lambda at, part: at.setdefault(part, {}), sections, tree)
            inner[name] = value
    return tree


def _merged(lower: Tree, upper: Tree) -> Tree:
    """Return *lower* with every key that *upper* has taken from there."""
    merged = dict(lower)
    for key, value in upper.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _has(tree: Tree, key: str) -> bool:
    at: object = tree
    for part in key.split("."):
        if not isinstance(at, dict) or part not in at:
            return False
        at = at[part]
    return True


def _named(layer: str, key: str) -> str:
    return _variable(key) if layer == PREFIX else layer


def _variable(key: str) -> str:
    return PREFIX + key.replace(".", NESTED).upper()
