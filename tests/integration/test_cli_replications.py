"""The commands about copies against the real service: what people type."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from placement.cli.main import main
from tests.builders import MANIFEST, digest
from tests.real_service import DEADLINE_SECONDS, RealService, running

IMAGE = digest("a")
WEB = "acme/web"
SUBJECT = {
    "replication_id": "copy-1",
    "repository": WEB,
    "digest": IMAGE,
    "target_region": "syd",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    """A service that was told of an image, a copy of it, and a start far from it."""
    with running(RealService(tmp_path_factory.mktemp("service"))) as found:
        content = {"digest": IMAGE, "media_type": MANIFEST, "size_bytes": 5_000_000}
        pushed = {"content": content, "repository": WEB, "tag": "v1"}
        started = {"repository": WEB, "digest": IMAGE, "machine_id": "m1"}
        published = ask(
            found,
            "publish",
            lines=[
                {"region": "ams", "content_pushed": pushed},
                {"region": "syd", "machine_started": {**started, "cache": "remote"}},
            ],
        )
        assert published["stored"] == 2
        yield found


def run(service: RealService, *arguments: str, text: str | None = None) -> Result:
    """Return what a command says and answers; a bug in it is raised."""
    command = ("--server", service.target, *arguments)
    return CliRunner().invoke(main, command, input=text, catch_exceptions=False)


def ask(
    service: RealService, *arguments: str, lines: list[dict[str, Any]] | None = None
) -> Any:  # noqa: ANN401 - JSON
    """Return a command's answer, decoded."""
    text = None if lines is None else "\n".join(map(json.dumps, lines))
    result = run(service, "-o", "json", *arguments, text=text)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def decide(service: RealService, own_id: str, region: str = "syd") -> None:
    """Let a copy be decided, as a planner would."""
    subject = {**SUBJECT, "replication_id": own_id, "target_region": region}
    planned = {
        "subject": subject,
        "source_region": "ams",
        "transfer_bytes": 5_000_000,
        "trigger": "push",
        "trigger_sequence": 10_000,
        "start_regions": [region],
        "policy": "default@0",
        "reason": "start-forecast",
        "explanation": "one start in four comes",
        "priority": 2,
    }
    line = {"region": region, "replication_planned": planned}
    assert ask(service, "publish", lines=[line])["stored"] == 1


def complete(service: RealService, own_id: str, region: str = "syd") -> None:
    """Let a copy be there."""
    subject = {**SUBJECT, "replication_id": own_id, "target_region": region}
    line = {"region": region, "replication_completed": {"subject": subject}}
    assert ask(service, "publish", lines=[line])["stored"] == 1


def test_decisions_are_listed_shown_and_called_off(service: RealService) -> None:
    """The three commands of somebody who wonders what the service does."""
    decide(service, "copy-fra", "fra")

    listed = ask(service, "replications", "--region", "fra", "--since", "1h")
    table = run(service, "replications", "--region", "fra")
    shown = run(service, "replication", "show", "copy-fra")
    order = ("replication", "cancel", "copy-fra", "--reason", "wrong", "--actor", "ops")
    cancelled = run(service, *order)
    again = run(service, *order[:-1], "another")

    (decision,) = [
        each for each in listed["replications"] if each["replication_id"] == "copy-fra"
    ]
    assert decision["status"] == "REPLICATION_STATUS_PLANNED"
    assert decision["tags"] == ["v1"]
    assert "ams -> fra" in table.stdout
    assert "copy-fra" in table.stdout
    assert "one start in four comes" in shown.stdout
    assert "planned" in shown.stdout
    assert cancelled.stdout.startswith("copy-fra is called off")
    assert again.exit_code == 1
    assert "[REPLICATION_CLOSED]" in again.stderr


def test_narrowed_listing_names_what_is_wrong(service: RealService) -> None:
    """Wrong words end with 2, and the flag is named."""
    kind = run(service, "replications", "--kind", "neither")
    since = run(service, "replications", "--since", "soon")
    none = run(service, "replications", "--kind", "removal", "--trigger", "pin")

    assert (kind.exit_code, since.exit_code) == (2, 2)
    assert "--since" in since.stderr
    assert "none" in none.stdout


