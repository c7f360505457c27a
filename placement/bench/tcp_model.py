"""Transfers over measured paths by a model of TCP that is not the estimator's own.

Slow start, round by round, up to a window and to the path's capacity; no affine form.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from importlib.resources import files
from statistics import NormalDist
from typing import Final

from placement.bench.transfers import Transfer

STREAMS: Final = 4
FIRST_WINDOW_BYTES: Final = 10 * 1448
"""Ten segments. Source: RFC 6928."""
WINDOW_BYTES: Final = 768 << 10
"""In flight on one stream at the most; on four 3.1 MB, near what policy.md measured."""
RECEIVER: Final = 125e6
"""Bytes per second that the receiver takes: 1 Gbit/s. Measured were far bigger ones."""
EXCHANGES: Final = 3
"""A registry's answer (401), a token, and the storage that it redirects to ..."""
SHAKES: Final = 3
"""... in round trips each: TCP, TLS 1.3, request."""
SERVER_SECONDS: Final = 0.2
"""What the three servers take to answer, in all."""
SIZE_MIN_BYTES: Final = 1e6
SIZE_MAX_BYTES: Final = 1e9
SIZES: Final = 10

_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Path:
    """A measured path: seconds > 0, bytes per second > 0 over 64 streams."""

    source: str
    target: str
    round_trip: float
    throughput: float


def chance(*names: object) -> float:
    """Return a number above 0 and below 1 that *names* alone decide, on any machine."""
    text = "\0".join(str(name) for name in names)
    drawn = int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big")
    return (drawn + 0.5) / 2**48


def measured_paths() -> list[Path]:
    """Return the carried paths; data/network/README.md says where they are from."""
    file = files("placement") / "data" / "network" / "paths.csv"
    return [
        Path(
            row["source_region"],
            row["target_region"],
            float(row["round_trip_ms"]) / 1e3,
            float(row["throughput_mbps"]) * 1e6 / 8,
        )
        for row in csv.DictReader(file.read_text("utf-8").splitlines())
    ]


def transfer_seconds(path: Path, size_bytes: int) -> float:
    """Return how long *size_bytes* > 0 take over *path*, in seconds, without jitter."""
    capacity = min(path.throughput, RECEIVER)
    sent, rounds, window = 0.0, 0, float(FIRST_WINDOW_BYTES)
    full = min(WINDOW_BYTES, capacity * path.round_trip / STREAMS)
    share = size_bytes / STREAMS
    while window < full and sent + window < share:
        sent += window
        window *= 2
        rounds += 1
    rate = full / path.round_trip if window >= full else capacity / STREAMS
    waited = (EXCHANGES * SHAKES + rounds) * path.round_trip
    return SERVER_SECONDS + waited + (share - sent) / rate


def generated_transfers(sigma: float, seed: str = "1") -> Iterator[Transfer]:
    """Yield transfers over every carried path; *sigma* >= 0 is the jitter's.

    Sizes are log-uniform, and the same for all sources of a target, so that these can
    be compared. The same arguments give the same transfers.
    """
    span = math.log(SIZE_MAX_BYTES / SIZE_MIN_BYTES)
    for path in measured_paths():
        for number in range(SIZES):
            part = chance(seed, "size", path.target, number)
            size = round(SIZE_MIN_BYTES * math.exp(part * span))
            drawn = chance(seed, "jitter", path.source, path.target, number)
            jitter = math.exp(sigma * _NORMAL.inv_cdf(drawn))
            usual = transfer_seconds(path, size)
            yield Transfer(path.source, path.target, size, usual * jitter, usual)
