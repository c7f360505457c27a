"""docs/scaling.md says what its own figures lead to, and names suites that exist."""

import re

from placement.bench.busy import BATCH, BusyLog
from placement.bench.capacity import shown
from placement.bench.made_state import StateMaker
from placement.bench.suites import SUITES
from placement.core.tables.keys import EVENT_IDS_REMEMBERED
from tests.builders import TOPOLOGY
from tests.scaling_page import (
    FOLLOWS,
    GIVEN,
    PAGE,
    expected,
    known,
    rewritten,
    section,
    values,
)

TEXT = PAGE.read_text()
MESSAGES = 10


def test_second_table_follows_from_the_first() -> None:
    """Each row is there, in order, with the value that the arithmetic gives."""
    wanted = expected(TEXT)

    found = values(section(TEXT, FOLLOWS))

    assert list(found.items()) == list(wanted.items()), (
        "python -m tests.scaling_page writes the table anew"
    )


def test_another_figure_changes_what_follows() -> None:
    """Twice the pulls are twice the events, and the page is written accordingly."""
    before = known(TEXT).pulls_per_second
    row = f"| `pulls_per_second` | {before:,.0f} |"
    changed = TEXT.replace(row, f"| `pulls_per_second` | {2 * before:.0f} |")

    found = values(section(rewritten(changed), FOLLOWS))

    known_events = before * known(TEXT).contents_per_pull
    assert found["events_per_second"] == shown(2 * known_events)
    assert found["state_gigabytes"] == expected(TEXT)["state_gigabytes"]


def test_measured_figures_name_a_suite() -> None:
    """Where a figure is measured again, a reader finds by its suite's name."""
    named = re.findall(r"suite `(\w+)`", section(TEXT, GIVEN))

    assert named
    assert set(named) <= set(SUITES)


def test_prose_names_rows_that_exist() -> None:
    """What the page calls by a row's name is a row of the second table."""
    prose = TEXT.partition("## What one of each costs")[2]

    named = set(
        re.findall(r"`((?:watcher|log|fold|peak|state|hours|days)_\w+)`", prose)
    )

    assert named
    assert named <= set(expected(TEXT))


def test_bytes_of_an_event_are_those_of_the_busy_log() -> None:
    """In envelopes as the bench makes them, to within a tenth."""
    messages = BusyLog(StateMaker(TOPOLOGY).made(10_000)).mix(MESSAGES)

    found = sum(len(message.body) for message in messages) / (MESSAGES * BATCH)

    assert abs(found / known(TEXT).log_bytes_per_event - 1) < 0.1


def test_ids_remembered_are_those_of_the_fold() -> None:
    """The limit that the page counts with is the one in the code."""
    assert known(TEXT).event_ids_remembered == EVENT_IDS_REMEMBERED
