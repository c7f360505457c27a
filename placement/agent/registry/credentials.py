"""Who we are to a registry: basic credentials, or tokens from the service it names."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx

from placement.agent.registry.challenges import Challenge, parse_challenges
from placement.agent.registry.errors import (
    RegistryRefusedError,
    RegistryUnreachableError,
)
from placement.agent.registry.settings import RegistrySettings

TOKEN_SECONDS_LEAST: Final = 60
"""A token that says nothing of its life, or less, lives so long.

Source: distribution/distribution, docs/content/spec/auth/token.md, ``expires_in``.
"""
TOKEN_SECONDS_SPARED: Final = 10
"""A token is not used in the last seconds of its life: a long upload needs it."""
TOKENS_KEPT: Final = 4096
TOKEN_ANSWER_SECONDS: Final = 10.0
TOKEN_BYTES_MAX: Final = 256 << 10
"""Of a whole answer; real ones take a few kilobytes."""
UNTOLD: Final = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    RecursionError,
    ValueError,
)
"""How asking for a token fails, besides taking too long."""


class Authority(Protocol):
    """Says what to send as Authorization."""

    def known(self, scope: str) -> str | None:
        """Return the header for *scope*, if it is known; asks nobody."""

    async def ready(self, scope: str) -> str | None:
        """Return the header for *scope*, asking for it where we know whom to ask.

        For what can be sent once only. Raises as ``learned`` does.
        """

    async def learned(
        self, challenges: Iterable[str], scope: str, sent: str | None
    ) -> str | None:
        """Return the header that answers *challenges*; None: there is none to give.

        *sent* is what was refused. Raises RegistryRefusedError and
        RegistryUnreachableError.
        """


class Passed:
    """What somebody else sent us, passed on as it is: their rights, not ours."""

    def __init__(self, header: str | None) -> None:
        """Keep *header*; None: they sent none."""
        self._header = header or None

    def known(self, scope: str) -> str | None:
        """Return the header that was sent."""
        del scope
        return self._header

    async def ready(self, scope: str) -> str | None:
        """Return the header that was sent."""
        return self.known(scope)

    async def learned(
        self, challenges: Iterable[str], scope: str, sent: str | None
    ) -> str | None:
        """Return None: the challenge is theirs to answer."""
        del challenges, scope, sent
        return None


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    end_s: float


class Own:
    """Our own credentials at one registry; tokens are kept as long as they live."""

    def __init__(
        self,
        settings: RegistrySettings,
        http: httpx.AsyncClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Answer challenges by *settings*; *http* asks token services."""
        self._settings = settings
        self._http = http
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self._asking = asyncio.Lock()
        """Who needs the same token at once waits for the first to have it."""
        self._basic = False
        """Whether the registry was seen to ask for basic authentication."""
        self._bearer: Challenge | None = None
        """The token service that the registry was seen to name."""

    def known(self, scope: str) -> str | None:
        """Return the header for *scope*, if it is known."""
        if self._settings.token:
            return f"Bearer {self._settings.token}"
        if self._basic:
            return self._basic_header()
        token = self._tokens.get(scope)
        return token.header if token and token.end_s > self._clock() else None

    async def ready(self, scope: str) -> str | None:
        """Return the header for *scope*, from the token service if we know that."""
        header = self.known(scope)
        if header is None and self._bearer is not None:
            header = await self._fresh(self._bearer, scope, sent=None)
        return header

    async def learned(
        self, challenges: Iterable[str], scope: str, sent: str | None
    ) -> str | None:
        """Return the header that answers one of *challenges*, and was not *sent*."""
        if self._settings.token:
            return None  # it was sent, and refused
        known = parse_challenges(challenges)
        for challenge in known:
            if challenge.scheme == "bearer" and challenge.realm:
                self._bearer = challenge
                self._basic = False  # or it would be sent in place of every token
                return await self._fresh(challenge, scope, sent)
        if any(c.scheme == "basic" for c in known) and self._settings.user:
            self._basic = True
            header = self._basic_header()
            return None if header == sent else header
        return None

    async def _fresh(self, challenge: Challenge, scope: str, sent: str | None) -> str:
        """Return a token other than what was *sent*; one flight for all who wait."""
        async with self._asking:
            header = self.known(scope)
            if header is None or header == sent:
                header = await self._fetched(challenge, scope)
            return header

    def _basic_header(self) -> str:
        request = httpx.Request("GET", self._settings.base)
        auth = httpx.BasicAuth(self._settings.user, self._settings.password)
        return next(auth.auth_flow(request)).headers["Authorization"]

    async def _fetched(self, challenge: Challenge, scope: str) -> str:
        wanted = scope or challenge.scope
        query = [("service", challenge.service)] if challenge.service else []
        query += [("scope", one) for one in wanted.split()]
        auth = self._auth_for(challenge.realm)
        try:
            async with asyncio.timeout(TOKEN_ANSWER_SECONDS):
                status, answer = await self._told(challenge.realm, query, auth)
        except (*UNTOLD, TimeoutError) as error:
            message = f"no token from {challenge.realm}: {error!r}"
            raise RegistryUnreachableError(message, realm=challenge.realm) from error
        text = answer.get("token") or answer.get("access_token")
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            message = (
                f"{challenge.realm} gave no token for {wanted or 'no scope'} "
                f"({status}): correct the registry's user and password"
            )
            raise RegistryRefusedError(message, realm=challenge.realm)
        self._keep(scope, f"Bearer {text}", answer.get("expires_in"))
        return f"Bearer {text}"

    async def _told(
        self, realm: str, query: list[tuple[str, str]], auth: httpx.BasicAuth | None
    ) -> tuple[int, dict[str, Any]]:
        """Return a token service's status and answer; its redirects are none."""
        async with self._http.stream(
            "GET", realm, params=tuple(query), auth=auth, follow_redirects=False
        ) as response:
            body = bytearray()
            if "Content-Encoding" in response.headers:
                message = "it is compressed, which was not asked for"
                raise ValueError(message)
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > TOKEN_BYTES_MAX:
                    message = f"more than {TOKEN_BYTES_MAX} bytes"
                    raise ValueError(message)
            status = response.status_code
        told = json.loads(body) if status == httpx.codes.OK else {}
        return status, told if isinstance(told, dict) else {}

    def _auth_for(self, realm: str) -> httpx.BasicAuth | None:
        """Return our credentials if the token service at *realm* may have them."""
        if not self._settings.user:
            return None
        own = urlsplit(self._settings.base)
        try:
            asked = urlsplit(realm)
        except ValueError:  # no address at all
            asked = urlsplit("")
        same = (asked.scheme, asked.hostname) == (own.scheme, own.hostname)
        if same or realm in self._settings.token_realms:
            return httpx.BasicAuth(self._settings.user, self._settings.password)
        message = (
            f"the registry {self._settings.base} sends us for a token to {realm}: add "
            "that address to its token_realms if it may have the password"
        )
        raise RegistryRefusedError(message, realm=realm)

    def _keep(self, scope: str, header: str, life: object) -> None:
        stated = life if isinstance(life, int) and not isinstance(life, bool) else 0
        seconds = max(stated, TOKEN_SECONDS_LEAST) - TOKEN_SECONDS_SPARED
        while len(self._tokens) >= TOKENS_KEPT:
            del self._tokens[next(iter(self._tokens))]
        self._tokens.pop(scope, None)
        self._tokens[scope] = _Token(header, self._clock() + seconds)
