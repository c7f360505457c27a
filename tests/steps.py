"""What is made in steps between which others run, with all of its steps taken."""

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")


def taken(steps: Generator[None, None, Result]) -> Result:
    """Return what *steps* come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result
