"""One data directory belongs to one service: a lock that the kernel lets go of."""

import fcntl
import os
from pathlib import Path
from typing import Final

from placement.ports import LogConfigurationError

LOCKS: Final = Path("/proc/locks")


def lock_holder(lock_file: Path) -> int | None:
    """Return the process that holds *lock_file*, which is left alone; None: nobody.

    As the kernel lists its locks. 0 is one that cannot be named: of another container.
    """
    try:
        number, locks = lock_file.stat().st_ino, LOCKS.read_text("ascii")
    except OSError:
        return None
    for line in locks.splitlines():
        _, kind, _, _, process, file, *_ = line.split()
        if kind == "FLOCK" and file.rpartition(":")[2] == str(number):
            return max(0, int(process))
    return None


def lock_data_directory(data_directory: Path, lock_file: Path) -> int:
    """Own *data_directory* until the returned descriptor is closed, or we end.

    *lock_file* lies in it and holds the owner's process id. Raises
    LogConfigurationError when another service owns it, or it is unusable.
    """
    try:
        lock_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"data directory {data_directory} cannot be used: {error}"
        raise LogConfigurationError(message, field="data_dir") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        owner = lock_file.read_text(encoding="ascii").strip() or "unknown"
        message = (
            f"data directory {data_directory} belongs to another running service "
            f"(process {owner}): stop it, or give this one another data_dir"
        )
        raise LogConfigurationError(
            message, field="data_dir", process_id=owner
        ) from error
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
