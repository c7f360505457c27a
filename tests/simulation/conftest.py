"""Simulated runs share this: the garbage collector looks as seldom as in a service."""

import gc
from collections.abc import Iterator

import pytest

from placement.app import GARBAGE_THRESHOLDS


@pytest.fixture(scope="module", autouse=True)
def _seldom_looks() -> Iterator[None]:
    """Leave alone what is loaded, as ``placement serve`` does: a tenth of the time."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
