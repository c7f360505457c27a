"""Orders on the command line without a service: durations, who gives them, tables."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from placement.cli import orders
from placement.cli.main import main
from placement.cli.operations import parse_term
from placement.core.errors import NumberInvalidError

NOBODY = ("--server", "127.0.0.1:1", "--timeout", "0.2")
WHY = ("--reason", "moving house")
BASIS = {
    "epoch": "e1",
    "sequence": 7,
    "state": "SERVING_STATE_LIVE",
    "staleness": "0s",
}
SINCE = {"order_time": "2026-11-24T01:00:00Z"}
UNTIL = {**SINCE, "expire_time": "2026-11-24T02:00:00Z"}
SHIPPED = {
    "policy": "default",
    "policy_hash": "abc",
    "standing": "POLICY_STANDING_IN_FORCE",
    "problem": "",
    "content": "",
}
QUIET: dict[str, Any] = {
    "regions": [],
    "pauses": [],
    "pins": [],
    "policies": [SHIPPED],
    "more": False,
    "basis": BASIS,
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own placement.toml or name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PLACEMENT_ACTOR", raising=False)


def run(*arguments: str) -> Result:
    """Return what a command says and answers."""
    return CliRunner().invoke(main, arguments)


def printed(answer: dict[str, Any]) -> str:
    """Return what people read of the orders in force."""
    console = Console(file=StringIO(), width=200)
    for part in orders.tables(answer):
        console.print(part)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("30m", 1_800),
        ("2h", 7_200),
        ("30d", 2_592_000),
        ("1d2h3m4s", 93_784),
        (" 90m ", 5_400),
        ("3650d", 315_360_000),
    ],
)
def test_term_is_read_with_its_unit(text: str, seconds: int) -> None:
    """Days too: a pin is for longer than a wait."""
    assert parse_term(text, "--for") == seconds


@pytest.mark.parametrize(
    "text", ["", "0s", "2", "h", "1h2d", "-1h", "1.5h", "3651d", "2 h", "1w"]
)
def test_term_that_cannot_be_is_refused(text: str) -> None:
    """With what would be right."""
    with pytest.raises(NumberInvalidError, match=r"--for: .*30m, 2h, 30d"):
        parse_term(text, "--for")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("region", "set", "SYD", "--state", "down"), "REGION"),
        (("pause", "--region", "SYD"), "--region"),
        (("pause", "--for", "soon"), "--for"),
        (("resume", "--region", "!"), "--region"),
        (("pin", "acme/web"), "acme/web:TAG"),
        (("unpin", "Acme/web:v1"), "IMAGE"),
        (("pin", "acme/web:v1", "--region", "SYD"), "--region"),
        (("policy", "set", "nowhere.toml"), "FILE"),
    ],
)
def test_malformed_order_asks_nobody(arguments: tuple[str, ...], said: str) -> None:
    """The flag at fault is named; exit code 2."""
    result = run(*arguments, *WHY, "--actor", "ann", *NOBODY)

    assert result.exit_code == 2
    assert said in result.stderr


def test_policy_file_that_cannot_be_read_is_named() -> None:
    """Before anybody is asked."""
    result = run("policy", "check", "nowhere.toml", *NOBODY)

    assert result.exit_code == 2
    assert "FILE: 'nowhere.toml'" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("pause",), ("pin", "acme/web:v1"), ("policy", "set", "default")]
)
def test_order_says_who_gives_it_and_why(arguments: tuple[str, ...]) -> None:
    """Nobody is guessed; a reason is usage, and the actor may be configured."""
    nobody = run(*arguments, *WHY, *NOBODY)
    silent = run(*arguments, "--actor", "ann", *NOBODY)

    assert (nobody.exit_code, silent.exit_code) == (2, 2)
    assert "--actor" in nobody.stderr
    assert "set actor in the configuration once" in nobody.stderr
    assert "--reason" in silent.stderr


@pytest.mark.parametrize("way", ["flag", "file", "environment"])
def test_actor_is_the_flag_s_or_the_configuration_s(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the order is on its way, and nobody is there to take it."""
    if way == "file":
        (tmp_path / "placement.toml").write_text('actor = "ann"\n')
    elif way == "environment":
        monkeypatch.setenv("PLACEMENT_ACTOR", "ann")
    flag = ("--actor", "ann") if way == "flag" else ()

    result = run("pause", *WHY, *flag, *NOBODY)

    assert result.exit_code == 4
    assert "no service answers there" in result.stderr


def test_quiet_service_says_that_nothing_was_ordered() -> None:
    """And which policy is in force."""
    said = printed(QUIET)

    assert "all regions are active, nothing is paused or pinned" in said
    assert "default" in said
    assert "in force" in said


def test_orders_are_shown_with_their_terms() -> None:
    """Where, but for which regions, since when, until when."""
    pin = {"repository": "acme/web", "digest": "sha256:" + 64 * "a", "tags": ["v1"]}
    answer = {
        **QUIET,
        "regions": [{"region": "syd", "state": "REGION_STATE_DOWN", **SINCE}],
        "pauses": [{"region": "", "excepted_regions": ["fra"], **UNTIL}],
        "pins": [{**pin, "region": "", "excepted_regions": [], **SINCE}],
        "more": True,
    }

    lines = [" ".join(line.split()) for line in printed(answer).splitlines()]

    assert "syd down 2026-11-24 01:00:00Z never ends" in lines
    assert "all regions fra 2026-11-24 01:00:00Z 2026-11-24 02:00:00Z" in lines
    (pinned,) = [line for line in lines if line.startswith("acme/web@")]
    assert "v1 wherever it is - 2026-11-24 01:00:00Z never ends" in pinned
    assert "and more pins; give --limit for them" in lines
