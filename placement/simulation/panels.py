"""The three panels of a back-test's picture, each drawn into its axes.

What is ours is coloured and everything else is grey; a line is labelled where it is,
and a panel's title says what it shows.
"""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import (
    FuncFormatter,
    MultipleLocator,
    NullLocator,
    PercentFormatter,
)

from placement.simulation.picture import GRID_S, Curve, Picture, Point

INK: Final = "#1f2933"
GREY: Final = "#7b8794"
FAINT: Final = "#dfe3e8"
OURS: Final = "#0a7a5c"
WIDTH_INCHES: Final = 13.0
POINTS_PER_INCH: Final = 72
LABELS_WIDTH: Final = 0.105
"""What the labels of the first panel take beside it, in widths of the figure."""
CONNECTOR: Final = {
    "arrowstyle": "-",
    "color": GREY,
    "linewidth": 0.6,
    "relpos": (1, 0.5),  # from the end of the label
}
LABEL_GAP: Final = 0.052
LABEL_LEVELS: Final = (-0.01, 1.045)
BOUND: Final = "clairvoyant"
"""Drawn dotted or hollow: nobody can pass it."""
NAMES: Final = {"pull_through": "pull-through", "set_60d": "60-day set"}
"""What people read instead of a policy's own name."""
TEXT_SIZE: Final = 10
NAME_WIDTH: Final = 0.1
NAME_HEIGHT: Final = 0.05
"""What the name of a point takes, in widths and heights of the panel."""
THOUSAND: Final = 1_000
WAIT_TICKS_S: Final = (1, 10, 100)
BENEFIT_LOW: Final = 0.5
"""What saves less than this is shown at the edge, so that the others are apart."""