def test_request_waits_until_the_image_is_there(service: RealService) -> None:
    """A line for each step; 0 at the end."""
    request = ("request", f"{WEB}:v1", "--to", "lhr", "--request-id", "deploy-1")
    first = ask(service, *request)
    content = {"digest": IMAGE, "media_type": MANIFEST, "size_bytes": 5_000_000}
    arrived = {"contents": [content], "repository": WEB}
    line = {"region": "lhr", "content_replicated": arrived}
    assert ask(service, "publish", lines=[line])["stored"] == 1

    waited = run(service, *request, "--wait", "--by", "30s")
    other = run(service, "request", f"{WEB}:v1", "--to", "nrt", *request[-2:])

    assert first["request_id"] == "deploy-1"
    assert first["progress"]["target_region"] == "lhr"
    assert waited.exit_code == 0, waited.output
    assert "lhr: completed" in waited.stdout
    assert other.exit_code == 1
    assert "[REQUEST_CONFLICT]" in other.stderr


def test_request_that_is_not_met_in_time_ends_with_three(service: RealService) -> None:
    """Nobody copies anything here."""
    request = ("request", f"{WEB}:v1", "--to", "gru", "--wait", "--by", "1s")

    result = run(service, *request)

    assert result.exit_code == 3
    assert "[DEADLINE_EXCEEDED]" in result.stderr
    assert "gru: " in result.stdout


def test_request_for_an_unknown_image_says_so(service: RealService) -> None:
    """As every question about it does."""
    result = run(service, "request", f"{WEB}:v9", "--to", "syd")

    assert result.exit_code == 1
    assert "[MANIFEST_UNKNOWN]" in result.stderr


def test_start_is_explained_in_sentences(service: RealService) -> None:
    """Or said to be unknown."""
    found = run(service, "explain-start", "m1")
    plain = ask(service, "explain-start", "m1")
    unknown = run(service, "explain-start", "m9")

    assert "m1: acme/web@" in found.stdout
    assert plain["explanation"].replace("\n", " ")[:30] in found.stdout.replace(
        "\n", " "
    )
    assert plain["region"] == "syd"
    assert unknown.exit_code == 1
    assert "[MACHINE_UNKNOWN]" in unknown.stderr


def test_decision_of_nobody_is_unknown(service: RealService) -> None:
    """Shown or called off."""
    shown = run(service, "replication", "show", "copy-9")
    order = ("--reason", "wrong", "--actor", "ops")
    cancelled = run(service, "replication", "cancel", "copy-9", *order)

    assert (shown.exit_code, cancelled.exit_code) == (1, 1)
    assert "[REPLICATION_UNKNOWN]" in shown.stderr
    assert "[REPLICATION_UNKNOWN]" in cancelled.stderr


def test_canceller_has_to_say_who_it_is(service: RealService) -> None:
    """By the flag, or once in the configuration."""
    result = run(service, "replication", "cancel", "copy-9", "--reason", "wrong")

    assert result.exit_code == 2
    assert "--actor" in result.stderr


def test_what_a_region_is_to_do_is_printed_as_it_comes(service: RealService) -> None:
    """Open ones first, then those that come, until somebody stops it."""
    decide(service, "copy-ams", "nrt")
    command = [sys.executable, "-m", "placement", "--server", service.target]
    command += ["replications", "--watch", "nrt"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout is not None
            lines = iter(watching.stdout.readline, "")
            heard = [next(lines)]
            while "from here on" not in heard[-1]:
                heard.append(next(lines))
            complete(service, "copy-ams", "nrt")
            heard.append(next(lines))
        finally:
            watching.terminate()
            watching.wait(timeout=DEADLINE_SECONDS)

    assert any(line.startswith("copy copy-ams  acme/web@") for line in heard)
    assert heard[-1] == "done with copy-ams  completed\n"
