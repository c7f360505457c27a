"""``placement bench``: suites by name, figures beside ceilings, and rounds in turn."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from placement.bench.measured import Measured
from placement.bench.rounds import Samples, cores, in_turn, in_turn_async, pinned
from placement.bench.suites import SUITES, load_suite
from placement.cli import bench as command
from placement.cli.bench_figures import figures_table, number
from placement.cli.main import main

FIELDS = {"suite", "metric", "value", "unit", "ceiling", "ratio"}
INGEST = {
    "synced_by_the_disk": None,
    "envelopes_appended": "synced_by_the_disk",
    "full_envelopes_appended": "synced_by_the_disk",
    "envelopes_published": "synced_by_the_disk",
    "single_events_alone": None,
    "single_events_gathered": "single_events_alone",
}
MEMORY = {
    "bytes_per_digest": "bytes_per_digest_as_an_object",
    "bytes_per_digest_as_an_object": None,
    "bytes_per_placement": None,
    "bytes_per_replica": None,
    "bytes_per_use": None,
    "bytes_per_digest_of_a_whole_state": None,
    "find_many_numpy_10000": None,
    "add_500_numpy_10000": None,
    "find_10000": None,
    "find_again_10000": None,
    "probes_max_10000": None,
    "find_many_compiled_10000": None,
    "add_500_compiled_10000": None,
}
REPLAY = {
    "singles_fetched_and_folded": None,
    "singles_fetched_only": None,
    "envelopes_replayed": "singles_fetched_and_folded",
    "singles_replayed": "singles_fetched_only",
    "envelopes_received": None,
    "envelopes_decoded": "envelopes_received",
}
EXPORT = {
    "events": None,
    "log_read_only": None,
    "exported": "log_read_only",
    "peak_memory_of_a_tenth": None,
    "peak_memory": "peak_memory_of_a_tenth",
    "bytes_per_event": None,
    "query_apps": None,
    "query_bytes_per_link": None,
    "query_decisions_by_reason": None,
    "query_estimate_calibration": None,
    "query_regret_by_miss_class": None,
    "query_saved_by_organization": None,
    "query_starts_local": None,
    "figures_that_agree": None,
}
WATCH = {
    "raw_bytes": None,
    "bootstrap_stream": "raw_bytes",
    "bootstrap_stream_alone": "raw_bytes",
    "bootstrap_replica": "raw_bytes",
    "bootstrap_placements": None,
    "bytes_per_placement_sent": None,
    "unary_rank_calls": None,
    "unary_image_calls": None,
    "unary_estimate_calls": None,
    "replica_ranked_images": "unary_image_calls",
    "replica_estimates": "unary_estimate_calls",
    "replica_presence": "unary_rank_calls",
    "replica_ranked_blobs": "unary_rank_calls",
    "replica_ranked_many": "unary_rank_calls",
    "replica_bytes_per_placement": None,
    "call_p99": None,
    "call_p99_100_stalled": "call_p99",
    "call_p99_16_snapshots": "call_p99",
    "change_known_p99": None,
    "change_known_p99_100_stalled": "change_known_p99",
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own placement.toml."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_can_be_loaded(name: str) -> None:
    """A name in the list is a module that measures."""
    assert callable(load_suite(name))


@pytest.mark.parametrize(
    ("suite", "metrics"),
    [
        ("ingest", INGEST),
        pytest.param("memory", MEMORY, marks=pytest.mark.long),
        pytest.param("export", EXPORT, marks=pytest.mark.long),
        pytest.param("replay", REPLAY, marks=pytest.mark.long),
        pytest.param("watch", WATCH, marks=pytest.mark.long),
    ],
)
def test_suite_tells_each_figure_beside_its_ceiling(
    suite: str, metrics: dict[str, str | None], tmp_path: Path
) -> None:
    """Over a real broker, and as little of it as possible."""
    file = tmp_path / "figures.json"
    arguments = ["bench", suite, "--quick", "--json", str(file), "-o", "json"]

    result = CliRunner().invoke(main, [*arguments, "--directory", str(tmp_path)])

    assert result.exit_code == 0, result.output
    figures = json.loads(file.read_text())
    assert json.loads(result.stdout) == figures
    named = {figure["metric"]: figure for figure in figures}
    assert set(named) == set(metrics)
    for metric, ceiling in metrics.items():
        assert set(named[metric]) == FIELDS
        assert named[metric]["value"] > 0
        expected = None if ceiling is None else named[ceiling]["value"]
        assert named[metric]["ceiling"] == expected
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_all_runs_every_suite_and_names_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fails stops no other, and the figures of the others are written."""
    monkeypatch.setattr(command, "SUITES", {"unheard-of": "", "planner": ""})
    file = tmp_path / "figures.json"
    arguments = ["bench", "all", "--quick", "--json", str(file), "-o", "json"]

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 1
    assert result.stderr.endswith("error: failed: unheard-of\n")
    figures = json.loads(file.read_text())
    assert {figure["suite"] for figure in figures} == {"planner"}
    assert json.loads(result.stdout) == figures


def test_table_shows_median_spread_and_ratio() -> None:
    """Empty where there is none; big numbers without decimals."""
    figures = [
        Measured("s", "events_folded", 123_456.7, "events/s", 61_728.35, (1.0, 2e6)),
        Measured("s", "wait", 12.34, "ms"),
    ]
    screen = Console(width=100, record=True, file=StringIO())

    screen.print(figures_table("s", figures))

    shown = [" ".join(line.split()) for line in screen.export_text().splitlines()]
    assert shown == [
        "s median least to most ceiling ratio",
        "events folded 123,457 events/s 1 to 2,000,000 61,728 2",
        "wait 12.3 ms",
    ]
    assert number(0.0123) == "0.0123"


def test_contestants_take_turns() -> None:
    """A B A B, the first round not counted; medians and spreads are each one's own."""
    turns: list[str] = []
    told: dict[str, Iterator[float]] = {
        "a": iter([100.0, 3.0, 1.0, 2.0]),
        "b": iter([0.0, 5.0, 5.0, 8.0]),
    }

    def contestant(name: str) -> float:
        turns.append(name)
        return next(told[name])

    found = in_turn({n: lambda n=n: contestant(n) for n in told}, 3)  # type: ignore[misc]  # its name is bound

    assert "".join(turns) == "abababab"
    assert found == {"a": Samples((3.0, 1.0, 2.0)), "b": Samples((5.0, 5.0, 8.0))}
    figure = found["a"].measured("s", "m", "ms", found["b"])
    assert figure == Measured("s", "m", 2.0, "ms", 5.0, (1.0, 3.0))


async def test_contestants_that_wait_take_turns_too() -> None:
    """The same, for what runs in a loop."""
    told = iter([9.0, 1.0, 2.0])

    async def contestant() -> float:
        return next(told)

    found = await in_turn_async({"a": contestant}, 2)

    assert found == {"a": Samples((1.0, 2.0))}


def test_pinned_is_pinned_until_the_block_ends() -> None:
    """To the cores that are named; to none means wherever it was."""
    before = cores()

    with pinned([before[0]]):
        inside = cores()
    with pinned([]):
        free = cores()

    assert inside == (before[0],)
    assert (free, cores()) == (before, before)