def _titled(axes: Axes, title: str, told: str, left: float = 0.0) -> None:
    """Head a panel; *left* is where, in widths of the figure from the axes."""
    shift = left * WIDTH_INCHES * POINTS_PER_INCH
    for text, up, size, colour, weight in (
        (title, 32, 12.5, INK, "bold"),
        (told, 16, 9.5, GREY, "normal"),
    ):
        axes.annotate(
            text,
            (0, 1),
            xycoords="axes fraction",
            xytext=(shift, up),
            textcoords="offset points",
            fontsize=size,
            color=colour,
            fontweight=weight,
        )
    axes.grid(axis="y", color=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def waits(axes: Axes, picture: Picture) -> None:
    """Draw the distribution of start waits, each curve labelled where it begins."""
    begin = min(_begin(curve) for curve in picture.curves)
    levels = {curve.name: curve.shares[begin] for curve in picture.curves}
    for curve in sorted(picture.curves, key=lambda one: one.name == picture.ours):
        axes.plot(
            GRID_S[begin:],
            curve.shares[begin:],
            color=OURS if curve.name == picture.ours else GREY,
            linewidth=3.0 if curve.name == picture.ours else 1.5,
            linestyle=":" if curve.name == BOUND else "-",
        )
    places = _apart(list(levels.values()), LABEL_GAP)
    for (name, level), place in zip(levels.items(), places, strict=True):
        ours = name == picture.ours
        axes.annotate(
            f"{_shown(name)}  {level:.0%}",
            xy=(0, level),
            xycoords=axes.get_yaxis_transform(),
            xytext=(-0.05, place),
            textcoords=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=10,
            color=OURS if ours else INK,
            fontweight="bold" if ours else "normal",
            arrowprops=CONNECTOR,
            annotation_clip=False,
        )
    axes.set_xscale("log")
    axes.set_xlim(GRID_S[begin], GRID_S[begin] * 1_000)
    axes.set_xticks(WAIT_TICKS_S)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda wait_s, _: f"{wait_s:g} s"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.yaxis.tick_right()
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("wait for the image")
    title = f"{levels.get(picture.ours, 0):.0%} of first starts find their image"
    told = "share of first starts that are ready within so many seconds"
    _titled(axes, title, told, -LABELS_WIDTH)


def _begin(curve: Curve) -> int:
    above = (index for index, share in enumerate(curve.shares) if share > 0)
    return next(above, len(GRID_S) - 1)


def frontier(axes: Axes, picture: Picture) -> None:
    """Draw benefit against waste: ours over kappa as a line, the others as points."""
    shown = [*picture.frontier, *picture.points]
    high = [one.benefit for one in shown if one.benefit > BENEFIT_LOW]
    floor = max(0.0, (min(high, default=1.0) - 0.04) // 0.05 * 0.05)
    right = max(1.05, *(point.waste * 1.05 for point in shown))
    axes.plot(
        [point.waste for point in picture.frontier],
        [point.benefit for point in picture.frontier],
        color=OURS,
        linewidth=2.2,
        marker="o",
        markersize=4,
    )
    last: Point | None = None
    for point in picture.frontier:
        if last is None or not _touches(point, last, right, 1 - floor):
            _name(axes, point.name, point, (6, -9), OURS, 8.5)
            last = point
    below: list[Point] = []
    for point in picture.points:
        if point.benefit < floor:
            below.append(point)
        else:
            _dot(axes, point, picture.ours, right)
    if below:
        lowest = Point("", min(point.waste for point in below), floor)
        axes.plot([lowest.waste], [floor], "v", color=GREY, clip_on=False, zorder=3)
        names = [f"{_shown(point.name)} {point.benefit:.0%}" for point in below]
        _name(axes, ", ".join(names), lowest, (9, 6), INK, 10)
    axes.set_xlim(0, right)
    axes.set_ylim(floor, 1 + (1 - floor) * 0.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.yaxis.set_major_locator(MultipleLocator(0.05 if floor >= BENEFIT_LOW else 0.1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.set_xlabel("bytes wasted, against copying everywhere")
    title = "Benefit against waste"
    for point in picture.points:
        if point.name == picture.ours:
            title = (
                f"{point.benefit:.0%} of the benefit, {point.waste:.0%} of the waste"
            )
    told = "wait saved, of what could be; the line: kappa, MB/s"
    _titled(axes, title, told)


def _touches(one: Point, other: Point, width: float, height: float) -> bool:
    """Say whether names beside two points would overlap, in axes so large."""
    beside = abs(one.waste - other.waste) < NAME_WIDTH * width
    return beside and abs(one.benefit - other.benefit) < NAME_HEIGHT * height


def _dot(axes: Axes, point: Point, ours: str, right: float) -> None:
    mine = point.name == ours
    colour = OURS if mine else GREY
    inside = "white" if point.name == BOUND else colour
    size = 11 if mine else 7
    axes.plot(
        [point.waste],
        [point.benefit],
        marker="o",
        markersize=size,
        color=colour,
        markerfacecolor=inside,
        clip_on=False,
        zorder=4,
    )
    leftward = mine or point.waste > 0.7 * right
    offset = (-9 if leftward else 9, 4 if mine else -4)
    _name(axes, _shown(point.name), point, offset, OURS if mine else INK, size)


def _name(  # noqa: PLR0913, PLR0917 - what, where, and how it looks
    axes: Axes,
    text: str,
    point: Point,
    offset: tuple[float, float],
    colour: str,
    size: float,
) -> None:
    axes.annotate(
        text,
        (point.waste, point.benefit),
        xytext=offset,
        textcoords="offset points",
        ha="right" if offset[0] < 0 else "left",
        color=colour,
        fontsize=max(size, TEXT_SIZE) if colour == INK else size,
        fontweight="bold" if size > TEXT_SIZE else "normal",
    )


def reliability(axes: Axes, picture: Picture) -> None:
    """Draw how often forecasts came true beside what they said."""
    bins = [one for one in picture.bins if one.count]
    most = max((one.count for one in bins), default=1)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.text(
        0.6, 0.53, "just as often\nas it said", color=GREY, fontsize=9.5, va="top"
    )
    forecasts = [one.forecast for one in bins]
    observed = [one.observed for one in bins]
    axes.plot(forecasts, observed, color=OURS, linewidth=1.6)
    areas = [24 + 130 * (one.count / most) ** 0.5 for one in bins]
    axes.scatter(forecasts, observed, s=areas, color=OURS, clip_on=False, zorder=3)
    axes.set_ylim(0, 1)
    axes.set_xlim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.xaxis.set_tick_params(labelbottom=False)
    error = picture.calibration_error * 100
    title = f"Forecasts are off by {error:.1f} points"
    _titled(axes, title, "share that came true, by what was said (ECE)")


def counts(axes: Axes, picture: Picture) -> None:
    """Draw how many forecasts each bin holds, as a strip under the diagram."""
    most = max((one.count for one in picture.bins), default=1)
    for one in picture.bins:
        if one.count:
            height = (one.count / most) ** 0.5
            axes.bar(one.forecast, height, width=0.07, color=FAINT)
            axes.text(
                one.forecast,
                height + 0.08,
                _short(one.count),
                ha="center",
                fontsize=8,
                color=INK,
            )
    axes.set_ylim(0, 1.5)
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.tick_params(length=0)
    axes.set_xlabel("forecast of a start, and how many there were")


def _shown(name: str) -> str:
    """Return what people read for a policy's own name."""
    return NAMES.get(name, name)


def _apart(levels: Sequence[float], gap: float) -> list[float]:
    """Return *levels* moved until they are *gap* apart, within LABEL_LEVELS."""
    order = sorted(range(len(levels)), key=lambda index: levels[index])
    places = list(levels)
    lowest = LABEL_LEVELS[0]
    for index in order:
        places[index] = lowest = max(places[index], lowest)
        lowest += gap
    highest = LABEL_LEVELS[1]
    for index in reversed(order):
        places[index] = highest = min(places[index], highest)
        highest -= gap
    return places


def _short(count: int) -> str:
    """Return *count* in a few characters."""
    if count < THOUSAND:
        return str(count)
    digits = 1 if count < 10 * THOUSAND else 0
    return f"{count / THOUSAND:.{digits}f}k"
