"""Checkpoints in which even a small state has many pages, deltas and saved slots."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch


@contextmanager
def small_pages() -> Iterator[None]:
    """Let states that are made meanwhile be saved in tiny pieces."""
    with (
        patch("placement.core.tables.rows.CHUNK_ROWS", 4),
        patch("placement.core.tables.slots.PAGE_LINES", 8),
        patch("placement.core.tables.saved._SAVED_LINES", 1),
        patch("placement.core.tables.pages._WHOLE_ROWS", 0),
        patch("placement.core.tables.pages._LOOK_PAGES", 2),
        patch("placement.core.tables.pages._SMALL_ROWS", 2),
        patch("placement.core.tables.pages._SMALL_MAX", 3),
        patch("placement.core.tables.pages.DELTA_ROWS", 3),
    ):
        yield
