"""What every request passes first: who asks, by which name, and what may be asked.

And what every answer carries: headers that let a browser do only what pages need.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from placement.api.authority.caller import (
    TRUSTED,
    Denials,
    MethodForbiddenError,
)
from placement.api.authority.identity import IdentityUnknownError, identity_of
from placement.core.errors import PlacementError
from placement.hosting import CERTIFICATE

ALLOWED: Final = ("GET", "HEAD")
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
DEFAULTS: Final[Mapping[str, str]] = {"cache-control": "no-store"}
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:]+)(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Rules:
    """Whom the console answers."""

    loopback: bool
    """Whether only this machine reaches it: then only under names of this machine."""
    trust_domain: str = ""
    """Whose names in certificates say who asks; empty: nobody is asked."""
    denials: Denials | None = None
    """Where it is counted who may not read it."""


class Guarded:
    """An app behind the rules; what they forbid never reaches it."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        """Let through to *app* what *rules* allow."""
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                for name, value in DEFAULTS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refusal(scope)
        answer = self._app if refused is None else refused
        await answer(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        if scope["method"] not in ALLOWED:
            said = "the console only shows: ask with GET or HEAD\n"
            return PlainTextResponse(said, 405, {"allow": ", ".join(ALLOWED)})
        host = Headers(scope=scope).get("host", "")
        if self._rules.loopback and not is_own_name(host):
            said = "this console is of this machine alone: ask 127.0.0.1 or localhost\n"
            return PlainTextResponse(said, 421)
        try:
            self._check_caller(scope)
        except PlacementError as error:
            remedy = "use a certificate of an analyst, operator or service"
            return PlainTextResponse(f"{error}: {remedy}\n", 403)
        return None

    def _check_caller(self, scope: Scope) -> None:
        """Raise PlacementError unless who asks may have the whole state read."""
        rules = self._rules
        if not rules.trust_domain:
            return
        names = scope.get(CERTIFICATE, {}).get("subjectAltName", ())
        uris = tuple(name.encode() for kind, name in names if kind == "URI")
        dns = tuple(name.encode() for kind, name in names if kind == "DNS")
        identity = None
        try:
            identity = identity_of(rules.trust_domain, uris, dns)
            if identity.organization is not None or identity.role not in TRUSTED:
                raise MethodForbiddenError(identity, "the console")  # noqa: TRY301 - counted below
        except (IdentityUnknownError, MethodForbiddenError) as error:
            if rules.denials is not None:
                rules.denials.deny(identity, error)
            raise


def is_own_name(host: str) -> bool:
    """Say whether a Host header names this machine by what no foreign name can be.

    A page of somebody else whose name was made to lead here would come with its name.
    """
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found[1].lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
