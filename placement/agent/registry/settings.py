"""Where a registry is and who we are to it."""

from dataclasses import dataclass, field
from pathlib import Path

from placement.core.topology import Region


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """One registry. Secrets are never shown; *ca_file* is of its authorities, PEM."""

    region: Region
    url: str
    """Scheme, host and port, such as ``https://registry.iad.example.com``."""
    user: str = ""
    """For basic authentication, and for the token service that the registry names."""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    """A bearer token to be sent as it is, instead of user and password."""
    token_realms: tuple[str, ...] = ()
    """Token services that may be given our password, besides the registry's own host:
    their addresses, as a challenge names them. A registry that names any other gets
    no credentials from us."""
    storage_hosts: tuple[str, ...] = ()
    """Where reads of blobs may be redirected to although that is no public address:
    HOST or HOST:PORT."""
    ca_file: Path | None = None

    @property
    def base(self) -> str:
        """The address without a slash at its end."""
        return self.url.rstrip("/")
