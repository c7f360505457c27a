"""How the console is set up."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONNECTIONS_MAX: Final = 64
"""Browsers keep several; more are answered 503."""
STREAMS_MAX: Final = 24
"""Pages that are kept up to date at once; further ones are read as they are."""
FIELD: Final = "console_listen"


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """Where the console listens, and whom it lets in."""

    host: str
    port: int
    """0: any free port."""
    optional: bool = False
    """Go without a console where the port is taken: nobody asked for this one."""
    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    """Who signs clients' certificates; with it every browser needs one."""
    trust_domain: str = ""
    """Whose names in clients' certificates say who they are."""
    look_interval_s: float = 10.0
    """The certificates' files are looked at again so often."""
