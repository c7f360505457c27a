"""Names of files that outlast a power failure."""

import os
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Have the disk keep which files are in *directory*; raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
