"""Every scenario answers what is written in it; ``--rewrite`` writes it anew."""

from pathlib import Path

import pytest

from tests.scenario import FOLDER, told

SCENARIOS = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: str(path.stem))
def test_scenario(path: Path, pytestconfig: pytest.Config) -> None:
    """The story is told line by line, and each question answered as written."""
    text = path.read_text()

    answered = told(text)

    if pytestconfig.getoption("rewrite"):
        path.write_text(answered)
    else:
        assert answered == text


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: str(path.stem))
def test_scenario_says_what_it_shows(path: Path) -> None:
    """The first line is for whoever opens the file."""
    assert path.read_text().startswith("# ")


def test_answer_that_is_written_wrong_is_corrected() -> None:
    """The runner replaces answers and leaves the rest, comments too, as it is."""
    text = "# Shows nothing.\npush ams acme/web a\nwhere acme/web a\n----\nsyd\n"

    assert told(text) == text.replace("syd", "ams  complete")
