"""Files for their owner only, such as those that hold a secret."""

import os
from pathlib import Path

from placement.durable import sync_directory


def write_private(path: Path, text: str) -> None:
    """Put *text* at *path* in one step, readable by its owner only.

    It is on the disk when this returns, and so is its name.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)
