"""Back-tests in processes of their own: same figures, same errors, no worker left."""

import gzip
from dataclasses import replace
from importlib.resources import files
from itertools import islice
from multiprocessing import active_children
from pathlib import Path

import pytest

from placement.config.catalogue import load_topology
from placement.config.keys import Config
from placement.core.errors import InputError, TimeInvalidError
from placement.core.policy import DEFAULT
from placement.simulation.assumptions import load_assumptions
from placement.simulation.backtest import EVERY, Setting
from placement.simulation.jobs import Job, run_jobs
from placement.simulation.score_from import parse_score_from

ROWS = 300


@pytest.fixture
def setting() -> Setting:
    """The shipped policy, under the carried assumptions."""
    topology = load_topology(Config())
    return Setting(load_assumptions(), topology, {DEFAULT.name: DEFAULT})


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """A short cut of a carried history."""
    carried = Path(str(files("placement").joinpath("data/traces/konflux.csv.gz")))
    path = tmp_path / "konflux.csv"
    with gzip.open(carried, "rt") as source:
        path.write_text("".join(islice(source, ROWS)), "utf-8")
    return path


def test_workers_find_what_one_process_finds(setting: Setting, cut: Path) -> None:
    """Outcomes come in the order of the jobs, and each job tells that it is done."""
    soon = replace(setting, assumptions=setting.assumptions.varied(delta_s=1.0))
    jobs = [Job("konflux", cut, one) for one in (setting, soon)]
    done: dict[int, float] = {}

    alone = [run_jobs([job], lambda *_: None)[0] for job in jobs]
    both = run_jobs(jobs, done.__setitem__)

    assert both == alone
    assert both[0].scores != both[1].scores
    assert done == {0: 1.0, 1: 1.0}


def test_error_comes_out_of_a_worker_as_it_is(
    setting: Setting, cut: Path, tmp_path: Path
) -> None:
    """Whoever gave the file reads line, field, value and remedy; nothing runs on."""
    bad = tmp_path / "bad.csv"
    bad.write_text("time,region,repository,tag,kind\nsoon,syd,t/a,v1,start\n", "utf-8")
    jobs = [Job("konflux", cut, setting), Job("bad", bad, setting)]

    with pytest.raises(TimeInvalidError, match=r"line 2, time: 'soon'.*unix seconds"):
        run_jobs(jobs, lambda *_: None)

    assert active_children() == []


def test_date_after_the_trace_is_refused(setting: Setting, cut: Path) -> None:
    """Nothing would be scored, and every figure would be 0 over 0."""
    late = {EVERY: parse_score_from("2031-05-01")}
    job = Job("konflux", cut, replace(setting, score_from=late))

    with pytest.raises(InputError, match=r"score-from: '2031-05-01'.*konflux ends"):
        run_jobs([job], lambda *_: None)
