"""The suites of serving, as little of them as possible: what they tell of."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from placement.bench.callers import Asked, Caller, cpu_ns
from placement.bench.echo import METHOD
from placement.bench.redis import command, is_installed, running_redis
from placement.bench.servers import echoing
from placement.cli.main import main

RPC = {
    "echo_rate": None,
    "echo_cost": None,
    "sources_again_rate": "echo_rate",
    "sources_again_cost": "echo_cost",
    "sources_computed_rate": "echo_rate",
    "sources_computed_cost": "echo_cost",
    "echo_on_two_over_one": None,
    "sources_on_two_over_one": "echo_on_two_over_one",
    "p50_in_peace": None,
    "p99_in_peace": None,
    "p50_while_events_come_in": "p50_in_peace",
    "p99_while_events_come_in": "p99_in_peace",
    "folded_meanwhile": None,
}
BATCH = {
    "packed": None,
    "packed_per_core": None,
    "packed_cost": None,
    "packed_from_python": "redis_from_python",
    "readable_from_python": "redis_from_python",
    "redis_from_python": None,
}


@pytest.mark.parametrize(
    ("suite", "metrics"),
    [
        pytest.param("rpc", RPC, marks=pytest.mark.long),
        pytest.param("batch", BATCH, marks=pytest.mark.long),
    ],
)
def test_suite_tells_each_figure_beside_its_ceiling(
    suite: str,
    metrics: dict[str, str | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With real services; what Redis would tell is left out where there is none."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "figures.json"
    arguments = ["bench", suite, "--quick", "--json", str(file), "-o", "json"]

    result = CliRunner().invoke(main, [*arguments, "--directory", str(tmp_path)])

    assert result.exit_code == 0, result.output
    named = {figure["metric"]: figure for figure in json.loads(file.read_text())}
    without = set() if is_installed() else {"redis_from_python"}
    assert set(named) == set(metrics) - without
    for metric, figure in named.items():
        ceiling = metrics[metric]
        beside = None if ceiling is None else named.get(ceiling, {}).get("value")
        assert figure["ceiling"] == beside


async def test_callers_are_ours_where_h2load_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ask as often, and note what a call cost the server."""
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    async with echoing([]) as echo:
        asked = Asked(echo.target, METHOD, b"who is there")
        caller = Caller(asked, 64, [echo.process_id], [], tmp_path)
        before_ns = cpu_ns(echo.process_id)

        rate = await caller.turn()

        assert rate > 0
        assert 0 < 64_000 * caller.costs_us[0] <= cpu_ns(echo.process_id) - before_ns


@pytest.mark.skipif(not is_installed(), reason="redis-server is not installed")
async def test_redis_tells_the_members_of_many_sets_at_once(tmp_path: Path) -> None:
    """In the order of the keys, whatever comes in one piece; none of an empty set."""
    sets = {b"%d" % number: [b"ams", b"x" * number] for number in range(1, 2_000)}
    async with running_redis(tmp_path, []) as redis:
        redis.add(sets)

        found = redis.members([*sets, b"nobody"])

    assert [sorted(each) for each in found] == [*map(sorted, sets.values()), []]


def test_command_is_written_as_the_protocol_says() -> None:
    """Each word with its length, since it may hold anything."""
    assert command(b"SADD", b"k", b"a\r\n") == (
        b"*3\r\n$4\r\nSADD\r\n$1\r\nk\r\n$3\r\na\r\n\r\n"
    )
