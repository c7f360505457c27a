"""What a router is told: its region, its patience, its disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from placement.core.event import Name
from placement.core.topology import Region

NOBODY: Final = Name("")
SPOOL_BYTES_MAX: Final = 16 << 30
"""Content on its way through, all flights together; more is streamed without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """One router. Files of content on its way are made under *directory*."""

    region: Region
    directory: Path
    host: str = "127.0.0.1"
    port: int = 0
    source_seconds: float = 0.4
    """For a registry to begin its answer; then the next one is asked as well."""
    stall_seconds: float = 1.0
    """Without a byte in the middle of a body; then another source goes on."""
    redirect_user_agents: tuple[str, ...] = ("containerd/",)
    """Clients that log in at wherever they are redirected to: prefixes."""
    origin: Region | None = None
    """The registry to ask when all else fails; None: the catalogue's home."""
    fills: bool = True
    """Whether content from elsewhere is kept in the region's own registry."""
    spool_bytes_max: int = SPOOL_BYTES_MAX
    cert_file: Path | None = None
    key_file: Path | None = None
    publisher: Name = NOBODY
    """Who reports, as the log shall name it."""

    def redirects(self, user_agent: str) -> bool:
        """Say whether such a client follows a redirect with credentials of its own."""
        lower = user_agent.lower()
        return lower.startswith(tuple(p.lower() for p in self.redirect_user_agents))
