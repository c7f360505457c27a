"""``placement simulate``, end to end, on small traces and on the carried cuts."""

import csv
import gzip
import json
import os
import subprocess
import sys
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from placement.cli.main import main
from tests.real_service import RealService, running

FIELDS = {
    "first_starts",
    "local_share",
    "wait_p50_s",
    "wait_p99_s",
    "saved",
    "benefit",
    "bytes_moved_ratio",
    "waste",
    "waste_vs_everywhere",
    "brier",
    "bss",
    "ece",
}
BUILT_IN = {"never", "pull_through", "everywhere", "set_60d", "clairvoyant"}
ROWS = 700
HISTORIES = Path(__file__).parents[2].parent / "shared/data"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A short cut of a carried history."""
    carried = files("placement").joinpath("data/traces/phalanx.csv.gz")
    with gzip.open(Path(str(carried)), "rt") as source:
        rows = list(islice(csv.reader(source), ROWS))
    path = tmp_path / "cut.csv"
    with path.open("w", newline="") as target:
        csv.writer(target).writerows(rows)
    return path


def simulate(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["simulate", *arguments])


def figures(trace: Path, *arguments: str) -> dict[str, Any]:
    """Return the JSON of a back-test of *trace*."""
    result = simulate("--trace", f"phalanx={trace}", "-o", "json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_figures_are_those_that_were_promised(trace: Path, tmp_path: Path) -> None:
    """Per trace and policy, the means beside them, and the same in a file."""
    path = tmp_path / "figures.json"

    answer = figures(trace, "--json", str(path))

    policies = answer["traces"]["phalanx"]["policies"]
    assert set(policies) == {*BUILT_IN, "default"}
    assert all(set(known) >= FIELDS for known in policies.values())
    assert set(answer["macro"]) == set(policies)
    assert {"benefit", "worst_benefit", "waste_vs_everywhere", "bytes_moved_ratio"} == (
        set(answer["macro"]["default"])
    )
    assert json.loads(path.read_text()) == answer
    assert answer["variants"]["delta 1 s"]["macro"]["default"]["benefit"] is not None
    assert answer["assumptions"]["file"] == "data/assumptions.toml"


def test_nobody_beats_the_clairvoyant(trace: Path) -> None:
    """Whatever a second is worth; and whoever copies more, saves no less."""
    answer = figures(trace, "--kappa", "10", "--kappa", "100000")

    policies = answer["traces"]["phalanx"]["policies"]
    assert all(known["benefit"] <= 1 + 1e-9 for known in policies.values())
    assert policies["clairvoyant"]["waste"] == policies["never"]["saved"] == 0
    frugal, lavish = (policies[f"default at {k} MB/s"] for k in ("10", "100000"))
    assert frugal["saved"] <= lavish["saved"]
    assert frugal["waste"] <= lavish["waste"]


@pytest.mark.long
def test_another_policy_changes_no_fingerprint(trace: Path, tmp_path: Path) -> None:
    """It is named by its key, else by its file, and folds nothing else."""
    policy = tmp_path / "thrifty.toml"
    policy.write_text("kappa_bytes_per_second = 1e6\n")

    ours, theirs = figures(trace), figures(trace, "--policy", str(policy))

    assert ours["fingerprints"] == theirs["fingerprints"]
    policies = theirs["traces"]["phalanx"]["policies"]
    assert set(policies) == {*BUILT_IN, "thrifty"}
    thrifty = policies["thrifty"]["bytes_moved_ratio"]
    default = ours["traces"]["phalanx"]["policies"]["default"]["bytes_moved_ratio"]
    assert thrifty <= default


@pytest.mark.long
def test_what_regions_keep_is_the_policys_own(trace: Path, tmp_path: Path) -> None:
    """Less is stored by a file that keeps less, and roll-backs miss it."""
    policy = tmp_path / "forgetful.toml"
    policy.write_text("[keep]\nprevious_versions = 0\ngrace_days = 0\n")

    ours, theirs = figures(trace), figures(trace, "--policy", str(policy))

    kept = ours["rollbacks"]["phalanx"]
    assert set(kept) == {"pull_through", "default"}
    assert kept["default"]["stored_ratio"] >= kept["pull_through"]["stored_ratio"]
    forgetful = theirs["rollbacks"]["phalanx"]["forgetful"]
    assert 1 <= forgetful["stored_ratio"] < kept["default"]["stored_ratio"]
    assert forgetful["count"] == kept["default"]["count"]


@pytest.mark.long
def test_hash_seed_changes_nothing(trace: Path) -> None:
    """The same figures in every process."""
    said = []
    for seed in ("1", "2"):
        command = ["-m", "placement", "simulate", "--trace", f"phalanx={trace}"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        ended = subprocess.run(
            [sys.executable, *command, "-o", "json"],
            capture_output=True,
            check=True,
            env=environment,
        )
        said.append(ended.stdout)

    assert said[0] == said[1]


def test_table_and_picture_are_for_people(trace: Path, tmp_path: Path) -> None:
    """What saves how much, what was assumed, and a drawing of it."""
    picture = tmp_path / "backtest.svg"

    result = simulate("--trace", f"phalanx={trace}", "--picture", str(picture))

    assert result.exit_code == 0, result.output
    for part in (
        "first starts",
        "clairvoyant",
        "default",
        "stored/current",
        "Assumed (",
    ):
        assert part in result.stdout
    assert picture.read_text().startswith("<?xml")


def test_region_that_is_down_is_a_question(trace: Path) -> None:
    """What starts there is served by the next one, and waits longer."""
    up, down = figures(trace), figures(trace, "--down", "gru")

    never_up, never_down = (
        one["traces"]["phalanx"]["policies"]["never"] for one in (up, down)
    )
    assert never_up != never_down


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--trace", "phalanx"), "NAME=FILE"),
        (("--trace", "phalanx=missing.csv"), "name a file that is there"),
        (("--score-from", "soon"), "score-from"),
        (("--policy", "missing.toml"), "readable TOML"),
        (("--down", "mars"), "mars"),
        (("--home", "MARS"), "MARS"),
        (("--share", "2"), "layer_share"),
        (("--score-from", "mars=0.5"), "name a trace: govuk, konflux, phalanx"),
        (("--json", "missing/figures.json"), "name a folder that is there"),
        (("--picture", "backtest.jpg"), ".png or .svg"),
        (("--log", "--delta", "5"), "--log: '--delta' is not valid"),
    ],
)
def test_wrong_input_is_named_with_its_remedy(
    arguments: tuple[str, ...], said: str
) -> None:
    """The option, the value, and what would be right; exit code 2."""
    result = simulate(*arguments)

    assert result.exit_code == 2, result.output
    assert said in result.output


def test_own_log_is_replayed(tmp_path: Path) -> None:
    """A service's log with a push and a start in another region is a past as well."""
    service = RealService(tmp_path / "service")
    with running(service):
        server = ("--server", service.target)
        events = tmp_path / "events.jsonl"
        events.write_text(OWN_EVENTS)
        told = CliRunner().invoke(main, ["publish", str(events), *server])
        assert told.exit_code == 0, told.output
        config = tmp_path / "placement.toml"
        config.write_text(f'data_dir = "{service.data_dir}"\n')

        result = simulate("--log", "--config", str(config), "-o", "json")

    assert result.exit_code == 0, result.output
    policies = json.loads(result.stdout)["traces"]["log"]["policies"]
    assert policies["never"]["first_starts"] == 1


