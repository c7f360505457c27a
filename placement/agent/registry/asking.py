"""What every part of a registry's API needs: who asks, where, and how."""

from typing import Final, Self

import httpx

from placement.agent.registry.credentials import Authority, Own, Passed
from placement.agent.registry.errors import RegistryError
from placement.agent.registry.exchange import Call, Exchange
from placement.agent.registry.settings import RegistrySettings
from placement.core.oci import Digest, Repository, Tag

LISTING_BYTES_MAX: Final = 16 << 20
COUNT_DIGITS_MAX: Final = 18
PLAIN: Final = "identity"
SHOWN_LENGTH: Final = 40


class Asking:
    """A registry at one address, as somebody who asks it."""

    def __init__(
        self,
        settings: RegistrySettings,
        http: httpx.AsyncClient,
        authority: Authority | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Ask by *http*; without an *authority*, as ourselves by *settings*.

        *transport* is what *http* sends by, for whoever sends without it.
        """
        self.settings = settings
        self._http = http
        self._transport = transport
        self._exchange = Exchange(settings, http, authority or Own(settings, http))

    def passing(self, authorization: str | None) -> Self:
        """Return the same registry, asked with somebody else's rights."""
        passed = Passed(authorization)
        return type(self)(self.settings, self._http, passed, self._transport)

    async def reachable(self) -> None:
        """Return if the registry speaks the API; one that wants to know us does."""
        call = Call("GET", f"{self.settings.base}/v2/", "", (200, 401))
        async with self._exchange.answered(call):
            pass

    async def admitted(self) -> None:
        """Return if the registry lets us in by our credentials."""
        call = Call("GET", f"{self.settings.base}/v2/", "")
        async with self._exchange.answered(call):
            pass

    def manifest_url(self, repository: Repository, reference: Digest | Tag) -> str:
        """Return where a manifest is."""
        return f"{self.settings.base}/v2/{repository}/manifests/{reference}"

    def blob_url(self, repository: Repository, digest: Digest) -> str:
        """Return where a blob is."""
        return f"{self.settings.base}/v2/{repository}/blobs/{digest}"


def pulls(repository: Repository) -> str:
    """Return the scope of reading *repository*."""
    return f"repository:{repository}:pull"


def pushes(repository: Repository) -> str:
    """Return the scope of reading and writing *repository*."""
    return f"repository:{repository}:pull,push"


async def whole(response: httpx.Response, bytes_max: int) -> bytes:
    """Return the body of *response*; raises RegistryError if it is longer.

    Or if it is compressed, which was not asked for: a little may become any amount.
    """
    encoding = response.headers.get("Content-Encoding", PLAIN)
    if encoding.lower() != PLAIN:
        message = f"{response.url} came as {encoding[:SHOWN_LENGTH]}, unasked"
        raise RegistryError(message, url=str(response.url))
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > bytes_max:
            message = f"{response.url} is longer than {bytes_max} bytes"
            raise RegistryError(message, url=str(response.url))
    return bytes(body)


def count_of(text: str) -> int:
    """Return a header's number; 0 when it is none, or larger than any content."""
    plain = text.isascii() and text.isdigit() and len(text) <= COUNT_DIGITS_MAX
    return int(text) if plain else 0
