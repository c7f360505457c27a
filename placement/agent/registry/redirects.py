"""Following a registry's redirects: blobs from its storage, all else from itself.

Our credentials are for the registry; httpx leaves them out for any other host.
"""

from typing import Final

import httpx

from placement.agent.registry.errors import RegistryError
from placement.agent.registry.fence import is_named, place_of, storage_of
from placement.agent.registry.settings import RegistrySettings

REDIRECTS_MAX: Final = 5
READS: Final = ("GET", "HEAD")
BLOBS: Final = "/blobs/"


class RedirectRefusedError(RegistryError):
    """A registry sends us where its reads have no business."""

    retryable = False


async def sent(
    http: httpx.AsyncClient, request: httpx.Request, settings: RegistrySettings
) -> httpx.Response:
    """Return the answer to *request*, its body still to be read.

    Redirects of reads are followed, those of writes are answers. Raises what httpx
    raises, and RedirectRefusedError.
    """
    response = await http.send(request, stream=True, follow_redirects=False)
    if request.method not in READS:
        return response
    for _ in range(REDIRECTS_MAX):
        following = response.next_request
        if following is None:
            return response
        await response.aclose()
        _check(request.url, following.url, settings)
        response = await http.send(following, stream=True, follow_redirects=False)
    if response.next_request is None:
        return response
    await response.aclose()
    message = f"{request.url} redirects more than {REDIRECTS_MAX} times"
    raise RedirectRefusedError(message, url=str(request.url))


def is_own(address: httpx.URL, settings: RegistrySettings) -> bool:
    """Say whether *address* is the registry's: by its scheme, its host and its port."""
    own = httpx.URL(settings.base)
    same = address.scheme == own.scheme
    return same and place_of(str(address)) == place_of(settings.base)


def _check(asked: httpx.URL, there: httpx.URL, settings: RegistrySettings) -> None:
    """Raise RedirectRefusedError unless a read of *asked* may go on at *there*."""
    host, port = place_of(str(there))
    if is_own(there, settings):
        return
    named = is_named(storage_of(settings), host, port)  # its own host is not, by itself
    why = ""
    if BLOBS not in asked.path:
        why = "only blobs may be kept elsewhere"
    elif there.userinfo:
        why = "it names a user"
    elif asked.scheme == "https" and there.scheme != "https" and not named:
        why = "it gives up TLS; name the host in storage_hosts if it may"
    if why:
        message = (
            f"{asked} redirects to {there.scheme}://{there.netloc.decode()}: {why}"
        )
        raise RedirectRefusedError(message, url=str(asked))
