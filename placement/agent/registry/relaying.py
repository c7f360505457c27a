"""Somebody else's requests, sent on as they are: every status is an answer.

They are sent by the transport itself, without httpx's client around it: merged
addresses, cookies and more that nobody needs here would be a fifth of the processor
time of a blob that is passed on. A registry that redirects is asked by the client,
which follows.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from placement.agent.registry.asking import Asking
from placement.agent.registry.errors import RegistryUnreachableError
from placement.agent.registry.exchange import TIMEOUT, USER_AGENT
from placement.agent.registry.redirects import READS, RedirectRefusedError, sent

LATIN: Final = "latin-1"
"""As servers give the bytes of a header, which need not be ASCII."""
PLAIN_HEADERS: Final = {
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "User-Agent": USER_AGENT,
}
"""What is said where the sender says nothing else."""
BROKEN: Final = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)


@dataclass(frozen=True, slots=True)
class Relayed:
    """One request to be sent on; *path* begins with /v2/ and may have a query."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Everything that is to be sent, the sender's own Authorization with it."""
    content: bytes | AsyncIterator[bytes] | None = None
    timeout: httpx.Timeout = field(default_factory=lambda: TIMEOUT)


class Relaying(Asking):
    """How requests are sent on, with the sender's rights alone."""

    _redirects = False
    """Whether the registry was seen to redirect."""

    async def relay(self, relayed: Relayed) -> httpx.Response:
        """Return the answer, whatever its status, its body still to be read.

        Our own credentials are not used. Redirects of reads to the registry's storage
        are followed. The caller closes the response. Raises RegistryUnreachableError,
        also where they lead to where it has no business.
        """
        try:
            response = await self._relayed(relayed)
        except (*BROKEN, RedirectRefusedError) as error:
            message = f"{relayed.method} {self.settings.base}{relayed.path}: {error!r}"
            raise RegistryUnreachableError(message) from error
        response.headers.encoding = LATIN
        return response

    async def _relayed(self, relayed: Relayed) -> httpx.Response:
        given = {name.lower() for name in relayed.headers}
        plain = {n: v for n, v in PLAIN_HEADERS.items() if n.lower() not in given}
        headers = {**plain, **relayed.headers}
        told = [(name.encode(), value.encode(LATIN)) for name, value in headers.items()]
        url = f"{self.settings.base}{relayed.path}"
        method, content = relayed.method, relayed.content
        reads = method in READS
        if self._transport is not None and not (reads and self._redirects):
            timeout = {"timeout": relayed.timeout.as_dict()}
            request = httpx.Request(
                method, url, headers=told, content=content, extensions=timeout
            )
            response = await self._transport.handle_async_request(request)
            response.request = request
            if not (reads and response.has_redirect_location):
                return response
            await response.aclose()
            self._redirects = True
        request = self._http.build_request(
            method, url, headers=told, content=content, timeout=relayed.timeout
        )
        return await sent(self._http, request, self.settings)
