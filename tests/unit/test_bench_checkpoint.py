"""``placement bench checkpoint`` and ``restart``: that they run, and what they tell."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from placement.bench.made_state import StateMaker
from placement.bench.row_table import rows_of
from placement.cli.main import main
from placement.core.chunks import load, take_dirty
from placement.core.fingerprint import fingerprint
from placement.core.state import State
from tests.builders import TOPOLOGY

CHECKPOINT = {
    "whole_save_against_row_table": True,
    "raw_bytes_written": False,
    "load": False,
    "save_after_1_percent_against_whole": True,
    "longest_step_while_saving": False,
    "bytes_per_digest_on_disk": True,
    "bytes_per_digest_after_increments": False,
}
RESTART = {
    "first_answer": True,
    "first_answer_file_not_cached": True,
    "memory_at_most": False,
    "memory_when_answering": False,
    "checkpoint": False,
    "digests": False,
}


@pytest.mark.parametrize(
    ("suite", "metrics"),
    [
        ("checkpoint", CHECKPOINT),
        pytest.param("restart", RESTART, marks=pytest.mark.long),
    ],
)
def test_suite_tells_each_figure(
    suite: str,
    metrics: dict[str, bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over real files and a real process, as little of it as possible."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "figures.json"
    arguments = ["bench", suite, "--quick", "--json", str(file)]

    result = CliRunner().invoke(main, [*arguments, "--directory", str(tmp_path)])

    assert result.exit_code == 0, result.output
    figures = {figure["metric"]: figure for figure in json.loads(file.read_text())}
    assert {name: bool(f["ceiling"]) for name, f in figures.items()} == metrics
    assert all(figure["value"] > 0 for figure in figures.values())
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_made_state_is_a_state_like_any_other() -> None:
    """It survives a checkpoint, its links are right, and a row table holds as much."""
    state = StateMaker(TOPOLOGY).made(1_000)
    restored = State()

    load(restored, take_dirty(state))

    assert fingerprint(restored) == fingerprint(state)
    replicas, used = 0, 0
    for _, row in restored.placements.rows():
        replicas += len(restored.replicas_of(row))
        used += len(restored.indexes.users_of(row))
    assert (replicas, used) == (len(state.replicas), len(state.uses))
    assert len(rows_of(state)) == len(state.digests) == 1_000


def test_changes_are_spread_over_all_rows() -> None:
    """One of a hundred rows of each table with numbers, wherever it is."""
    state = StateMaker(TOPOLOGY).made(2_000)
    before = fingerprint(state)
    maker = StateMaker(TOPOLOGY)

    maker.change(state, 0.01)

    assert fingerprint(state) != before
