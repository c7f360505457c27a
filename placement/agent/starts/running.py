"""All schedulers of an agent, followed and counted for ever.

One reader's failure stops nobody else: it is told in the log, and the reader begins
anew after a while.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from placement.agent.registry.client import Registry
from placement.agent.starts.counting import Machine, MachineCounter
from placement.agent.starts.sightings import Find
from placement.agent.starts.streams import Backoff
from placement.agent.starts.telling import Teller
from placement.core.oci import Digest, Repository, Tag

log = structlog.get_logger(__name__)


class Reader(Protocol):
    """One scheduler: ``KubernetesReader``, ``NomadReader``."""

    async def run(self) -> None:
        """Tell of starts and stops until cancelled."""

    def machines(self) -> AsyncIterator[Machine]:
        """Yield every machine that runs now; raises PlacementError."""


class Schedulers:
    """Follows all of an agent's schedulers."""

    def __init__(
        self,
        readers: Sequence[Reader],
        teller: Teller,
        now_ns: Callable[[], int],
        count_seconds: float | None,
    ) -> None:
        """Follow *readers*; count every *count_seconds*, or never."""
        self._teller = teller
        self._runs: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            (type(reader).__name__, reader.run) for reader in readers
        ]
        if readers and count_seconds is not None:
            listers = [reader.machines for reader in readers]
            counter = MachineCounter(listers, teller, now_ns, count_seconds)
            self._runs.append((type(counter).__name__, counter.run))

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, run in self._runs:
                group.create_task(self._kept_running(name, run))

    async def _kept_running(
        self, name: str, run: Callable[[], Awaitable[None]]
    ) -> None:
        backoff = Backoff(self._teller.chance)
        while True:
            try:
                await run()
            except Exception:
                log.exception("scheduler_reader_failed", reader=name)
            await backoff.wait()


def tags_of(registry: Registry) -> Find:
    """Return who is asked for the digests of tags: *registry* itself."""

    async def find(repository: Repository, tag: Tag) -> Digest | None:
        found = await registry.find_manifest(repository, tag)
        return found.digest if found is not None else None

    return find
