"""Where places of the world are on the map: the Equal Earth projection.

Source: B. Savric, T. Patterson, B. Jenny, "The Equal Earth map projection",
International Journal of Geographical Information Science 33 (2019).
"""

import math
from functools import cache
from importlib.resources import files
from typing import Final

WIDTH: Final = 1000.0
CENTRE: Final = 11.0
"""Degrees east of the middle, so that the cut goes through the Bering Strait."""
NORTH: Final = 83.7
SOUTH: Final = -56.0
_POLYNOMIAL: Final = (1.340264, -0.081106, 0.000893, 0.003796)
_ROOT: Final = math.sqrt(3) / 2

Point = tuple[float, float]


def _raw(east: float, north: float) -> Point:
    a, b, c, d = _POLYNOMIAL
    angle = math.asin(_ROOT * math.sin(math.radians(north)))
    squared = angle * angle
    sixth = squared**3
    slope = a + 3 * b * squared + sixth * (7 * c + 9 * d * squared)
    x = math.radians(east) * math.cos(angle) / (_ROOT * slope)
    return x, angle * (a + b * squared + sixth * (c + d * squared))


_REACH: Final = _raw(180.0, 0.0)[0]
_SCALE: Final = WIDTH / (2 * _REACH)
_TOP: Final = _raw(0.0, NORTH)[1]
HEIGHT: Final = round((_TOP - _raw(0.0, SOUTH)[1]) * _SCALE, 1)


def projected(east: float, north: float) -> Point:
    """Return where a place is: 0 to WIDTH from the left, 0 to HEIGHT from the top."""
    turned = (east - CENTRE + 180.0) % 360.0 - 180.0
    x, y = _raw(turned, north)
    return round((x + _REACH) * _SCALE, 1), round((_TOP - y) * _SCALE, 1)


@cache
def land_path() -> str:
    """Return the outline of the land as the ``d`` of an SVG path."""
    text = files("placement.data").joinpath("land.txt").read_text("utf-8")
    rings = (line for line in text.splitlines() if not line.startswith("#"))
    return "".join(_ring_path(line) for line in rings)


def _ring_path(line: str) -> str:
    pairs = (pair.split(",") for pair in line.split())
    points = [projected(float(east), float(north)) for east, north in pairs]
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points) + "Z"
