"""What nats-py forgets when a task is cancelled at the wrong moment."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise CancelledError at the end if the task was cancelled within the block.

    ``asyncio.wait_for`` of Python 3.11, by which nats-py waits for answers, returns the
    answer of a task that is cancelled just as it comes, and forgets the cancellation
    (bpo-42130): the task would then run on, and whoever ends it would wait forever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    yield
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
