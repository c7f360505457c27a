"""Each command of the documentation is run by a test, or says why it is not."""

import re

import pytest

from tests.docs.scenarios import SCENARIOS
from tests.documented import (
    PAGES,
    ROOT,
    Block,
    commands,
    faults,
    mentions,
    shell_blocks,
)

SHOWN = shell_blocks()


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.place)
def test_block_is_run_or_says_why_not(block: Block) -> None:
    """Nobody reads a command that nothing tried, without knowing it."""
    for named in re.findall(r"tests/[\w/]+\.py", block.mark):
        assert (ROOT / named).is_file(), f"{block.place}: no {named}"
    if block.tested_by:
        test = ROOT / block.tested_by
        assert ROOT.joinpath(block.page).name in test.read_text(), block.place
    elif not block.reason:
        assert block.language == "console", "commands of a scenario are console's"
        assert block.page in SCENARIOS, f"{block.place}: no scenario, and no reason"
        assert commands(block)


def test_there_is_no_scenario_without_a_block() -> None:
    """A page that shows nothing to run needs no set-up."""
    runs = {each.page for each in SHOWN if not (each.reason or each.tested_by)}

    assert set(SCENARIOS) == runs


def test_most_commands_are_run() -> None:
    """How many are run, and how many are not: shown by ``pytest -rP``."""
    run = [each for each in SHOWN if not each.reason]
    told = {each.place: each.reason for each in SHOWN if each.reason}

    print(f"{len(run)} blocks are run, {len(told)} are not:")  # noqa: T201 - the report
    for place, reason in told.items():
        print(f"  {place}: {reason}")  # noqa: T201 - as above

    assert len(run) > len(told)


def test_every_command_and_flag_that_is_shown_exists() -> None:
    """Click knows all that the pages say to type, in blocks and in sentences."""
    wrong = [
        f"{place}: placement {shown}: {', '.join(found)}"
        for place, shown in mentions()
        if (found := faults(shown))
    ]

    assert wrong == []


def test_navigation_is_every_page_once() -> None:
    """docs/index.md leads to each page, and to nothing else."""
    index = ROOT / "docs" / "index.md"
    listed = re.findall(
        r"^- \[[^\]]+\]\(([\w/-]+\.md)\)", index.read_text(), re.MULTILINE
    )
    pages = {str(path.relative_to(index.parent)) for path in index.parent.rglob("*.md")}

    assert sorted(listed) == sorted(pages - {"index.md"})


def test_every_page_that_is_named_exists() -> None:
    """A name such as docs/nats.md is a link on the site, and a promise elsewhere."""
    named = {
        (str(page.relative_to(ROOT)), name)
        for page in PAGES
        for name in re.findall(r"`(docs/[\w/-]+\.md)[#`]", page.read_text())
    }

    assert [each for each in sorted(named) if not (ROOT / each[1]).exists()] == []
