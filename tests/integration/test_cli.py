"""The commands against the real service: what people type, and what comes of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from placement.cli.main import main
from tests.real_service import DEADLINE_SECONDS, RealService, running

NOTIFICATIONS = Path(__file__).parents[2] / "placement" / "data" / "notifications"
REGIONS = "a=iad,b=fra,c=ams"
IMAGE = "sha256:21c99c79109ded3e4e755f5d2d03722a29f9b74a7807d552604c2ebe812f91b7"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealService]:
    """A real service that has folded every captured notification and a start.

    It decides nothing, so that there is something to preview.
    """
    directory = tmp_path_factory.mktemp("service")
    with running(RealService(directory)) as running_service:
        files = sorted(map(str, NOTIFICATIONS.glob("*.json")))
        published = ask(
            running_service,
            "publish",
            "--region-map",
            REGIONS,
            "--rebase-to-now",
            *files,
        )
        assert published["stored"] == 49
        started = ask(running_service, "publish", text=json.dumps(start("m0")))
        assert started["stored"] == 1
        yield running_service


def start(machine: str, region: str = "syd") -> dict[str, Any]:
    """Return the line of a machine's start."""
    fact = {"repository": "team/app", "digest": IMAGE, "machine_id": machine}
    return {"region": region, "machine_started": fact}


def run(service: RealService, *arguments: str, text: str | None = None) -> Result:
    """Return what a command says and answers; a bug in it is raised."""
    command = ("--server", service.target, *arguments)
    return CliRunner().invoke(main, command, input=text, catch_exceptions=False)


