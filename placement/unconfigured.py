"""What is configured, as far as that can be told in no time: the service's address.

Reading a configuration costs a third of a second, and most who ask a service on their
machine have none.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CONFIG_FILE: Final = Path("placement.toml")
"""Read when it is in the working directory and no other file is named."""
PREFIX: Final = "PLACEMENT_"
LISTEN: Final = "127.0.0.1:7450"
"""Where a service listens that was told nothing."""
_SERVER: Final = f"{PREFIX}SERVER"
_REGIONS_KEY: Final = "regions_file"
_REGIONS: Final = f"{PREFIX}REGIONS_FILE"
_PLAIN_ADDRESS: Final = re.compile(r"[A-Za-z0-9.-]{1,253}:([0-9]{1,4}|[1-5][0-9]{4})")
"""One that needs no second look; of any other the configuration says what is wrong."""


def server_alone(file: Path | None, overrides: Mapping[str, object]) -> str | None:
    """Return where the service is, if nothing else is configured; None if anything is.

    *file* and *overrides* are as ``config.load_config`` takes them, which has to be
    asked after None.
    """
    if file is not None or overrides or CONFIG_FILE.exists():
        return None
    ours = {name for name in os.environ if name.upper().startswith(PREFIX)}
    if ours - {_SERVER}:
        return None
    server = os.environ.get(_SERVER, "")
    return (
        (server or LISTEN) if not server or _PLAIN_ADDRESS.fullmatch(server) else None
    )


def catalogue_file(file: Path | None, overrides: Mapping[str, object]) -> Path | None:
    """Return which region catalogue is configured; None: none, or nobody can tell.

    A guess for those who cannot wait for ``config.load_config``: nothing is checked.
    """
    told = overrides.get(_REGIONS_KEY) or os.environ.get(_REGIONS)
    if not told:
        try:
            told = tomllib.loads((file or CONFIG_FILE).read_text("utf-8"))[_REGIONS_KEY]
        except (OSError, ValueError, KeyError):
            return None
    return Path(str(told))
