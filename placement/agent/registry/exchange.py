"""One request to a registry and its answer, with who we are worked out on the way."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from placement import __version__
from placement.agent.registry.credentials import Authority
from placement.agent.registry.errors import (
    NotThereError,
    RegistryError,
    RegistryRefusedError,
    RegistryUnreachableError,
)
from placement.agent.registry.redirects import is_own, sent
from placement.agent.registry.retry_after import retry_after_s
from placement.agent.registry.settings import RegistrySettings

USER_AGENT: Final = f"placement-replicator/{__version__}"
"""By this the registries' notifications tell our requests from uses."""
TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
"""Seconds without a byte, either way, after which a registry counts as gone."""
BODY_SHOWN: Final = 200
REFUSALS: Final = (401, 403)


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of a registry; *expected* are the statuses that answer it."""

    method: str
    url: str
    scope: str
    """``repository:NAME:pull,push``, as token services write it; empty: none."""
    expected: tuple[int, ...] = (200,)
    headers: Mapping[str, str] | None = None
    content: bytes | AsyncIterator[bytes] | None = None
    timeout: httpx.Timeout = field(default_factory=lambda: TIMEOUT)


class Exchange:
    """Sends calls by one connection pool; redirects to storage are followed."""

    def __init__(
        self, settings: RegistrySettings, http: httpx.AsyncClient, authority: Authority
    ) -> None:
        """Send by *http* to the registry of *settings* with what *authority* says."""
        self._settings = settings
        self._http = http
        self._authority = authority

    @asynccontextmanager
    async def answered(self, call: Call) -> AsyncIterator[httpx.Response]:
        """Give the answer to *call*, whose body is still to be read.

        Raises RegistryUnreachableError, RegistryRefusedError, NotThereError and, for
        any other unexpected status, RegistryError; the first also while the body is
        read.
        """
        response: httpx.Response | None = None
        try:
            once = hasattr(call.content, "__anext__")
            header = self._authority.known(call.scope)
            if once and header is None:
                header = await self._authority.ready(call.scope)
            response = await self._send(call, header)
            own = is_own(response.url, self._settings)  # not what it redirected us to
            if own and response.status_code == httpx.codes.UNAUTHORIZED:
                challenges = response.headers.get_list("WWW-Authenticate")
                header = await self._authority.learned(challenges, call.scope, header)
                if header is not None and not once:
                    await response.aclose()
                    response = await self._send(call, header)
            if response.status_code not in call.expected:
                raise await _unexpected(call, response)
            yield response
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            message = f"{call.method} {call.url}: {error!r}"
            raise RegistryUnreachableError(message, url=call.url) from error
        finally:
            if response is not None:
                await response.aclose()

    async def _send(self, call: Call, authorization: str | None) -> httpx.Response:
        headers = dict(call.headers or {})
        if authorization is not None:
            headers["Authorization"] = authorization
        request = self._http.build_request(
            call.method,
            call.url,
            headers=headers,
            content=call.content,
            timeout=call.timeout,
        )
        return await sent(self._http, request, self._settings)


async def _unexpected(call: Call, response: httpx.Response) -> RegistryError:
    """Return the error that the status of *response* stands for."""
    status = response.status_code
    text = ""
    if call.method != "HEAD" and "Content-Encoding" not in response.headers:
        async for chunk in response.aiter_bytes(BODY_SHOWN):
            text = chunk[:BODY_SHOWN].decode("utf-8", "replace")
            break
    message = f"{call.method} {call.url} answered {status} {text}".rstrip()
    kind: type[RegistryError] = RegistryError
    if status == httpx.codes.NOT_FOUND:
        kind = NotThereError
    elif status in REFUSALS:
        kind = RegistryRefusedError
    error = kind(message, url=call.url, status=str(status))
    if kind is RegistryError and 400 <= status < 500 and status not in (408, 429):  # noqa: PLR2004 - HTTP
        error.retryable = False
    error.retry_after_s = retry_after_s(response.headers)
    return error
