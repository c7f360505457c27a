"""The picture of a back-test, drawn with matplotlib: style, layout, file."""

from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from placement.simulation import panels
from placement.simulation.picture import Picture

HEIGHT_INCHES: Final = 5.4
DOTS_PER_INCH: Final = 150
MARGIN: Final = 0.03
STYLE: Final[dict[RcKeyType, object]] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is always there
    "font.size": 10.5,
    "text.color": panels.INK,
    "axes.edgecolor": panels.GREY,
    "axes.labelcolor": panels.INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "xtick.color": panels.GREY,
    "ytick.color": panels.GREY,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "svg.hashsalt": "placement",  # else ids differ from run to run
}


def save(picture: Picture, path: Path) -> None:
    """Write *picture* to *path*; its ending is known. Raises OSError."""
    with rc_context(STYLE):
        figure = figure_of(picture)
        kind = path.suffix.lower().removeprefix(".")
        # A date would make every file another.
        metadata = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(path, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)


def figure_of(picture: Picture) -> Figure:
    """Return *picture* as a figure with its panels, in the style in force."""
    figure = Figure(figsize=(panels.WIDTH_INCHES, HEIGHT_INCHES), facecolor="white")
    grid = figure.add_gridspec(
        2,
        3,
        left=panels.LABELS_WIDTH + MARGIN,
        right=1 - MARGIN,
        top=0.715,
        bottom=0.12,
        wspace=0.32,
        hspace=0.09,
        height_ratios=(5, 1),
    )
    figure.text(MARGIN, 0.93, picture.title, fontsize=17, fontweight="bold")
    figure.text(MARGIN, 0.875, picture.subtitle, fontsize=10.5, color=panels.GREY)
    panels.waits(figure.add_subplot(grid[:, 0]), picture)
    panels.frontier(figure.add_subplot(grid[:, 1]), picture)
    reliability = figure.add_subplot(grid[0, 2])
    panels.reliability(reliability, picture)
    panels.counts(figure.add_subplot(grid[1, 2], sharex=reliability), picture)
    return figure
