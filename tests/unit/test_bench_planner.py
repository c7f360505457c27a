"""``placement bench planner``: the shape of its figures, on a few pushes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from placement.bench.measured import Measured, quantile
from placement.cli.bench_figures import require_place
from placement.cli.main import main

DECIDING = {
    "decide_manifest_median",
    "decide_manifest_p99",
    "decide_layer_median",
    "fold_push_median",
    "decisions_per_push",
}
LATENCY = {
    "push_to_decided_median",
    "push_to_decided_p99",
    "push_to_folded_median",
    "pushes_decided",
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own placement.toml."""
    monkeypatch.chdir(tmp_path)


def test_figures_have_one_shape(tmp_path: Path) -> None:
    """Over a real broker: every figure, its unit, and its ceiling where it has one."""
    file = tmp_path / "figures.json"
    arguments = ["bench", "planner", "--quick", "--json", str(file), "-o", "json"]

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 0, result.output
    figures = json.loads(file.read_text())
    assert json.loads(result.stdout) == figures
    named = {figure["metric"]: figure for figure in figures}
    assert set(named) == DECIDING | LATENCY
    for figure in figures:
        assert set(figure) == {"suite", "metric", "value", "unit", "ceiling", "ratio"}
        assert figure["suite"] == "planner"
        assert figure["value"] > 0
        assert (figure["ceiling"] is None) == (figure["ratio"] is None)
    assert named["push_to_decided_median"]["ceiling"] is not None
    assert named["pushes_decided"]["unit"] == "pushes"


def test_ratio_is_of_the_ceiling() -> None:
    """How many times as much as what nobody can be below; none without a ceiling."""
    assert Measured("s", "a", 6.0, "us", 2.0).ratio == 3
    assert Measured("s", "a", 6.0, "us").ratio is None


def test_quantile_is_a_value_that_was_measured() -> None:
    """Of one value that one, of many the one that so many are below."""
    assert quantile([3.0], 0.99) == 3
    assert quantile([float(n) for n in range(100)], 0.99) == 99
    assert quantile([5.0, 1.0, 3.0], 0.5) == 3


def test_file_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    """The error names the flag and says what to do."""
    nowhere = str(tmp_path / "missing" / "figures.json")

    result = CliRunner().invoke(
        main, ["bench", "planner", "--quick", "--json", nowhere]
    )

    assert result.exit_code == 2
    assert "--json" in result.output


def test_looking_for_a_place_leaves_none_behind(tmp_path: Path) -> None:
    """A bench that fails has written nothing; what was there before stays."""
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    old.write_text("[]\n")

    require_place(new)
    require_place(old)

    assert not new.exists()
    assert old.read_text() == "[]\n"
