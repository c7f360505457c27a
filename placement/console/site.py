"""What the console's pages are made from."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final

from placement.api.reading import Reader
from placement.console.keeping import Keeper
from placement.core.reporting.prices import Prices
from placement.core.state import State
from placement.core.topology import Topology
from placement.ports import LogUnavailableError, Message
from placement.runtime.evidence import ReadMessage
from placement.runtime.planner import Planner
from placement.runtime.view import Basis, View

READ_DEADLINE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was last saved of the state."""

    sequence: int = 0
    saved_ns: int = 0
    """0: nothing yet."""


Past = Callable[[str], AbstractAsyncContextManager[View]]
"""Gives the state at a point of the log, for as long as a block lasts.

The point is in a reader's words: a sequence, or a time.
"""


async def _no_log(sequence: int) -> Message | None:
    """Read a message of the log, where there is none to be read."""
    message = f"message {sequence} cannot be read: the console has no log"
    raise LogUnavailableError(message)


def _no_checkpoint() -> Checkpoint:
    return Checkpoint()


def _none() -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Workings:
    """What a page may say of the service's own parts; each is asked when it is read."""

    planner: Planner | None = None
    watch_count: Callable[[], int] = _none
    checkpoint: Callable[[], Checkpoint] = _no_checkpoint
    log: Mapping[str, str] = field(default_factory=dict)
    """Where the log is, and what it is called, by what people call that."""


@dataclass(frozen=True, slots=True)
class Site:
    """All that pages read: the state, by way of *reader*; prices; what else works."""

    reader: Reader
    prices: Prices = field(default_factory=Prices)
    workings: Workings = field(default_factory=Workings)
    keeper: Keeper = field(default_factory=Keeper)
    """What was made a moment ago, for all who look."""
    stored: ReadMessage = _no_log
    """Reads a message of the log."""
    past: Past | None = None
    """None: answers are about now alone."""

    @property
    def view(self) -> View:
        """Return what the projector writes and answers read."""
        return self.reader.view

    @property
    def state(self) -> State:
        """Return what is folded now."""
        return self.reader.state

    @property
    def topology(self) -> Topology:
        """Return the region catalogue."""
        return self.reader.topology

    def basis(self) -> Basis:
        """Return what a page made now rests on."""
        return self.view.basis()


def site_of(
    view: View,
    topology: Topology,
    prices: Prices,
    workings: Workings | None = None,
    stored: ReadMessage = _no_log,
) -> Site:
    """Return a site that reads *view*, and the log by *stored*."""
    reader = Reader(view, topology, READ_DEADLINE_S)
    return Site(reader, prices, workings or Workings(), stored=stored)
