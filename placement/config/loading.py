"""One TOML file < environment < flags, merged and checked.

``PLACEMENT_LISTEN`` is the key ``listen``, and ``PLACEMENT_NATS__URL`` the key
``nats.url``; an empty variable is as good as none.
"""

import os
import tomllib
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from placement.config.errors import ConfigError, config_error, keys_of
from placement.config.keys import Config
from placement.core.errors import InputError
from placement.unconfigured import CONFIG_FILE, PREFIX

NESTED: Final = "__"
FLAG: Final = "command line"
DEFAULT: Final = "default"

Tree = dict[str, Any]


def load_config(
    file: Path | None = None, overrides: Mapping[str, object] | None = None
) -> Config:
    """Return the configuration from *file*, the environment and *overrides*.

    *file* None means CONFIG_FILE, if there is one. *overrides* are flags by dotted key,
    such as ``nats.url``; None is a flag that was not given. Raises ConfigError.
    """
    if file is None and CONFIG_FILE.is_file():
        file = CONFIG_FILE
    layers = (
        (FLAG, _nested(overrides or {})),
        (PREFIX, _environment()),
        (str(file), read_toml(file) if file else {}),
    )

    def origin(key: str) -> str:
        return next(
            (_named(name, key) for name, tree in layers if _has(tree, key)), DEFAULT
        )

    try:
        return Config(**reduce(_merged, [tree for _, tree in reversed(layers)]))
    except ValidationError as error:
        raise config_error(Config, error, origin) from None
    except InputError as error:
        raise ConfigError([(origin(error.field), error)]) from None


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
