"""Older checkpoints are thinned with age: few files, and never long to the next one."""

import os
from itertools import pairwise

from placement.adapters.sqlite.older import Aged, kept

INTERVAL_S = 900.0
SIZE = 100
ROOM = 2**40
LONG = bool(os.environ.get("PLACEMENT_LONG"))


def test_oldest_of_each_power_of_two_stays() -> None:
    """Of ages in intervals: 0 to 2, 2 to 4, 4 to 8 and so on."""
    ages = [0.5, 1.5, 2.0, 3.9, 4.0, 5.0, 7.9, 20.0]
    aged = [Aged(age * INTERVAL_S, SIZE) for age in ages]

    assert kept(aged, INTERVAL_S, ROOM) == {1, 3, 6, 7}


def test_oldest_go_where_there_is_no_room() -> None:
    """A larger one in between ends the row: what is older than it goes, too."""
    aged = [Aged(2.0**power * INTERVAL_S, SIZE) for power in range(1, 6)]
    aged[3] = Aged(aged[3].age_s, 3 * SIZE)

    assert kept(aged, INTERVAL_S, 0) == set()
    assert kept(aged, INTERVAL_S, 2 * SIZE) == {0, 1}
    assert kept(aged, INTERVAL_S, 5 * SIZE) == {0, 1, 2}
    assert kept(aged, INTERVAL_S, 6 * SIZE) == {0, 1, 2, 3}


def test_files_stay_few_and_no_gap_is_twice_as_long_as_the_time_back() -> None:
    """One retires each interval; looked at after each."""
    stored: list[float] = []
    for step in range(1, 35_040 if LONG else 800):
        now_s = step * INTERVAL_S
        stored.insert(0, now_s - 2 * INTERVAL_S)
        aged = [Aged(now_s - each, SIZE) for each in stored]
        stay = kept(aged, INTERVAL_S, ROOM)
        stored = [each for number, each in enumerate(stored) if number in stay]
        gaps = [(new, new - old) for new, old in pairwise(stored)]

        assert len(stored) <= 15
        assert all(gap <= 2 * (now_s - new) for new, gap in gaps)
    assert stored[-1] <= 2 * INTERVAL_S
