"""Fault points: off by default, armed by tests and by one configuration key."""

import subprocess
import sys
from pathlib import Path

import pytest

from placement import faults
from placement.faults import FaultError, FaultPoint, Plan, armed, reach

PACKAGE = Path(faults.__file__).parent


def test_nothing_happens_unless_a_test_arms_it() -> None:
    """Every point is passed as if it were not there, before and after a test."""
    seen: list[FaultPoint] = []

    for point in FaultPoint:
        reach(point)
    with armed(seen.append):
        reach(FaultPoint.BEFORE_SAVE)
    reach(FaultPoint.AFTER_SAVE)

    assert seen == [FaultPoint.BEFORE_SAVE]


def test_every_point_is_somewhere_in_the_program() -> None:
    """A point that nothing reaches would test nothing."""
    sources = [path for path in PACKAGE.rglob("*.py") if path.name != "faults.py"]
    text = "".join(path.read_text() for path in sources)

    missing = [p for p in FaultPoint if f"reach(FaultPoint.{p.name})" not in text]

    assert missing == []


def test_plan_acts_at_the_count_that_it_names_and_only_then() -> None:
    """The third time, once; another point does not count."""
    plan = Plan("before_save=raise:3,after_save=raise")
    plan(FaultPoint.BEFORE_SAVE)
    plan(FaultPoint.BEFORE_SAVE)
    with pytest.raises(FaultError):
        plan(FaultPoint.BEFORE_SAVE)
    plan(FaultPoint.BEFORE_SAVE)

    with pytest.raises(FaultError, match="after_save"):
        plan(FaultPoint.AFTER_SAVE)


def test_kill_ends_a_process_without_a_word() -> None:
    """As by SIGKILL: no finally, no buffer."""
    program = (
        "from placement.faults import *\n"
        "arm(Plan('before_save=kill:2'))\n"
        "try:\n"
        "    reach(FaultPoint.BEFORE_SAVE); reach(FaultPoint.BEFORE_SAVE)\n"
        "finally:\n"
        "    print('not reached', flush=True)\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=60
    )

    assert ended.returncode == -9
    assert ended.stdout == b""


@pytest.mark.parametrize(
    "text",
    ["nowhere=kill", "before_save", "before_save=explode", "before_save=kill:x"],
)
def test_plan_refuses_what_it_does_not_know_and_says_what_it_does(text: str) -> None:
    """Points and actions are listed."""
    with pytest.raises(ValueError, match=r"before_save.*kill, raise, stall, stop"):
        Plan(text)


@pytest.mark.parametrize("text", ["", "before_save=kill", "after_swap=raise:2,,"])
def test_plan_takes_none_one_or_several(text: str) -> None:
    """An empty entry is none."""
    Plan(text)(FaultPoint.BEFORE_APPEND)
