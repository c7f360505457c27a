"""Whether a blob that a registry says it has can be read: one byte tells."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import NotThereError, RegistryUnreachableError
from placement.core.oci import Digest, Repository

READ_ATTEMPTS: Final = 2
"""Of a byte that was promised and did not come."""

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class Ask(Protocol):
    """Asks a registry patiently: ``Asker.ask``."""

    async def __call__(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """Return what *request* does; raises RegistryError."""


class Probe:
    """Reads from blobs of one repository, as little as there is."""

    def __init__(self, registry: Registry, ask: Ask, repository: Repository) -> None:
        """Read from *repository* by *ask*."""
        self._registry = registry
        self._ask = ask
        self._repository = repository

    async def readable(self, digest: Digest, size_bytes: int) -> int | None:
        """Return *size_bytes* if the last byte can be read; None when it is not there.

        A registry that remembers blobs answers a HEAD for those that garbage collection
        took; whatever nothing leads to is likely to be one. Distribution then promises
        the byte too, and hangs up. A registry that is ending does the same, so it has
        to do that every time, and to answer again afterwards.
        """
        try:
            for _ in range(READ_ATTEMPTS):
                if await self._ask(partial(self._reads, digest, size_bytes)):
                    return size_bytes
        except NotThereError:
            return None
        await self._ask(self._registry.reachable)
        log.warning("blob_unreadable", repository=self._repository, digest=digest)
        return None

    async def _reads(self, digest: Digest, size_bytes: int) -> bool:
        """Say whether the last byte of what the registry promises comes."""
        promised = False
        start = max(0, size_bytes - 1)
        opening = self._registry.open_blob(self._repository, digest, start)
        try:
            async with opening as opened:
                promised = True
                async for chunk in opened.chunks:
                    if chunk:
                        return True
        except RegistryUnreachableError:
            if not promised:
                raise
            return False
        return size_bytes == 0
