"""Packages that only some commands need: whether they are installed, and what to do."""

from importlib.util import find_spec

from placement.core.errors import InputError


def check_extra(package: str, command: str) -> None:
    """Raise InputError where what the extra ``analytics`` brings is not installed."""
    if find_spec(package) is None:
        remedy = "install the extra: pip install 'placement[analytics]'"
        raise InputError(command, f"{package} is not installed", remedy)
