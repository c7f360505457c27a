"""docs/faults.md is honest: each fault has a row, each figure a test behind it."""

import re

import pytest

from tests.named_tests import ROOT, TEST, missing_tests

DOCUMENT = ROOT / "docs" / "faults.md"
FAULTS = [f"F{number}" for number in range(1, 31)]
NOT_MEASURED = "not measured"
COMES_WITH = re.compile(r"comes with (\w[\w ,-]+)")


def rows() -> dict[str, tuple[str, str, str, str]]:
    """Return the cells of each fault's row: fault, bar, measured, and measured by."""
    found: dict[str, tuple[str, str, str, str]] = {}
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.fullmatch(r"F\d+", cells[0]):
            number, fault, bar, measured, by = cells
            assert number not in found, f"{number} has two rows"
            found[number] = (fault, bar, measured, by)
    return found


def test_every_fault_has_one_row_in_order() -> None:
    """F1 to F30, none forgotten and none invented."""
    assert list(rows()) == FAULTS


@pytest.mark.parametrize("number", FAULTS)
def test_row_says_what_was_measured_or_that_nothing_was(number: str) -> None:
    """A figure names the tests that give it; a row without one says what will."""
    fault, bar, measured, by = rows()[number]

    assert fault
    assert re.search(r"\d", bar) or bar
    if measured.startswith(NOT_MEASURED):
        assert COMES_WITH.search(by), by
        assert not re.search(r"\d", measured), measured
    else:
        assert TEST.search(by), by
        assert re.search(r"\d", measured), measured


@pytest.mark.parametrize("number", FAULTS)
def test_named_tests_exist(number: str) -> None:
    """A test that was renamed takes its row with it."""
    *_, by = rows()[number]

    assert missing_tests(by) == []


def test_every_open_end_is_listed() -> None:
    """What is missed or left open is said at the end of the document, by number."""
    text = DOCUMENT.read_text()
    listed = set(re.findall(r"^- (F\d+)", text.split("## Open", 1)[1], re.MULTILINE))

    open_rows = {
        number
        for number, (_, _, measured, _) in rows().items()
        if not measured.startswith(NOT_MEASURED) and "open:" in measured
    }

    assert listed == open_rows
