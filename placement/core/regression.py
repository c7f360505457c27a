"""Seconds as an affine function of bytes: a fit that outliers and regimes do not spoil.

Both parameters are fitted as logarithms, by ridge-regularised least squares of relative
errors around a prior. Source: policy.md §2.1 as amended; three-part weights for what
does not fit: Hampel et al., "Robust Statistics", 1986. All times are in seconds.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

P90_DEVIATIONS: Final = 1.2816
"""Standard deviations from the median to the ninetieth percentile."""
START_UP_DEVIATION: Final = 0.3
PER_BYTE_DEVIATION: Final = 0.5
"""How far the parameters may lie from the prior's: standard deviations of the logs."""
SCALE_LEFT: Final = 0.3
"""What a scale leaves to the parameters: only the excess moves the prior."""
SAMPLE_DEVIATION: Final = 0.07
"""Of one transfer from its route's own line: the unit in which the ridges weigh."""
START_UP_RIDGE: Final = (SAMPLE_DEVIATION / START_UP_DEVIATION) ** 2
PER_BYTE_RIDGE: Final = (SAMPLE_DEVIATION / PER_BYTE_DEVIATION) ** 2
"""What the prior's parameters weigh, in samples."""
SPREAD_DEVIATION: Final = 0.08
SPREAD_SAMPLES: Final = 1.0
"""The spread before any was seen, and what that counts, in samples."""
SPREAD_MIN: Final = 0.05
UNKNOWN_PART: Final = 0.4
"""What the parameters' own variance adds to the spread: their errors cancel partly."""
CLIP_MIN: Final = 0.45
CLIPPED_AT: Final = 3.0
"""A log residual beyond so many deviations counts less; CLIP_MIN is never beyond."""
FORGOTTEN_AT: Final = 3.0
"""How many times the clip a residual counts for nothing: that was another route."""
VOTE_KEPT: Final = 0.7
"""What each later transfer leaves of a vote: two outvote all before, as 0.7^2 < 1/2."""
INFORMS_BANDWIDTH_BYTES: Final = 65_536
STEPS: Final = 3
STEP_MAX: Final = 1.5
"""Gauss-Newton steps, and how far one may go, in logs."""


class Model(NamedTuple):
    """Seconds are ``start_up + bytes * per_byte``; both > 0."""

    start_up: float
    per_byte: float

    def scaled(self, log_start_up: float, log_per_byte: float) -> "Model":
        """Return the model with each parameter so much larger, in logs."""
        return Model(
            self.start_up * math.exp(log_start_up),
            self.per_byte * math.exp(log_per_byte),
        )


class Point(NamedTuple):
    """A usable sample: seconds, place from the newest, what its age leaves of it."""

    size: int
    seconds: float
    recency: int
    weight: float
    sharers: int
    bound: bool
    """The transfer ended early: it would have taken at least these seconds."""

    def byte_seconds(self, model: Model) -> float:
        """Return the seconds that *model* expects the bytes to take.

        Sharing explains slowness down to the model's own speed, and no further: who
        shares a path that is not full waits for nobody.
        """
        own = self.size * model.per_byte
        if self.sharers <= 1:
            return own
        return min(max(own, self.seconds - model.start_up), own * self.sharers)


class Evidence(NamedTuple):
    """The normal matrix of a fit, the weight of its points, their squared residuals."""

    a11: float
    a12: float
    a22: float
    weight: float
    squares: float


def fitted(points: Sequence[Point], base: Model, age: float) -> tuple[Model, Evidence]:
    """Return the model of *points*, newest first, at least one, and what it rests on.

    *base* is the prior; *age* >= 0, how long ago the newest point was, in units of the
    time in which a point's weight halves.
    """
    scale = _scale(points, base, age)
    excess = scale - max(-SCALE_LEFT, min(SCALE_LEFT, scale))
    centre, model = base.scaled(excess, excess), base.scaled(scale, scale)
    clip = CLIP_MIN
    for _ in range(STEPS):
        model, evidence = _step(points, centre, model, clip)
        deviation = math.sqrt(evidence.squares / max(evidence.weight, SPREAD_SAMPLES))
        clip = max(CLIP_MIN, CLIPPED_AT * deviation)
    return model, evidence


