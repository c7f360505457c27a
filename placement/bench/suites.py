"""The suites of the bench by name; each is imported when it is run."""

from collections.abc import Callable
from importlib import import_module
from typing import Final, cast

from placement.bench.measured import Measured
from placement.bench.settings import Settings

SUITES: Final = {
    "fold": "Events folded a second, by facts and by size of the state.",
    "memory": "Bytes that a digest takes, with its keys.",
    "replay": "The log read, decoded and folded, beside a naive reader.",
    "ingest": "Events stored durably a second, beside what the disk can do.",
    "rpc": "Answers a second and their latency, beside an echo server.",
    "batch": "Look-ups a second in packed batches, beside Redis.",
    "watch": "A watcher's first copy and its changes, beside raw bytes.",
    "checkpoint": "Durable checkpoints and their increments, beside a row table.",
    "restart": "From a start with a large checkpoint to the first answer.",
    "bootstrap": "A new service by a peer's checkpoint, beside a replay of the log.",
    "export": "A whole log exported and asked, beside reading it and no more.",
    "planner": "What deciding about a push costs, and how soon it is done.",
    "startup": "From a command to its call, beside a Python that does nothing.",
}
"""Each is a module of this package with a function ``measure``."""

SCALED: Final = frozenset({"bootstrap"})
"""Those that let it be said how large a state they make."""

COUNTED: Final = frozenset({"export"})
"""Those that let it be said how long a log they make."""

Measure = Callable[[Settings], list[Measured]]


def load_suite(name: str) -> Measure:
    """Return what measures the suite *name* of SUITES."""
    assert name in SUITES, name
    return cast("Measure", import_module(f"placement.bench.{name}").measure)
