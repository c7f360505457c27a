"""Exit codes: one for each class of failure, whatever command meets it."""

import socket
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import grpc
import pytest
from click.testing import CliRunner, Result

from placement.api.reasons import REASONS
from placement.bench.startup import CALLS
from placement.cli.failures import (
    BLOCKED,
    EXIT_OF_STATUS,
    EXITS,
    FAILED,
    INVALID,
    TIMED_OUT,
    UNAVAILABLE,
    failure,
)
from placement.cli.main import COMMANDS, load_command, main
from placement.client import PlacementCallError
from placement.core.errors import InputError, PlacementError
from placement.ports import LogForbiddenError, LogUnavailableError
from placement.runtime.watchdog import BLOCKED_EXIT_CODE
from tests.ports import free_port


@pytest.fixture(autouse=True)
def alone(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401 - a path
    """No test sees the developer's own placement.toml."""
    monkeypatch.chdir(tmp_path)


def test_every_status_has_an_exit_code() -> None:
    """All that a call may fail with, and nothing but what the table means."""
    statuses = {status.name for status in grpc.StatusCode} - {"OK"}

    assert set(EXIT_OF_STATUS) == statuses
    assert set(EXIT_OF_STATUS.values()) <= set(EXITS)


@pytest.mark.parametrize("reason", REASONS)
def test_reason_of_the_service_leads_to_the_exit_code_of_its_status(
    reason: str,
) -> None:
    """Wrong input is 2, too late 3, out of reach 4, and every other no is 1."""
    status = REASONS[reason].code
    error = PlacementCallError(status, reason, "said")

    message, code = failure(error)

    assert code == EXIT_OF_STATUS[status.name]
    assert message.startswith("error: ")
    assert message.endswith(f"[{reason}]")
    expected = {
        "INVALID_ARGUMENT": INVALID,
        "OUT_OF_RANGE": INVALID,
        "DEADLINE_EXCEEDED": TIMED_OUT,
        "UNAVAILABLE": UNAVAILABLE,
    }
    assert code == expected.get(status.name, FAILED)


def subclasses(kind: type[PlacementError]) -> Iterator[type[PlacementError]]:
    """Yield every error of ours that is imported."""
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


def test_errors_that_end_a_service_have_codes_of_the_table() -> None:
    """A supervisor reads them: 70, 71 and 72, each of its own."""
    import_module("placement.app")  # and with it each of them
    codes = {getattr(one, "exit_code", BLOCKED) for one in subclasses(PlacementError)}

    assert codes == {70, 71, 72} <= set(EXITS)
    assert BLOCKED_EXIT_CODE == BLOCKED


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("--x", "y", "give z"), INVALID),
        (LogUnavailableError("gone"), UNAVAILABLE),
        (LogForbiddenError("not ours"), UNAVAILABLE),
        (PlacementError("no"), FAILED),
    ],
)
def test_error_of_our_own_leads_to_its_class(error: PlacementError, code: int) -> None:
    """Of what fails without a call."""
    assert failure(error)[1] == code


def run(name: str, *more: str) -> Result:
    """Return what a command answers that is told the least that it has to be."""
    return CliRunner().invoke(main, [*name.split(), *CALLS[name], *more])


def patience(name: str) -> list[str]:
    """Return how *name* is told to be quick: most take seconds, one a duration."""
    return ["--timeout", "300ms" if name == "wait" else "0.3"]


@pytest.mark.parametrize("name", CALLS)
def test_service_out_of_reach_is_4(name: str) -> None:
    """Nobody listens there: said as such, with the remedy."""
    result = run(name, "--server", f"127.0.0.1:{free_port()}", *patience(name))

    assert result.exit_code == UNAVAILABLE
    assert "placement serve" in result.stderr
    assert "[UNAVAILABLE]" in result.stderr


@pytest.mark.parametrize("name", ["sources", "status", "estimate", "report"])
def test_service_that_does_not_answer_is_3(name: str) -> None:
    """Somebody listens, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        result = run(name, "--server", target, *patience(name))

    assert result.exit_code == TIMED_OUT
    assert "--timeout" in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_usage_is_2(name: str) -> None:
    """Of every command, before it does anything."""
    result = CliRunner().invoke(main, [name, "--no-such-option"])

    assert result.exit_code == INVALID
    assert load_command(name).name == name