def _scale(points: Sequence[Point], base: Model, age: float) -> float:
    """Return the log of how many times as slow as *base* the route is now.

    Each transfer votes with log(observed / expected), the newest most: two tenfold slow
    ones outvote any number of healthy ones before. While nothing is transferred, that
    lead fades, and what was usual counts again: else a route that is avoided for two
    slow transfers would never be tried again. Bounds and shared transfers are read in
    the light of the others.
    """
    kept = VOTE_KEPT ** (1 / max(1.0, age))
    sizable = [point for point in points if point.size >= INFORMS_BANDWIDTH_BYTES]
    plain = [point for point in sizable if point.sharers <= 1 and not point.bound]
    scale = _median(_votes(plain, base, 0.0, kept))
    if len(plain) < len(sizable):
        scale = _median(_votes(sizable, base, scale, kept))
    return scale


def _votes(
    points: Iterable[Point], base: Model, scale: float, kept: float
) -> list[tuple[float, float]]:
    """Return (log of observed over expected, weight); a bound only above *scale*."""
    start_up, per_byte = model = base.scaled(scale, scale)
    votes = []
    for point in points:
        size, seconds, recency, _, sharers, bound = point
        own = size * per_byte if sharers <= 1 else point.byte_seconds(model)
        vote = scale + math.log(seconds / (start_up + own))
        if not bound or vote > scale:
            votes.append((vote, kept**recency))
    return votes


def _median(values: list[tuple[float, float]]) -> float:
    """Return the weighted median of (value, weight); 0 of none."""
    half = sum(weight for _, weight in values) / 2
    for value, weight in sorted(values):
        half -= weight
        if half <= 0:
            return value
    return 0.0


def _step(
    points: Iterable[Point], centre: Model, model: Model, clip: float
) -> tuple[Model, Evidence]:
    """Return *model* after one Gauss-Newton step, and what was known before it.

    The unknowns are the logs of both parameters, with a ridge around the *centre*'s.
    Residuals, logs too, count less beyond *clip*.
    """
    a11, a12, a22 = START_UP_RIDGE, 0.0, PER_BYTE_RIDGE
    b1 = a11 * math.log(centre.start_up / model.start_up)
    b2 = a22 * math.log(centre.per_byte / model.per_byte)
    total = squares = 0.0
    for point in points:
        size, seconds, _, weight, sharers, bound = point
        own = size * model.per_byte if sharers <= 1 else point.byte_seconds(model)
        expected = model.start_up + own
        residual = math.log(seconds / expected)
        if bound and residual <= 0:
            continue
        if not -clip <= residual <= clip:
            weight *= _trust(abs(residual) / clip)
        x1 = model.start_up / expected
        x2 = 0.0 if size < INFORMS_BANDWIDTH_BYTES else 1 - x1
        total += weight
        weighted = weight * residual
        squares += weighted * residual
        a11 += weight * x1 * x1
        a12 += weight * x1 * x2
        a22 += weight * x2 * x2
        b1 += weighted * x1
        b2 += weighted * x2
    determinant = a11 * a22 - a12 * a12
    step1 = (b1 * a22 - b2 * a12) / determinant
    step2 = (b2 * a11 - b1 * a12) / determinant
    stepped = model.scaled(_limited(step1), _limited(step2))
    return stepped, Evidence(a11, a12, a22, total, squares)


def _limited(step: float) -> float:
    return max(-STEP_MAX, min(STEP_MAX, step))


def _trust(excess: float) -> float:
    """Return the part that a residual counts: 1 up to the clip, 0 from far outside."""
    if excess <= 1:
        return 1.0
    return max(0.0, (FORGOTTEN_AT - excess) / (FORGOTTEN_AT - 1)) / excess


def spreads(evidence: Evidence) -> tuple[float, float]:
    """Return p90 over p50 of the start-up and of the bytes.

    One transfer's spread, and of the parameters' own variance what does not cancel. The
    residuals' spread counts the samples that the parameters have not used up.
    """
    a11, a12, a22, weight, squares = evidence
    determinant = a11 * a22 - a12 * a12
    unused = a22 * START_UP_RIDGE + a11 * PER_BYTE_RIDGE
    free = max(0.0, weight - 2 + unused / determinant)
    known = SPREAD_SAMPLES * SPREAD_DEVIATION**2 + squares
    variance = max(SPREAD_MIN**2, known / (SPREAD_SAMPLES + free))
    part = UNKNOWN_PART * variance / determinant
    start_up, per_byte = variance + part * a22, variance + part * a11
    return (
        math.exp(P90_DEVIATIONS * math.sqrt(start_up)),
        math.exp(P90_DEVIATIONS * math.sqrt(per_byte)),
    )
