"""Files for their owner only, such as those that hold a secret."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Put *text* at *path* in one step, readable by its owner only."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