DIGEST = "sha256:" + "a" * 64
OWN_EVENTS = (
    json.dumps(
        {
            "event_id": "push",
            "region": "iad",
            "content_pushed": {
                "content": {
                    "digest": DIGEST,
                    "size_bytes": "1000000",
                    "media_type": "application/vnd.oci.image.manifest.v1+json",
                },
                "repository": "acme/web",
                "tag": "v1",
            },
        }
    )
    + "\n"
    + json.dumps(
        {
            "event_id": "start",
            "region": "syd",
            "machine_started": {
                "digest": DIGEST,
                "repository": "acme/web",
                "machine_id": "m-1",
            },
        }
    )
    + "\n"
)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.skipif(
    not HISTORIES.is_dir(), reason="the whole histories are not beside the project"
)
def test_whole_histories_meet_the_bars(tmp_path: Path) -> None:
    """One configuration on all three: what policy and issue ask for."""
    importer = Path(__file__).parents[2] / "tools" / "import_traces.py"
    subprocess.run([sys.executable, importer, HISTORIES, tmp_path], check=True)
    names = ("govuk", "konflux", "phalanx")
    traces = [("--trace", f"{name}={tmp_path}/{name}.csv.gz") for name in names]
    path = tmp_path / "figures.json"

    result = simulate(*(word for pair in traces for word in pair), "--json", str(path))

    assert result.exit_code == 0, result.output
    answer = json.loads(path.read_text())
    ours = answer["macro"]["default"]
    assert ours["benefit"] >= 0.97
    assert ours["worst_benefit"] >= 0.93
    assert ours["waste_vs_everywhere"] <= 0.33
    assert ours["bytes_moved_ratio"] <= 0.68
    for name, trace in answer["traces"].items():
        known = trace["policies"]["default"]
        assert known["ece"] <= 0.05
        assert known["bss"] > 0
        static = trace["policies"]["set_60d"]
        affordable = [
            point["benefit"]
            for point in answer["frontier"][name]
            if point["waste"] <= static["waste"]
        ]
        assert max(affordable) >= static["benefit"], name
        kept = answer["rollbacks"][name]["default"]
        assert kept["local_share"] >= 0.95, name
        assert kept["stored_ratio"] <= 5, name
