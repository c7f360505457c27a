"""``placement rehearse``, end to end, on the first rows of a carried history."""

import csv
import gzip
import json
from importlib.resources import files
from itertools import islice
from pathlib import Path

import pytest
from click.testing import CliRunner

from placement.cli.main import main

ROWS = 300


@pytest.fixture
def trace(tmp_path: Path) -> str:
    """A short cut of a carried history, as the command takes it."""
    carried = files("placement").joinpath("data/traces/konflux.csv.gz")
    with gzip.open(Path(str(carried)), "rt") as source:
        rows = list(islice(csv.reader(source), ROWS))
    path = tmp_path / "cut.csv"
    with path.open("w", newline="") as target:
        csv.writer(target).writerows(rows)
    return f"konflux={path}"


def test_rehearsal_tells_decisions_and_misses_as_they_are(trace: str) -> None:
    """All starts are accounted for, and none is explained wrongly."""
    arguments = ["rehearse", "--trace", trace, "--holdout", "0.1", "-o", "json"]

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["traces"]["konflux"]
    missed = sum(one["starts"] for one in found["misses"].values())
    assert found["wrongly_explained"] == {}
    assert found["local_share"] == pytest.approx(1 - missed / found["starts"])
    assert found["decisions"]["withheld"] > 0
    assert found["decisions"]["without_reason"] == 0


def test_rehearsal_is_shown_as_tables(trace: str) -> None:
    """People read what was decided, why starts waited, and what copies saved."""
    result = CliRunner().invoke(main, ["rehearse", "--trace", trace])

    assert result.exit_code == 0, result.output
    assert "why the image was not there" in result.stdout
    assert "never predicted" in result.stdout


def test_policy_that_is_none_is_refused(trace: str, tmp_path: Path) -> None:
    """A mistake in the policy is told before anything is lived through."""
    policy = tmp_path / "policy.toml"
    policy.write_text("holdout_fraction = 2\n")

    result = CliRunner().invoke(
        main, ["rehearse", "--trace", trace, "--policy", str(policy)]
    )

    assert result.exit_code != 0
    assert "holdout_fraction" in result.stderr
