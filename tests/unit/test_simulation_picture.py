"""The picture of a back-test: what is on it, its files, and what is refused."""

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from matplotlib.text import Text

from placement.core.errors import InputError
from placement.simulation.drawing import figure_of
from placement.simulation.picture import (
    GRID_S,
    Bin,
    Curve,
    Picture,
    Point,
    draw,
    shares_within,
)

HALF = shares_within([[0.33, 20.0]])
PICTURE = Picture(
    title="A title",
    subtitle="made-up figures",
    ours="default",
    curves=(
        Curve("never", shares_within([[5.0, 20.0]])),
        Curve("set_60d", HALF),
        Curve("default", shares_within([[0.33, 0.33, 0.33, 9.0]])),
        Curve("clairvoyant", shares_within([[0.33]])),
    ),
    frontier=(Point("20", 0.2, 0.88), Point("80", 0.33, 0.97)),
    points=(
        Point("never", 0.0, 0.0),
        Point("set_60d", 0.4, 0.86),
        Point("everywhere", 1.0, 0.99),
        Point("default", 0.33, 0.97),
        Point("clairvoyant", 0.0, 1.0),
    ),
    bins=(Bin(0.1, 0.08, 1234), Bin(0.5, 0.0, 0), Bin(0.9, 0.95, 98_765)),
    calibration_error=0.016,
)


def words(picture: Picture) -> list[str]:
    """Every text of the picture that is not empty."""
    found = figure_of(picture).findobj(lambda artist: isinstance(artist, Text))
    texts = [one.get_text() for one in found if isinstance(one, Text)]
    return [text for text in texts if text]


def test_shares_count_waits_up_to_each_moment() -> None:
    """A wait belongs to its moment; every trace counts the same, however long."""
    shares = shares_within([[0.33] * 1_000, [0.33, 50.0]])

    found = dict(zip(GRID_S, shares, strict=True))
    assert found[max(s for s in GRID_S if s < 0.33)] == 0
    assert found[min(s for s in GRID_S if s >= 0.33)] == 0.75
    assert shares[-1] == 1


def test_trace_without_waits_counts_for_nothing() -> None:
    """A trace that has no first start after its warm-up says nothing."""
    assert shares_within([[], [0.33, 20.0]]) == HALF


def test_titles_say_what_the_panels_show() -> None:
    """A person reads the point in three lines."""
    found = words(PICTURE)

    assert "75% of first starts find their image" in found
    assert "97% of the benefit, 33% of the waste" in found
    assert "Forecasts are off by 1.6 points" in found


def test_every_policy_and_count_is_labelled() -> None:
    """Lines and points are named where they are, in people's words."""
    found = words(PICTURE)

    labels = ["default  75%", "60-day set  50%", "never  0%", "clairvoyant  100%"]
    assert [label for label in labels if label not in found] == []
    assert {"default", "60-day set", "everywhere", "20", "80", "never 0%"} <= set(found)
    assert {"1.2k", "99k"} <= set(found)
    assert "0" not in found  # of an empty bin


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.PNG"])
def test_same_picture_gives_the_same_file(tmp_path: Path, name: str) -> None:
    """PNG or SVG, by the end of the name; neither holds a date."""
    one, other = tmp_path / "one" / name, tmp_path / "other" / name
    for path in (one, other):
        path.parent.mkdir()
        draw(PICTURE, path)

    assert one.read_bytes() == other.read_bytes()
    if name.endswith("svg"):
        assert ET.fromstring(one.read_text()).tag.endswith("svg")  # noqa: S314 - ours
    else:
        assert one.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "picture",
    [
        replace(PICTURE, frontier=()),
        replace(PICTURE, bins=(), calibration_error=0.0),
        replace(PICTURE, ours="mine"),
        replace(PICTURE, points=PICTURE.points[:1], frontier=()),
        replace(PICTURE, points=(Point("default", 3.5, 0.2), Point("bad", 0.0, -0.4))),
        replace(PICTURE, curves=(Curve("default", (0.0,) * len(GRID_S)),)),
        replace(PICTURE, curves=tuple(Curve(f"policy {n}", HALF) for n in range(12))),
    ],
    ids=[
        "no frontier",
        "no forecasts",
        "ours is not among them",
        "one point",
        "worse than nothing",
        "no wait ends",
        "many policies",
    ],
)
def test_unusual_figures_can_be_drawn(tmp_path: Path, picture: Picture) -> None:
    """Whatever a back-test finds is drawn, without a warning."""
    draw(picture, tmp_path / "a.png")

    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_other_endings_are_refused(tmp_path: Path) -> None:
    """The error says which endings there are."""
    with pytest.raises(InputError, match=r"--picture.*\.png or \.svg"):
        draw(PICTURE, tmp_path / "a.jpg")


def test_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """The system's own reason is in the message."""
    with pytest.raises(InputError, match=r"--picture.*No such file"):
        draw(PICTURE, tmp_path / "none" / "a.png")


def test_missing_matplotlib_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever lacks the extra reads how to get it."""
    monkeypatch.delattr("placement.simulation.drawing")
    monkeypatch.setitem(sys.modules, "placement.simulation.drawing", None)

    with pytest.raises(InputError, match=r"pip install 'placement\[picture\]'"):
        draw(PICTURE, tmp_path / "a.png")
