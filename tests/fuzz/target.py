"""What a target of hostile input is, and how many inputs are tried on it."""

import atexit
import inspect
import resource
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from placement.core.errors import PlacementError

SEED: Final = 20261130
SECONDS_MAX: Final = 5.0
"""Of CPU time, for one input: far more than any needs, and far less than a hang."""
MEMORY_BYTES_MAX: Final = 512 << 20
"""What the whole process may grow by: a bomb of a thousand to one would take more."""
SHOWN_LENGTH: Final = 4_000


@dataclass(frozen=True, slots=True)
class Target:
    """One part that reads what others wrote."""

    name: str
    count: int
    """How many inputs are tried in the gate; ten times as many in the long run."""
    make: Callable[[Random], Any]
    read: Callable[[Any], Any]
    """May be a coroutine function. Returns, or raises one of *refusals*."""
    refusals: tuple[type[Exception], ...] = (PlacementError,)
    refused_least: float = 0.05
    """Of all inputs; fewer refusals would mean that little was wrong with them."""
    accepted_least: float = 0.005
    """Of all inputs; fewer would mean that nothing came past the first check."""


async def tried(target: Target, count: int) -> Counter[str]:
    """Try *count* inputs on *target*; return how many it took, and how many not.

    Any other exception, and an input that takes too long, fails with its number: the
    input is made from SEED and that alone.
    """
    counts: Counter[str] = Counter(accepted=0, refused=0)
    before = memory_bytes()
    for number in range(count):
        given = target.make(chance_of(number))
        began_s = time.process_time()
        try:
            found = target.read(given)
            if inspect.isawaitable(found):
                found = await found
            counts["refused" if found is False else "accepted"] += 1
        except target.refusals:
            counts["refused"] += 1
        except Exception as error:
            raise AssertionError(_told(target, number, given)) from error
        took_s = time.process_time() - began_s
        assert took_s < SECONDS_MAX, f"{took_s} s for {_told(target, number, given)}"
    grown = memory_bytes() - before
    assert grown < MEMORY_BYTES_MAX, f"{target.name} took {grown} bytes"
    return counts


def own_directory() -> Path:
    """Return a directory that is gone once this process is."""
    directory = Path(tempfile.mkdtemp(prefix="placement-fuzz-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def chance_of(number: int) -> Random:
    """Return what input *number* is made by."""
    return Random(SEED + number)


def memory_bytes() -> int:
    """Return the most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _told(target: Target, number: int, given: object) -> str:
    shown = repr(given)[:SHOWN_LENGTH]
    return f"{target.name}, seed {SEED}, input {number}: {shown}"
