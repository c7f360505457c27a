"""``placement completion``: in a real bash, for commands, options and regions."""

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from placement.cli.completion import SHELLS, SHIPPED, VARIABLE, names_in
from placement.cli.main import COMMANDS, load_command, main
from placement.config import load_config, load_topology

BIN = Path(sys.executable).parent
PATIENCE_S = 30.0
OWN = """
home = "aaa"
[regions.aaa]
name = "A"
area = "one"
latitude = 0.0
longitude = 0.0
[regions.abc]
name = "B"
area = "one"
latitude = 1.0
longitude = 1.0
[aliases]
both = ["aaa", "abc"]
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own placement.toml."""
    monkeypatch.chdir(tmp_path)


def completed(line: str) -> list[str]:
    """Return what *line*, without the program's name, may be ended with."""
    *words, incomplete = line.split(" ")
    completer = ShellComplete(main, {}, "placement", VARIABLE)
    return [item.value for item in completer.get_completions(words, incomplete)]


def test_commands_and_options_are_completed() -> None:
    """Those of a group too, and the values that an option may have."""
    assert completed("") == list(COMMANDS)
    assert completed("sourc") == ["sources"]
    assert completed("replication ") == ["cancel", "show"]
    assert "--region" in completed("sources acme/web:v1 --r")
    assert completed("show acme/web:v1 -o ") == ["table", "json"]
    assert completed("completion ") == list(SHELLS)


def test_regions_are_those_of_the_catalogue() -> None:
    """One code, or the last of several; areas and aliases where they may be."""
    topology = load_topology(load_config())

    assert completed("sources a --region ") == list(topology.regions)
    assert completed("sources a --region sy") == ["syd"]
    assert completed("region set f") == ["fra"]
    assert completed("estimate a --in syd,lh") == ["syd,lhr"]
    assert {"eu", "usa", "any"} <= set(completed("estimate a --in "))
    assert "any" not in completed("sources a --region ")


def test_configured_catalogue_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the file of the working directory, the environment, or --config."""
    (tmp_path / "own.toml").write_text(OWN)
    told = tmp_path / "other.toml"
    told.write_text('regions_file = "own.toml"')

    assert completed(f"--config {told} sources a --region ") == ["aaa", "abc"]
    monkeypatch.setenv("PLACEMENT_REGIONS_FILE", "own.toml")
    assert completed("estimate a --in a") == ["aaa", "abc", "any"]
    assert completed("estimate a --in aaa,b") == ["aaa,both"]
    monkeypatch.setenv("PLACEMENT_REGIONS_FILE", "missing.toml")
    assert completed("sources a --region ") == []


@pytest.mark.parametrize("text", ["", "regions = 3", "[regions]\na = 1", "\0", "["])
def test_damaged_catalogue_completes_nothing(tmp_path: Path, text: str) -> None:
    """A press of the tab key prints no traceback."""
    file = tmp_path / "regions.toml"
    file.write_text(text)

    assert names_in(file) == ({}, {})
    assert names_in(SHIPPED)[0]


@pytest.mark.parametrize("shell", SHELLS)
def test_script_is_clicks_own(shell: str) -> None:
    """It asks the program, by the variable that the program looks for."""
    result = CliRunner().invoke(main, ["completion", shell])

    assert result.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in result.stdout


def test_unknown_shell_is_wrong_usage() -> None:
    """2, with those that there are."""
    result = CliRunner().invoke(main, ["completion", "tcsh"])

    assert result.exit_code == 2
    assert "fish" in result.stderr


def test_tab_completes_in_a_real_bash(tmp_path: Path) -> None:
    """What is typed into a terminal, with a tab, becomes the command's own words."""
    shell, terminal = pty.openpty()
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "INPUTRC": "/dev/null",
        "PS1": "> ",
        "TERM": "dumb",
    }
    bash = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment,
        start_new_session=True,
    )
    os.close(terminal)
    try:
        type_in(shell, "source <(placement completion bash); echo rea''dy\n", "ready")
        type_in(shell, "echo placement sour\t", "placement sour")
        os.write(shell, b"\x15")  # forget that line: echo is not ours to complete
        type_in(shell, "placement sour\t", "placement sources ")
        type_in(shell, "a --reg\t", "--region ")
        type_in(shell, "sy\t", "syd ")
    finally:
        bash.kill()
        bash.wait()
        os.close(shell)


def type_in(shell: int, keys: str, expected: str) -> None:
    """Type *keys*, and return once the terminal shows what is *expected*."""
    os.write(shell, keys.encode())
    ends, shown = time.monotonic() + PATIENCE_S, ""
    os.set_blocking(shell, False)
    while expected not in shown:
        assert time.monotonic() < ends, shown
        try:
            shown += os.read(shell, 4096).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.02)


def test_every_region_that_is_asked_for_is_called_so() -> None:
    """By its metavar: else the tab key would say nothing there."""
    for name in ("sources", "estimate", "wait", "show", "routes", "watch"):
        for param in load_command(name).params:
            flags = set(param.opts) & {"--region", "--in"}
            if flags and isinstance(param, click.Option):
                assert param.metavar in {"REGION", "REGIONS"}, (name, flags)
