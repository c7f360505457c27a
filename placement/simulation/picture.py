"""What a back-test's picture shows, and the one call that draws it.

Three panels: how long first starts wait, what is gained for what is wasted, and
whether the forecast means what it says. The drawing itself needs matplotlib, which is
an extra: ``pip install placement[picture]``.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from placement.core.errors import InputError

FORMATS: Final = (".png", ".svg")
GRID_PER_DECADE: Final = 40
GRID_S: Final = tuple(
    10 ** (exponent / GRID_PER_DECADE)
    for exponent in range(-GRID_PER_DECADE, 3 * GRID_PER_DECADE + 1)
)
"""The waits at which curves are drawn: 0.1 to 1,000 s, in even steps of a logarithm."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One policy's start waits: the share of first starts ready within each GRID_S."""

    name: str
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What a policy gains and wastes.

    *benefit* is the part of the clairvoyant's saved wait, 1 for all of it; *waste* the
    part of what copying everywhere wastes, 1 for as much.
    """

    name: str
    waste: float
    benefit: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of about one probability, and how often they came true; 0 to 1."""

    forecast: float
    observed: float
    count: int


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn. Whatever is called *ours* is drawn in colour."""

    title: str
    subtitle: str
    """What the figures rest on: traces, assumptions, from when they are scored."""
    ours: str
    curves: tuple[Curve, ...]
    frontier: tuple[Point, ...]
    """Ours over kappa, from the least to the greatest, each named by its kappa."""
    points: tuple[Point, ...]
    """The policies, ours among them."""
    bins: tuple[Bin, ...]
    calibration_error: float
    """The expected calibration error of ours, 0 to 1."""


def shares_within(waits_s: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return the share of waits of at most each GRID_S, the mean over several traces.

    Every trace counts the same, however many waits, >= 0 seconds, it has; at least one
    has to have any.
    """
    ordered = [sorted(waits) for waits in waits_s if waits]
    return tuple(
        sum(bisect_right(waits, limit_s) / len(waits) for waits in ordered)
        / len(ordered)
        for limit_s in GRID_S
    )


def draw(picture: Picture, path: Path) -> None:
    """Write *picture* to *path*, as PNG or SVG by the end of its name.

    The same picture gives the same file. Raises InputError for another ending, for a
    path that cannot be written, and where matplotlib is not installed.
    """
    check_drawable(path)
    # An extra, and slow to import: only who draws needs it.
    from placement.simulation import drawing  # noqa: PLC0415

    try:
        drawing.save(picture, path)
    except OSError as error:
        remedy = f"name a file that can be written ({error.strerror or error})"
        raise InputError("--picture", path, remedy) from None


def check_drawable(path: Path) -> None:
    """Raise InputError if nothing can be drawn to *path*: better before long work."""
    if path.suffix.lower() not in FORMATS:
        remedy = f"let the file's name end in {' or '.join(FORMATS)}"
        raise InputError("--picture", path, remedy)
    try:
        # Importing is what tells whether it is whole.
        from placement.simulation import drawing  # noqa: F401, PLC0415
    except ModuleNotFoundError:
        remedy = "install matplotlib: pip install 'placement[picture]'"
        raise InputError("--picture", path, remedy) from None
