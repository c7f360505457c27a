"""The garbage collector, kept out of the way of what lives for long.

It looks through all objects to find those that hold each other, of which there are few
here: while a log is read, that takes a fifth of the time.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

THRESHOLDS: Final = (20_000, 20, 100)
"""What is new is looked at after so many objects, what is older after so many looks."""


def leave_alone_what_is_loaded() -> None:
    """Look at what is new alone from now on, and seldom.

    With ten million digests a look at everything would take seconds to find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


@contextmanager
def seldom_looked_at() -> Iterator[None]:
    """Let the collector look seldom within the block: one at a time in a process."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
