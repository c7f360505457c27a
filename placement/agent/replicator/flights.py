"""One content on its way: who wants it, how it comes on, what is told of it."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from placement.agent.registry.client import Registry
from placement.agent.replicator.account import Account
from placement.agent.replicator.copying import Copier, Wanted
from placement.agent.replicator.duties import Assigned, Copy, Lookup
from placement.agent.replicator.failures import CopyFailedError
from placement.agent.replicator.progress import Progress
from placement.agent.replicator.telling import Story, Teller
from placement.agent.replicator.waiting import Key
from placement.core.errors import PlacementError
from placement.core.topology import Region
from placement.tracing import span

REPORT_SECONDS: Final = 2.0
"""How often a copy under way tells how far it is."""
ATTEMPTS_MAX: Final = 6
AGAIN_FIRST_S: Final = 2.0
AGAIN_MAX_S: Final = 300.0
SOURCES_MAX: Final = 5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """Who wants a content: a duty of ours, or somebody who waits for it."""

    assigned: Assigned | None = None
    pull: "asyncio.Future[None] | None" = None

    @property
    def copy(self) -> Copy | None:
        """The decision, where there is one."""
        duty = self.assigned.duty if self.assigned else None
        return duty if isinstance(duty, Copy) else None


@dataclass(frozen=True, slots=True)
class Crew:
    """What every flight needs."""

    own: Region
    registries: Mapping[Region, Registry]
    lookup: Lookup
    copier: Copier
    teller: Teller
    chance: Callable[[], float]
    account: Account


class Flight:
    """Copies one content for all who want it, and settles with each of them."""

    def __init__(
        self, crew: Crew, key: Key, rank: int, requests: Sequence[Request]
    ) -> None:
        """Copy what *key* names; *rank* says how urgently."""
        self._crew = crew
        self.key = key
        self.requests = list(requests)
        self.progress = Progress(rank)
        self.settled = False
        """Whether its decisions need nothing more, well or ill."""

    @property
    def own_ids(self) -> list[str]:
        """The decisions that it carries out."""
        return [one.copy.own_id for one in self.requests if one.copy is not None]

    async def fly(self) -> None:
        """Return once everybody who wanted the content has been answered."""
        copies = [one.copy for one in self.requests if one.copy is not None]
        repository, digest = self.key
        first = copies[0] if copies else None
        name = (
            f"{first.own_id} {first.attempt}"
            if first
            else f"pull {repository} {digest} {self._crew.teller.clock()}"
        )
        story = Story(self._crew.teller, repository, digest, copies, name)
        outcome = "called_off"
        try:
            with span("copy", parent=first.trace if first else ""):
                await self._copied(story, first)
        except CopyFailedError as error:
            outcome = "failed"
            await self._failed(story, error)
        except PlacementError as error:  # it could not be reported: all is repeated
            outcome = "untold"
            log.warning("copy_not_told", digest=digest, error=str(error))
            await self.again(error)
        else:
            self.settled = True
            for one in self.requests:
                if one.assigned is not None:
                    await one.assigned.done()
                if one.pull is not None and not one.pull.done():
                    one.pull.set_result(None)
            outcome = "completed"
        finally:
            account = self._crew.account
            account.copies[outcome] += 1
            account.moved_bytes += self.progress.moved_bytes
            account.resumed += self.progress.cut_count

    def abandon(self) -> None:
        """Let go of who waits: we are stopping."""
        for one in self.requests:
            if one.pull is not None:
                one.pull.cancel()

    async def _copied(self, story: Story, first: Copy | None) -> None:
        repository, digest = self.key
        sources = self._sources(first)
        wanted = Wanted(
            repository,
            digest,
            first.media_type if first else "",
            sources,
            self.progress,
            first is not None and first.is_blob,
        )
        begun_ns = time.monotonic_ns()
        await story.begun(sources[0].settings.region if sources else None)
        telling = asyncio.create_task(self._keep_telling(story))
        try:
            manifests = await self._crew.copier.copy(wanted)
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
        took_ns = time.monotonic_ns() - begun_ns
        await story.ended(self.progress, manifests, took_ns)
        self._crew.account.took.add(took_ns)
        log.info(
            "copy_completed",
            repository=repository,
            digest=digest,
            source=self.progress.source_region,
            moved_bytes=self.progress.moved_bytes,
            duration_ms=took_ns // 1_000_000,
        )

    def _sources(self, first: Copy | None) -> list[Registry]:
        """Return registries to copy from: the decided one, the known, then the rest."""
        crew = self._crew
        decided = [first.source_region] if first and first.source_region else []
        named = [*decided, *crew.lookup.sources(*self.key), *crew.registries]
        regions = [one for one in dict.fromkeys(named) if one != crew.own]
        found = [crew.registries[one] for one in regions if one in crew.registries]
        return found[:SOURCES_MAX]

    async def _keep_telling(self, story: Story) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            try:
                await story.came_on(self.progress)
            except PlacementError as error:
                log.warning("progress_not_told", error=str(error))

    async def _failed(self, story: Story, error: CopyFailedError) -> None:
        """Tell what was copied all the same, and why not all was."""
        repository, digest = self.key
        log.warning(
            "copy_failed",
            repository=repository,
            digest=digest,
            cause=error.cause.name,
            retryable=error.retryable,
            error=str(error),
        )
        try:
            await story.came_on(self.progress)
            await story.failed(error, ATTEMPTS_MAX)
        except PlacementError as untold:
            await self.again(untold)
            return
        if error.retryable:
            await self.again(error)
            return
        self.settled = True
        for one in self.requests:
            if one.assigned is not None:
                await one.assigned.done()
        self._refuse(error)

    async def again(self, error: PlacementError) -> None:
        """Let what was decided come again, as long as that is worth it."""
        for one in self.requests:
            copy = one.copy
            if one.assigned is None or copy is None:
                continue
            told = isinstance(error, CopyFailedError)
            if told and copy.attempt >= ATTEMPTS_MAX:
                await one.assigned.done()
                continue
            await one.assigned.again(wait_seconds(copy.attempt, self._crew.chance()))
        self._refuse(error)

    def _refuse(self, error: PlacementError) -> None:
        """Raise *error* where somebody waits: they have somewhere else to go."""
        for one in self.requests:
            if one.pull is not None and not one.pull.done():
                one.pull.set_exception(error)


def wait_seconds(attempt: int, chance: float) -> float:
    """Return how long to wait after an attempt; chance, 0 to 1, takes up to a half."""
    longest = min(AGAIN_MAX_S, AGAIN_FIRST_S * 2.0 ** min(attempt - 1, 30))
    return longest * (0.5 + 0.5 * chance)
