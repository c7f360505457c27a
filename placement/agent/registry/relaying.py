"""Somebody else's requests, sent on as they are: every status is an answer."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from placement.agent.registry.asking import Asking
from placement.agent.registry.errors import RegistryUnreachableError
from placement.agent.registry.exchange import TIMEOUT
from placement.agent.registry.redirects import RedirectRefusedError, sent

LATIN: Final = "latin-1"
"""As servers give the bytes of a header, which need not be ASCII."""
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

    async def relay(self, relayed: Relayed) -> httpx.Response:
        """Return the answer, whatever its status, its body still to be read.

        Our own credentials are not used. Redirects of reads to the registry's storage
        are followed. The caller closes the response. Raises RegistryUnreachableError,
        also where they lead to where it has no business.
        """
        headers = {"Accept-Encoding": "identity", **relayed.headers}
        told = [(name.encode(), value.encode(LATIN)) for name, value in headers.items()]
        try:
            request = self._http.build_request(
                relayed.method,
                f"{self.settings.base}{relayed.path}",
                headers=told,
                content=relayed.content,
                timeout=relayed.timeout,
            )
            response = await sent(self._http, request, self.settings)
        except (*BROKEN, RedirectRefusedError) as error:
            message = f"{relayed.method} {self.settings.base}{relayed.path}: {error!r}"
            raise RegistryUnreachableError(message) from error
        response.headers.encoding = LATIN
        return response