def ask(service: RealService, *arguments: str, text: str | None = None) -> Any:  # noqa: ANN401 - JSON
    """Return a command's answer, decoded."""
    result = run(service, "-o", "json", *arguments, text=text)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def logged(service: RealService, *arguments: str) -> list[Any]:
    """Return the lines that tail prints of the log as it is now."""
    chosen = ("--data-dir", str(service.data_dir), "--no-follow", "-o", "json")
    result = run(service, "tail", *chosen, *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_publishing_again_changes_nothing(service: RealService) -> None:
    """Ids are the registry's, or made of the content: a repeat is a duplicate."""
    files = [str(NOTIFICATIONS / "01-push-first.json")]

    again = ask(service, "publish", "--region-map", REGIONS, "--rebase-to-now", *files)
    line = ask(service, "publish", text=json.dumps(start("m0")))

    assert (again["stored"], again["duplicate"]) == (0, 6)
    assert (line["stored"], line["duplicate"]) == (0, 1)


def test_malformed_lines_are_told_and_the_rest_is_stored(service: RealService) -> None:
    """By number, with field and remedy; the exit code says that something was wrong."""
    bad = start("m2")
    bad["machine_started"]["digest"] = "sha256:short"
    lines = [json.dumps(start("m1")), "not json", json.dumps(bad)]

    result = run(service, "publish", "-", text="\n".join(lines))

    assert result.exit_code == 1
    assert "1 stored, 0 duplicate, 2 rejected" in result.stdout
    assert "stdin:2: line: 'not json' is not valid" in result.stderr
    assert "stdin:3: machine_started.digest: 'sha256:short'" in result.stderr
    assert "DIGEST_INVALID" in result.stderr


def test_sources_are_ranked_for_a_tag(service: RealService) -> None:
    """The nearest first, with seconds, reasons, fallback and what it rests on."""
    answer = ask(service, "sources", "team/app:v1", "--region", "lhr")
    table = run(service, "sources", "team/app:v1", "--region", "lhr").output

    assert answer["digest"] == IMAGE
    assert [source["region"] for source in answer["sources"]] == ["fra", "iad"]
    assert answer["fallback"]["region"] == "iad"
    assert answer["basis"]["state"] == "SERVING_STATE_LIVE"
    assert table.index("fra") < table.index("iad")
    assert "transfer 7.2 MB" in table
    assert "fallback" in table
    assert f"answered at sequence {answer['basis']['sequence']}, LIVE" in table


def test_layer_of_another_repository_can_be_mounted(service: RealService) -> None:
    """It is no source, and the home region still is the fallback."""
    (layer,) = [
        one["digest"]
        for one in ask(service, "replicas", "--repository", "team/app")["replicas"]
        if one["size_bytes"] == 4_001_429 and one["region"] == "iad"
    ]

    answer = ask(service, "sources", f"team/new@{layer}", "--region", "iad")

    assert answer["sources"] == []
    assert answer["fallback"]["region"] == "iad"
    assert {"region": "iad", "repository": "team/app"} in answer["mounts"]


def test_image_is_shown_with_presence_and_use(service: RealService) -> None:
    """Where it is whole, and who started it."""
    answer = ask(service, "show", "team/app:v1")["placement"]
    table = run(service, "show", f"team/app@{IMAGE}").output

    assert {one["region"]: one["complete"] for one in answer["regions"]} == {
        "fra": True,
        "iad": True,
    }
    assert "syd" in {use["region"] for use in answer["demands"]}
    assert "tags v1   app team/app   organization team   size 7.2 MB" in table


def test_replicas_are_listed_up_to_a_limit(service: RealService) -> None:
    """By region and repository; a cut list says so."""
    few = ask(service, "replicas", "--region", "fra", "--limit", "2")
    all_there = ask(service, "replicas", "--region", "fra")

    assert len(few["replicas"]) == 2
    assert few["more"]
    assert {one["region"] for one in all_there["replicas"]} == {"fra"}
    assert not all_there["more"]
    assert "give --limit" in run(service, "replicas", "--limit", "1").output


def test_preview_says_what_where_and_why(service: RealService) -> None:
    """A start that waited for a far region is a reason."""
    answer = ask(service, "preview", "team/app:v1", "--target", "syd")
    table = run(service, "preview").output

    (copy,) = answer["replications"]
    assert (copy["target_region"], copy["tags"]) == ("syd", ["v1"])
    assert "likely to start in syd: it runs there" in copy["explanation"]
    assert "-> syd" in table
    assert "no copy is wanted" in run(service, "preview", "--target", "gru").output


def test_preview_by_a_policy_in_a_file(service: RealService, tmp_path: Path) -> None:
    """Whole, with the regions that it permits; a mistake in it is told by its key."""
    file = tmp_path / "careful.toml"
    europe = '[[residency]]\nrepositories = ["team/*"]\nallow = ["ams", "fra"]'
    file.write_text(f'name = "careful"\n{europe}')
    broken = tmp_path / "broken.toml"
    broken.write_text("kappa = 1")

    answer = ask(service, "preview", "--policy", str(file))
    named = ask(service, "preview", "--policy", "set_60d")
    result = run(service, "preview", "--policy", str(broken))

    assert answer["policy"] == "careful"
    assert "syd" not in {copy["target_region"] for copy in answer["replications"]}
    assert named["policy"] == "set_60d"
    assert "syd" in {copy["target_region"] for copy in named["replications"]}
    assert result.exit_code == 2
    assert "policy_content.kappa" in result.stderr


def test_replay_beside_the_service_has_its_fingerprint(service: RealService) -> None:
    """The state is a function of the log: the same sequence, the same hash."""
    info = ask(service, "status", "--fingerprint")
    data_dir = ("--data-dir", str(service.data_dir))
    replayed = ask(service, "replay", *data_dir)
    earlier = ask(service, "replay", *data_dir, "--to", "1")

    assert replayed["sequence"] == info["basis"]["sequence"]
    assert replayed["epoch"] == info["basis"]["epoch"]
    assert replayed["fingerprint"] == info["fingerprint"]
    assert earlier["sequence"] == 1
    assert earlier["fingerprint"] != info["fingerprint"]


def test_replay_works_when_no_service_runs(tmp_path: Path) -> None:
    """It starts the broker on the data directory for as long as it reads."""
    with running(RealService(tmp_path / "service")) as service:
        ask(service, "publish", text=json.dumps(start("m")))
        told = ask(service, "status", "--fingerprint")
        while told["counts"]["folded_count"] < 1:  # stored, and folded a moment later
            told = ask(service, "status", "--fingerprint")
        service.stop()

        replayed = ask(service, "replay", "--data-dir", str(service.data_dir))

    assert replayed["fingerprint"] == told["fingerprint"]
    assert replayed["counts"]["folded"] == 1


def test_tail_prints_what_publish_takes(service: RealService) -> None:
    """Chosen by region and fact; publishing it again is a duplicate."""
    found = logged(
        service, "--from", "1", "--region", "syd", "--fact", "machine_started"
    )

    assert {line["event"]["region"] for line in found} == {"syd"}
    assert all("machine_started" in line["event"] for line in found)
    again = ask(service, "publish", text=json.dumps(found[0]["event"]))
    assert again["duplicate"] == 1
    assert len(logged(service, "--from", "1", "--count", "2")) == 2


def test_tail_follows_the_log(service: RealService) -> None:
    """What is published while it runs is printed at once."""
    command = [sys.executable, "-m", "placement", "tail", "--count", "1"]
    tail = subprocess.Popen(
        [*command, "--data-dir", str(service.data_dir), "--region", "gru"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        ends = time.monotonic() + DEADLINE_SECONDS
        number = 0
        while tail.poll() is None and time.monotonic() < ends:
            number += 1
            ask(service, "publish", text=json.dumps(start(f"g{number}", "gru")))
        said, _ = tail.communicate(timeout=DEADLINE_SECONDS)
    finally:
        tail.kill()

    assert tail.returncode == 0
    assert "gru  machine_started     team/app g" in said


def test_unknown_image_is_no_and_unknown_region_too(service: RealService) -> None:
    """The answer is no: exit code 1, one line, and what to do."""
    tag = run(service, "show", "team/app:v9")
    region = run(service, "sources", "team/app:v1", "--region", "nowhere")

    assert (tag.exit_code, region.exit_code) == (1, 1)
    assert "has no tag v9" in tag.stderr
    assert "MANIFEST_UNKNOWN" in tag.stderr
    assert "`placement status --regions` lists it" in region.stderr
    assert "syd" in run(service, "status", "--regions").output


def test_silent_service_is_out_of_reach_in_time(service: RealService) -> None:
    """A service that takes connections and says nothing holds nobody for long."""
    os.kill(service.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        result = run(service, "status", "--timeout", "0.5")
        took_s = time.monotonic() - began
    finally:
        os.kill(service.pid, signal.SIGCONT)

    assert result.exit_code in {3, 4}  # gRPC calls it the one or the other
    assert took_s < 5.0
    assert result.stderr.startswith("error: ")
    assert result.stdout == ""
