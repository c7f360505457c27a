"""Decisions about decisions: what is open and should not be any more is closed."""

from collections.abc import Iterator

from placement.core.deciding.closing import closings, kept_after_all
from placement.core.deciding.desk import Desk
from placement.core.event import Event
from placement.core.tables.table import Row


def upkeep(desk: Desk, target: Row, publisher: str) -> Iterator[Event]:
    """Yield what closes open decisions about *target* that expired, or are needless."""
    yield from closings(desk, target, publisher)
    yield from kept_after_all(desk, target, publisher)
