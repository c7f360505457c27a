"""The command line without a service: names, help, exit codes, laziness."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from grpc import StatusCode
from rich.console import Console

from placement import __version__
from placement.cli import routes
from placement.cli.failures import EXIT_CODES, failure
from placement.cli.main import COMMANDS, load_command, main
from placement.cli.push import parse_size
from placement.cli.reference import ImageName, parse_image, parse_name
from placement.cli.session import parse_pairs
from placement.cli.wait import parse_duration
from placement.client import PlacementCallError
from placement.core.errors import InputError
from placement.core.oci import Digest, Repository, Tag
from placement.ports import LogFullError, LogUnavailableError

DIGEST = f"sha256:{'a' * 64}"
NOBODY = ("--server", "127.0.0.1:1", "--timeout", "0.2")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own placement.toml."""
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, text: str | None = None) -> Result:
    """Return what a command says and answers."""
    return CliRunner().invoke(main, arguments, input=text)


def test_help_lists_every_command_and_the_exit_codes() -> None:
    """Scripts may rely on the codes, since they are documented."""
    said = run("--help").output

    assert all(f"│ {name} " in said for name in COMMANDS)
    assert " ".join(EXIT_CODES.split()[:2]) in said
    assert run("--version").output == f"placement {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_listed_summary_is_the_command_s_own(name: str) -> None:
    """--help imports no command, so it must say the same as the command."""
    command = load_command(name)

    assert command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name][1]
    assert run(name, "--help").exit_code == 0


def test_help_imports_only_what_it_needs() -> None:
    """--help is quick because it loads neither gRPC, pydantic, NATS nor logs."""
    program = (
        "import sys; from placement.cli.main import main;"
        "main(['--help'], standalone_mode=False);"
        "print([name for name in sys.modules if name in "
        "('grpc', 'google.protobuf', 'pydantic', 'nats', 'structlog', 'starlette')])"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout

    assert said.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("acme/web", ImageName(Repository("acme/web"))),
        ("acme/web:v1", ImageName(Repository("acme/web"), Tag("v1"))),
        (f"acme/web@{DIGEST}", ImageName(Repository("acme/web"), Digest(DIGEST))),
        (f"acme/web:v1@{DIGEST}", ImageName(Repository("acme/web"), Digest(DIGEST))),
        ("web:V_1.0-x", ImageName(Repository("web"), Tag("V_1.0-x"))),
    ],
)
def test_image_is_named_as_people_name_it(text: str, name: ImageName) -> None:
    """A digest beside a tag wins, as it does for those who pull."""
    assert parse_name(text) == name
    assert parse_name(str(name)) == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("localhost:5000/acme/web:v1", "leave the registry's host out"),
        ("Acme/web:v1", "lower-case"),
        ("acme/web:", "A-Z a-z 0-9"),
        ("acme/web@sha256:abc", "whole digest"),
        ("", "lower-case"),
    ],
)
def test_name_that_cannot_be_is_refused(text: str, said: str) -> None:
    """The error says what would be right."""
    with pytest.raises(InputError, match="IMAGE: ") as caught:
        parse_name(text)
    assert said in caught.value.remedy


def test_question_about_one_image_needs_to_know_which() -> None:
    """No tag is assumed."""
    with pytest.raises(InputError, match="acme/web:TAG"):
        parse_image("acme/web")


