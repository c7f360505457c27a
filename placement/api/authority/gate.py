"""The gate before every call: who is it, and does the table let them in."""

from typing import Any, Final

from placement.api.authority.caller import (
    CALLER,
    Caller,
    Denials,
    MethodForbiddenError,
)
from placement.api.authority.identity import (
    Identity,
    IdentityUnknownError,
    identity_of,
)
from placement.api.authority.table import may_call
from placement.core.errors import PlacementError

TLS_SPOKEN: Final = [b"TLSv1.3"]


class TlsOutdatedError(PlacementError):
    """The connection is of an older version of TLS than the service speaks."""

    reason = "TLS_OUTDATED"

    def __init__(self) -> None:
        """Say what is spoken here."""
        super().__init__("the service speaks TLS 1.3 alone")


class Gate:
    """Lets a call in by its certificate; a guard, as ``answering`` knows them."""

    def __init__(self, domain: str, denials: Denials) -> None:
        """Believe the names of *domain*, and count in *denials* who is not let in."""
        self._domain = domain
        self._denials = denials

    def enter(self, method: str, context: Any) -> None:  # noqa: ANN401 - of any method
        """Let the caller in; raises PlacementError that says why not."""
        try:
            identity = self._identity(context)
        except (IdentityUnknownError, TlsOutdatedError) as error:
            self._denials.deny(None, error)
        if not may_call(identity, method):
            self._denials.deny(identity, MethodForbiddenError(identity, method))
        CALLER.set(Caller(identity, self._denials))

    def leave(self, method: str, context: Any) -> None:  # noqa: ANN401 - of any method
        """Do nothing: the call's task ends, and with it what it knew of its caller."""

    def _identity(self, context: Any) -> Identity:  # noqa: ANN401 - of any method
        proved = context.auth_context()
        if proved.get("ssl_tls_version") != TLS_SPOKEN:
            raise TlsOutdatedError
        uris, names = proved.get("peer_uri", ()), proved.get("peer_dns", ())
        return identity_of(self._domain, tuple(uris), tuple(names))


class OneTls:
    """A guard of servers that ask nobody who they are: TLS 1.3, and no older one."""

    def __init__(self, denials: Denials) -> None:
        """Count in *denials* who is not let in."""
        self._denials = denials

    def enter(self, method: str, context: Any) -> None:  # noqa: ANN401 - of any method
        """Let the caller in; raises TlsOutdatedError."""
        del method  # whichever it is
        if context.auth_context().get("ssl_tls_version") != TLS_SPOKEN:
            self._denials.deny(None, TlsOutdatedError())

    def leave(self, method: str, context: Any) -> None:  # noqa: ANN401 - of any method
        """Do nothing."""
