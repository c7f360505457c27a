"""What commands and clients import before they do anything."""

import subprocess
import sys

import pytest

from placement.bench.startup import CALLS
from placement.cli.main import COMMANDS, load_command

HEAVY = ("aiohttp", "httpx", "nats", "numpy", "pydantic", "structlog", "uvicorn")
SAID = f"import sys; print(*sorted(set({HEAVY}) & set(sys.modules)))"


def imported(code: str) -> list[str]:
    """Return which heavy modules a new Python has that ran *code*."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {SAID}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.split()


def test_asking_needs_no_heavy_module() -> None:
    """Neither the client nor any command that asks waits for what it does not use."""
    modules = {COMMANDS[name.split()[0]][0].split(":")[0] for name in CALLS}
    commands = "; ".join(f"import placement.cli.{name}" for name in sorted(modules))

    assert imported(f"import placement.client; {commands}") == []


def test_help_imports_no_command_and_no_client() -> None:
    """It is what people try first."""
    listed = "from placement.cli.main import main; main.list_commands(None)"

    assert imported(f"{listed}; import sys; assert 'grpc' not in sys.modules") == []


def test_replica_needs_columns_and_nothing_else() -> None:
    """What it knows is held in them; logs and settings are a service's."""
    named = "from placement.client import LocalPlacements, PackedRankings"

    assert imported(named) == ["numpy"]


def test_unknown_name_of_the_client_is_an_attribute_error() -> None:
    """As of any module."""
    import placement.client as module  # noqa: PLC0415 - it is what is looked at

    for name in module.__all__:
        assert getattr(module, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = module.Nothing


@pytest.mark.parametrize("name", CALLS)
def test_measured_call_is_a_command(name: str) -> None:
    """Each is measured with what it demands, so that it comes as far as its call."""
    first, *rest = name.split()
    command = load_command(first)
    for word in rest:
        command = command.commands[word]  # type: ignore[attr-defined]  # it is a group

    command.make_context(name, list(CALLS[name]))