def test_pairs_are_read_and_refused() -> None:
    """As in --region-map."""
    assert parse_pairs("a=iad, b=fra", "x") == {"a": "iad", "b": "fra"}
    assert parse_pairs("", "x") == {}
    for text in ("a", "a=", "=iad", "a=iad,"):
        with pytest.raises(InputError, match="NAME=REGION"):
            parse_pairs(text, "--region-map")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sources", "acme/web", "--region", "syd"), "IMAGE"),
        (("sources", "acme/web:v1", "--region", "SYD"), "--region"),
        (("show", "Acme:v1"), "IMAGE"),
        (("estimate", "acme/web"), "IMAGE"),
        (("estimate", "acme/web:v1", "--platform", "arm64"), "platform"),
        (("explain", "acme/web:v1", "--region", "SYD"), "--region"),
        (("plan-pull", "acme/web:v1", "--region", "!"), "--region"),
        (("push-targets", "acme/web:v1", "--from", "dfw"), "REPOSITORY"),
        (("push-targets", "acme/web", "--from", "32.9,x"), "--from"),
        (("push-targets", "acme/web", "--from", "dfw", "--size", "1"), "--size"),
        (("routes", "--from", "DFW"), "--from"),
        (("routes", "--to", "!"), "--to"),
        (("wait", "acme/web", "--in", "syd"), "IMAGE"),
        (("wait", "acme/web:v1", "--in", "syd", "--timeout", "90"), "--timeout"),
        (("wait", "acme/web:v1", "--in", "syd", "--interval", "0s"), "--interval"),
        (("replicas", "--repository", "A"), "--repository"),
        (("preview", "acme/web", "--target", "!"), "--target"),
        (("preview", "--policy", "nowhere.toml"), "--policy"),
        (("publish", "nowhere.jsonl"), "FILE"),
        (("publish", "--region-map", "a"), "--region-map"),
        (("publish", "--client-region", "a"), "--client-region"),
        (("tail", "--fact", "pushed"), "--fact"),
        (("tail", "--from", "0"), "--from"),
        (("replay", "--data-dir", "nowhere"), "data_dir"),
        (("agent",), "--region"),
        (("agent", "--region", "iad", "--listen", "x"), "--listen"),
        (("agent", "--region", "iad", "--token-file", "x"), "--token-file"),
        (("config", "check", "--config", "nowhere.toml"), "nowhere.toml"),
        (("serve", "--listen", "0.0.0.0:1"), "listen"),
    ],
)
def test_invalid_input_is_one_message_and_code_2(
    arguments: tuple[str, ...], said: str
) -> None:
    """It names the field, the value and the remedy, and is no traceback."""
    result = run(*arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert "is not valid: " in result.stderr
    assert "Traceback" not in result.output


def test_wrong_usage_is_code_2() -> None:
    """As for every program of this kind."""
    assert run("frobnicate").exit_code == 2
    assert run("sources", "acme/web:v1").exit_code == 2
    assert run("status", "--timeout", "0").exit_code == 2
    assert run("estimate").exit_code == 2
    assert run("wait", "acme/web:v1").exit_code == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("2m", 120),
        ("1m30s", 90),
        ("1h", 3600),
        ("1.5s", 1.5),
        ("50ms", 0.05),
    ],
)
def test_duration_is_read_with_its_units(text: str, seconds: float) -> None:
    """As people write them, the largest unit first."""
    assert parse_duration(text, "--timeout") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "90", "2 m", "30s1m", "-1s", "0s", "1ms", "25h"])
def test_duration_that_cannot_be_is_refused(text: str) -> None:
    """The error shows what would be right."""
    with pytest.raises(InputError, match="90s, 2m, 1m30s; 50ms to 24h"):
        parse_duration(text, "--timeout")


def test_size_is_read_with_its_unit() -> None:
    """Decimal units and binary ones; a bare number could be anything."""
    sizes = {"1GB": 10**9, "1.5 MiB": 3 * 2**19, "300kb": 300_000, "7B": 7}
    assert {text: parse_size(text, "--size") for text in sizes} == sizes
    for text in ("1", "GB", "0MB", "1XB", "-1MB", "9999TB"):
        with pytest.raises(InputError, match="such as 300MB"):
            parse_size(text, "--size")


def route(source: str, target: str, samples: int = 0) -> dict[str, Any]:
    """Return a route as the service tells it."""
    return {
        "source_region": source,
        "target_region": target,
        "start_up": "0.120s",
        "bytes_per_second": 2.5e7,
        "expected_duration": {"p50": "12.345s", "p90": "18.500s"},
        "transfer_count": samples,
        "effective_sample_count": samples / 2,
        "calibration": {
            "sample_count": samples,
            "below_p50_count": samples // 2,
            "below_p90_count": samples,
        },
    }


def routes_shown(codes: str, width: int, samples: int = 40) -> list[str]:
    """Return the lines of all routes between *codes* in a terminal."""
    regions = codes.split()
    found = [route(one, other, samples) for one in regions for other in regions]
    basis = {"sequence": 7, "state": "SERVING_STATE_LIVE", "epoch": "e"}
    screen = Console(file=StringIO(), width=width, highlight=False)
    for part in routes.tables({"routes": found, "basis": basis}, width):
        screen.print(part)
    said = screen.file.getvalue() if isinstance(screen.file, StringIO) else ""
    return [line.rstrip() for line in said.splitlines()]


