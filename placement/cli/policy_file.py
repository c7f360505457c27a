"""A policy as an option gives it: a file of its own, or the name of one."""

from pathlib import Path

from placement.core.errors import InputError

SUFFIX = ".toml"


def is_file(said: str) -> bool:
    """Say whether *said* means a file: it ends in .toml or has a folder in it."""
    return said.endswith(SUFFIX) or "/" in said


def policy_text(file: Path, option: str = "--policy") -> str:
    """Return what *file* holds; raises InputError, naming *option*."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"name a readable TOML file ({error})"
        raise InputError(option, str(file), remedy) from None
