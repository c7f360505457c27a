"""The dashboard's own shape: it can be imported anywhere, and says what it shows."""

import re
from itertools import pairwise

import pytest

from tests.dashboard import asked, board

WIDTH = 24


def test_identity_is_fixed_and_data_source_is_chosen() -> None:
    """A link to it stays true, and whoever imports it names no data source of ours."""
    found = board()

    assert found["uid"] == "placement"
    assert "id" not in found
    names = [each["name"] for each in found["templating"]["list"]]
    assert names[0] == "datasource"
    used = {
        panel["datasource"]["uid"] for panel in found["panels"] if "targets" in panel
    }
    assert used == {"${datasource}"}


def test_rows_are_in_the_order_of_questions() -> None:
    """What it is worth comes first, then what it does, then how it is."""
    rows = [each["title"] for each in board()["panels"] if each["type"] == "row"]

    assert rows == [
        "What it saves",
        "Decisions",
        "Serving: rate, errors, duration",
        "Fold and log",
        "Regions",
        "Agents",
    ]


def test_panels_do_not_overlap_and_fill_their_rows() -> None:
    """Each line of panels is as wide as the page, without a gap."""
    found = board()["panels"]
    lines: dict[int, list[dict[str, int]]] = {}
    for panel in found:
        lines.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"])

    for line in lines.values():
        assert [each["x"] for each in line] == sorted(each["x"] for each in line)
        assert sum(each["w"] for each in line) == WIDTH
        assert len({each["h"] for each in line}) == 1
    for (y, line), (following, _) in pairwise(sorted(lines.items())):
        assert following == y + line[0]["h"]
    assert len({panel["id"] for panel in found}) == len(found)


@pytest.mark.parametrize(
    "panel",
    [each for each in board()["panels"] if each["type"] != "row"],
    ids=lambda each: each["title"],
)
def test_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, object]) -> None:
    """Whoever looks at it at night has no other text at hand."""
    description, config = str(panel["description"]), panel["fieldConfig"]

    assert len(description) > 15
    assert description.endswith(".")
    assert isinstance(config, dict)
    assert config["defaults"]["unit"]


def test_variables_that_are_used_are_defined() -> None:
    """A variable that is not there would match nothing."""
    defined = {each["name"] for each in board()["templating"]["list"]}

    used = {
        name
        for each in asked()
        for name in re.findall(r"\$(?!__)(\w+)", each.expression)
    }

    assert used == defined - {"datasource"}