def test_matrix_of_routes_is_as_wide_as_it_says() -> None:
    """A matrix where it fits to the column; one column less, and it is a list."""
    regions = "ams dfw fra iad lhr syd"
    found = [route(one, other, 40) for one in regions.split() for other in ("ams", "b")]
    width = routes.matrix_width(found)
    screen = Console(file=StringIO(), width=width)

    assert (
        routes.matrix(found).__rich_measure__(screen, screen.options).maximum == width
    )
    assert routes_shown(regions, 80)[2] == "ams" + "  12.3 (32)" * 6
    assert routes_shown("ams dfw fra iad lhr syd sin", 79)[0] == routes.TOO_WIDE


def test_list_of_routes_is_readable_at_80_columns() -> None:
    """A line for each, none of them folded, with samples and calibration."""
    said = routes_shown("ams arn bom cdg dfw ewr fra gru iad jnb", 80, samples=20)

    rows = said[2 : 2 + 100]
    assert said[1].split()[:4] == ["from", "to", "start-up", "MB/s"]
    assert {len(row.split()) for row in rows} == {13}
    assert rows[0].split()[-4:] == ["20", "20", "50%", "100%"]
    assert rows[99].split()[:2] == ["jnb", "jnb"]


def test_service_out_of_reach_is_code_4_and_says_how_to_start_it() -> None:
    """Standard output stays empty, for scripts."""
    result = run("status", *NOBODY)

    assert result.exit_code == 4
    assert "placement serve" in result.stderr
    assert result.stdout == ""


def test_log_out_of_reach_is_code_4() -> None:
    """Tail reads the log beside a service, and there is none."""
    result = run("tail", "--data-dir", "nowhere")

    assert result.exit_code == 4
    assert "LOG_UNAVAILABLE" in result.stderr
    assert not Path("nowhere").exists()


def test_failures_have_stable_codes() -> None:
    """What is nobody's mistake is 1, what may pass is 4."""
    assert failure(LogFullError("full"))[1] == 1
    assert failure(LogUnavailableError("away"))[1] == 4
    assert failure(InputError("a", 1, "b"))[1] == 2


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        (StatusCode.NOT_FOUND, "MANIFEST_UNKNOWN", 1),
        (StatusCode.INTERNAL, "INTERNAL", 1),
        (StatusCode.INVALID_ARGUMENT, "DIGEST_INVALID", 2),
        (StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", 3),
        (StatusCode.UNAVAILABLE, "LOG_UNAVAILABLE", 4),
    ],
)
def test_failed_call_has_a_stable_code(
    code: StatusCode, reason: str, exit_code: int
) -> None:
    """It follows from the status, and the message ends with the reason."""
    said, found = failure(PlacementCallError(code, reason, "no", remedy="mend it"))

    assert found == exit_code
    assert said.endswith(f"  [{reason}]")
    assert "mend it" in said or "--timeout" in said


def test_options_count_before_and_after_the_command() -> None:
    """The last one counts."""
    result = run("-o", "table", "--config", "x", "config", "check", "-o", "json")
    Path("x").write_text("")
    again = run("-o", "table", "--config", "x", "config", "check", "-o", "json")

    assert result.exit_code == 2
    assert json.loads(again.stdout)["file"] == "x"


def test_config_check_shows_what_is_in_force_without_secrets() -> None:
    """With it, an operator sees what the service would see."""
    Path("placement.toml").write_text('[nats]\nuser = "u"\npassword = "hunter2"\n')

    table = run("config", "check", "--show")
    found = json.loads(run("config", "check", "--show", "-o", "json").stdout)

    assert table.exit_code == 0
    assert "valid: placement.toml; 19 regions, home region iad" in table.output
    assert "checkpoint.interval_seconds" in table.output
    assert found["config"]["nats"]["user"] == "u"
    assert "hunter2" not in table.output + json.dumps(found)


def test_config_check_misses_a_file_that_is_named() -> None:
    """Before the service does."""
    Path("placement.toml").write_text('[nats]\nca_file = "ca.pem"\n')

    result = run("config", "check")

    assert result.exit_code == 2
    assert "nats.ca_file: 'ca.pem' is not valid: no such file" in result.stderr


def test_config_check_tells_of_variables_that_are_no_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They have no effect, which somebody should know."""
    monkeypatch.setenv("PLACEMENT_LISTN", "127.0.0.1:1")

    assert "PLACEMENT_LISTN is no key" in run("config", "check").output
