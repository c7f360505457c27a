"""One scan over a whole registry, repository by repository, from where it stopped."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Final

import structlog

from placement.agent.inventory.known import Held
from placement.agent.inventory.position import Position, PositionFile
from placement.agent.inventory.repository import Means, RepositoryScan, Tally
from placement.agent.inventory.settings import (
    CONTENTS_MAX,
    FAILURES_IN_A_ROW_MAX,
    LISTING_PAGES_MAX,
    REPOSITORIES_MAX,
)
from placement.agent.registry.errors import RegistryError
from placement.core.errors import PlacementError
from placement.core.oci import Digest, Repository

FLUSH_COUNT: Final = 64
"""So many contents are worth a page, and so long they may wait for more."""
FLUSH_SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


class Scan:
    """Reads what is left of a scan, and moves its position on."""

    def __init__(self, means: Means, file: PositionFile, position: Position) -> None:
        """Go on from *position*, which is changed on the way and kept in *file*."""
        self._means = means
        self._known = means.known
        self._file = file
        self._position = position
        self._failures_in_a_row = 0
        self._failed_count = 0
        """Of them, those that the position does not count yet."""
        self._heard = True
        """Whether what is believed to be there could be told so far."""
        self._flushed_s = time.monotonic()

    async def read(self) -> None:
        """Report all that the registry holds, and what it does not hold any more.

        Raises RegistryError when one repository after the other fails, and whatever
        reporting raises.
        """
        await self._means.asker.ask(self._means.registry.reachable)
        await self._catalogued()
        await self._uncatalogued()
        position = self._position
        position.failed_count += self._failed_count
        await self._means.pages.flush(complete=not position.failed_count)
        position.page_count = self._means.pages.page_count
        position.finished = True
        await self._file.keep(position)

    async def _catalogued(self) -> None:
        """Read every repository of the catalogue after the position."""
        async for name in self._names(self._position.after):
            tally = await self._one(name, partial(self._listed, name))
            if tally is not None:
                await self._advance(name)

    async def _uncatalogued(self) -> None:
        """Look for what is believed to be in repositories that are no more."""
        names = {name async for name in self._names("")}
        if not self._heard:
            return
        try:
            async with aclosing(self._known.replicas()) as replicas:
                gone: dict[Digest, int] = {}
                before: Repository | None = None
                async for held in replicas:
                    if held.repository in names:
                        continue
                    if before is not None and held.repository != before:
                        await self._gone(before, gone)
                        gone = {}
                    before = held.repository
                    _keep(gone, held)
                if before is not None:
                    await self._gone(before, gone)
        except RegistryError:
            raise
        except PlacementError as error:
            self._unheard(error)

    async def _gone(self, name: Repository, held: dict[Digest, int]) -> None:
        scan = RepositoryScan(self._means, name, held)
        await self._one(name, scan.look_for_the_rest)

    async def _listed(self, name: Repository) -> Tally:
        return await RepositoryScan(self._means, name, await self._held(name)).read()

    async def _held(self, name: Repository) -> dict[Digest, int]:
        """Return what is believed to be in a repository, with sizes."""
        found: dict[Digest, int] = {}
        if self._heard:
            try:
                async with aclosing(self._known.replicas(name)) as replicas:
                    async for held in replicas:
                        _keep(found, held)
            except RegistryError:
                raise
            except PlacementError as error:
                self._unheard(error)
        return found

    def _unheard(self, error: PlacementError) -> None:
        """Go on without: what is there is told, and nothing is missed."""
        self._heard = False
        self._failed_count += 1
        log.warning("replicas_unheard", reason=error.reason, error=str(error))

    async def _names(self, after: str) -> AsyncIterator[Repository]:
        """Yield the catalogue after a repository."""
        count = 0
        for _ in range(LISTING_PAGES_MAX):
            page = await self._means.asker.ask(
                partial(self._means.registry.repositories, after)
            )
            for name in page.names:
                count += 1
                if count > REPOSITORIES_MAX:
                    message = f"more than {REPOSITORIES_MAX} repositories"
                    raise RegistryError(message)
                yield name
            if page.next_after is None or page.next_after == after:
                return
            after = page.next_after

    async def _one(
        self, name: Repository, read: Callable[[], Awaitable[Tally]]
    ) -> Tally | None:
        """Read one repository; None when it failed. Raises after too many in a row."""
        try:
            tally = await read()
        except RegistryError as error:
            self._failures_in_a_row += 1
            self._failed_count += 1
            log.warning(
                "repository_failed",
                repository=name,
                reason=error.reason,
                error=str(error),
            )
            if self._failures_in_a_row >= FAILURES_IN_A_ROW_MAX:
                raise
            return None
        self._failures_in_a_row = 0
        position = self._position
        position.failed_count += self._failed_count + tally.failed_count
        self._failed_count = 0
        position.tag_count += tally.tag_count
        position.content_count += tally.content_count
        position.content_bytes += tally.content_bytes
        position.absence_count += tally.absence_count
        position.removed_tag_count += tally.removed_tag_count
        return tally

    async def _advance(self, name: Repository) -> None:
        """Move the position past *name*, and keep it once all before is reported."""
        pages, position = self._means.pages, self._position
        position.repository_count += 1
        position.after = name
        waited_s = time.monotonic() - self._flushed_s
        if pages.waiting_count < FLUSH_COUNT and waited_s < FLUSH_SECONDS:
            return
        await pages.flush()
        position.page_count = pages.page_count
        await self._file.keep(position)
        self._flushed_s = time.monotonic()


def _keep(found: dict[Digest, int], held: Held) -> None:
    if len(found) >= CONTENTS_MAX:
        message = f"{held.repository} is believed to hold more than {CONTENTS_MAX}"
        raise RegistryError(message, repository=held.repository)
    found[held.digest] = held.size_bytes
