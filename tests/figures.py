"""Figures of a test run, for docs/faults.md: shown by ``pytest -rP``."""

import json


def tell(what: str, **figures: float | str) -> None:
    """Print *figures* of *what* on one line, with so many digits as people read."""
    told = {
        name: round(each, 3) if isinstance(each, float) else each
        for name, each in figures.items()
    }
    print(f"figures of {what}: {json.dumps(told)}")  # noqa: T201 - that is what it is for
