"""Figures of a test run, for docs/faults.md: shown by ``pytest -rP``."""

import json
from typing import Final

SEEDS_RUN: Final = "seeds_run"
"""What tests record of the simulator: how many seeds, and their processor time in s."""


def tell(what: str, **figures: float | str) -> None:
    """Print *figures* of *what* on one line, with so many digits as people read."""
    told = {
        name: round(each, 3) if isinstance(each, float) else each
        for name, each in figures.items()
    }
    print(f"figures of {what}: {json.dumps(told)}")  # noqa: T201 - that is what it is for
