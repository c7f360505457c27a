"""Carries out removals: the manifest by its digest, then the registry's garbage.

A registry keeps the bytes of what was removed until its garbage is collected. That is
the operator's command, run while we copy nothing. Afterwards we look whether the
registry still claims to have what is gone: one that keeps blob descriptors in memory
does, lets pushes skip those blobs, and holds broken images after its next start.
"""

import asyncio
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from placement.agent.quiet import Quiet
from placement.agent.registry.client import Registry
from placement.agent.registry.errors import (
    ContentDamagedError,
    NotThereError,
    RegistryError,
    RegistryUnreachableError,
)
from placement.agent.replicator.copying import MANIFEST_KINDS, read_content
from placement.agent.replicator.duties import Assigned, Removal
from placement.agent.replicator.flights import ATTEMPTS_MAX, wait_seconds
from placement.agent.replicator.telling import Teller
from placement.core.errors import PlacementError
from placement.core.event import ContentEvicted
from placement.core.facts.values import Text
from placement.core.oci import Descriptor, Digest, Repository, content_kind

COLLECT_SECONDS_MAX: Final = 600.0
"""For the garbage to be collected; then the command is killed."""
QUIET_SECONDS_MAX: Final = 3600.0
"""For a moment in which nothing is copied."""
OUTPUT_BYTES_MAX: Final = 4096
"""Of the command's output that the log shows: its end."""
REMOVALS_MAX: Final = 1024
"""Between two collections; more are removed, and not looked after."""
BLOBS_LOOKED_AT_MAX: Final = 1024
READY_MAX: Final = 1024

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Removed:
    own_id: str
    """Of the decision: the same may leave several regions, and one of them twice."""
    repository: Repository
    digest: Digest
    references: tuple[Descriptor, ...]


class Evictor:
    """Removes what is decided, in the order in which it was."""

    def __init__(
        self,
        own: Registry,
        teller: Teller,
        quiet: Quiet,
        collect_command: Sequence[str],
        chance: Callable[[], float],
    ) -> None:
        """Remove from *own*; no *collect_command*: somebody else collects."""
        self.removals: Counter[str] = Counter()
        """What came of them since the start: removed, absent, failed, not_made."""
        self.collections: Counter[str] = Counter()
        """Of garbage, since the start: collected, failed."""
        self._own = own
        self._teller = teller
        self._quiet = quiet
        self._command = tuple(collect_command)
        self._chance = chance
        self._ready: deque[Assigned] = deque()
        self._arrived = asyncio.Event()
        self._withdrawn: set[str] = set()
        self._removed: list[_Removed] = []

    async def add(self, assigned: Assigned) -> None:
        """Let a removal wait for its turn; beyond READY_MAX it comes again later."""
        if len(self._ready) >= READY_MAX:
            await assigned.again(wait_seconds(ATTEMPTS_MAX, self._chance()))
            return
        self._ready.append(assigned)
        self._arrived.set()

    def withdraw(self, own_id: str) -> None:
        """Do not carry out what may be waiting under this id."""
        if any(one.duty.own_id == own_id for one in self._ready):
            self._withdrawn.add(own_id)

    async def run(self) -> None:
        """Remove, and collect the garbage whenever nothing more is to be removed.

        What was left when it ended before is done first.
        """
        if self._ready or self._removed:
            self._arrived.set()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._ready:
                assigned = self._ready.popleft()
                if isinstance(assigned.duty, Removal):
                    await self._carry_out(assigned, assigned.duty)
            if self._removed:
                await self._collect()

    async def _carry_out(self, assigned: Assigned, removal: Removal) -> None:
        over = removal.expire_time_ns
        late = over is not None and over <= self._teller.clock()
        if removal.own_id in self._withdrawn or late:
            self._withdrawn.discard(removal.own_id)
            self.removals["not_made"] += 1
            log.info("removal_not_made", eviction_id=removal.own_id, late=late)
            await assigned.done()
            return
        try:
            await self._remove(removal)
        except PlacementError as error:
            self.removals["failed"] += 1
            log.warning("removal_failed", digest=removal.digest, error=str(error))
            final = isinstance(error, RegistryError) and not error.retryable
            if final:
                await assigned.done()
            else:
                await assigned.again(wait_seconds(removal.attempt, self._chance()))
        except Exception:  # one removal's bug must not keep the others
            self.removals["failed"] += 1
            log.exception("removal_broken", digest=removal.digest)
            await assigned.again(wait_seconds(removal.attempt, self._chance()))
        else:
            await assigned.done()

    async def _remove(self, removal: Removal) -> None:
        repository, digest = removal.repository, removal.digest
        references: tuple[Descriptor, ...] = ()
        is_blob = False
        with suppress(NotThereError, ContentDamagedError):
            manifest = await read_content(self._own, repository, Descriptor(digest))
            is_blob = manifest is None
            references = () if manifest is None else manifest.references
        delete = self._own.delete_blob if is_blob else self._own.delete_manifest
        there = await delete(repository, digest)
        fact = ContentEvicted(
            repository=repository,
            digests=(digest,),
            reason=Text(removal.reason),
            eviction_id=removal.eviction_id,
        )
        await self._teller.tell([(f"{removal.own_id} evicted", fact)])
        self.removals["removed" if there else "absent"] += 1
        log.info("content_evicted", repository=repository, digest=digest, there=there)
        if len(self._removed) < REMOVALS_MAX:
            self._removed.append(
                _Removed(removal.own_id, repository, digest, references)
            )

    async def _collect(self) -> None:
        """Run the operator's command and say what left by it."""
        if not self._command:
            self._removed.clear()
            return
        try:
            async with self._quiet.alone(QUIET_SECONDS_MAX):
                collected = await self._run_command()
        except TimeoutError:
            self.collections["failed"] += 1
            log.warning("garbage_not_collected", reason="copies never ended")
            return  # after the next removal
        self.collections["collected" if collected else "failed"] += 1
        if collected:
            removed, self._removed = self._removed, []
            for one in removed:
                try:
                    await self._look_after(one)
                except PlacementError as error:
                    log.warning("garbage_not_looked_after", error=str(error))

    async def _run_command(self) -> bool:
        """Return whether the command ended well, within its time."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # so that what it starts can be ended with it
            )
        except OSError as error:
            log.error("garbage_not_collected", reason=str(error))  # noqa: TRY400 - the reason says all
            return False
        try:
            async with asyncio.timeout(COLLECT_SECONDS_MAX):
                output = await _end_of(process.stdout)
                code = await process.wait()
        except TimeoutError:
            log.error("garbage_not_collected", reason="out of time")  # noqa: TRY400 - the reason says all
            return False
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        level = log.info if code == 0 else log.error
        level("garbage_collected", exit_code=code, output=output)
        return code == 0

    async def _look_after(self, removed: _Removed) -> None:
        """Report blobs that left, and shout if the registry still claims one.

        What an index refers to are manifests, which no registry calls blobs.
        """
        gone: list[Digest] = []
        for blob in removed.references[:BLOBS_LOOKED_AT_MAX]:
            if content_kind(blob.media_type) in MANIFEST_KINDS:
                if await self._own.find_manifest(removed.repository, blob.digest):
                    continue
                gone.append(blob.digest)
                continue
            claimed = await self._own.find_blob(removed.repository, blob.digest)
            if claimed is not None and await self._readable(removed, blob.digest):
                continue
            if claimed is not None:
                log.error(
                    "descriptor_cache_trapped",
                    repository=removed.repository,
                    digest=blob.digest,
                    remedy="the registry says that it has what it collected, and the "
                    "next push will skip it: restart the registry now, and take "
                    "storage.cache.blobdescriptor out of its configuration",
                )
            gone.append(blob.digest)
        if gone:
            fact = ContentEvicted(
                repository=removed.repository,
                digests=tuple(gone),
                reason=Text("garbage-collected"),
            )
            name = " ".join([removed.own_id, "collected", *gone])
            await self._teller.tell([(name, fact)])

    async def _readable(self, removed: _Removed, digest: Digest) -> bool:
        """Return whether the blob's bytes can be had, and not only its name.

        In the trap docker-registry 2.8 answers a GET with 200 and hangs up.
        """
        try:
            async with self._own.open_blob(removed.repository, digest) as opened:
                async for _ in opened.chunks:
                    return True
        except NotThereError:
            pass
        except RegistryUnreachableError:
            await self._own.reachable()  # else it is simply gone
        return False


async def _end_of(stream: asyncio.StreamReader | None) -> str:
    """Return the end of what a command says, however much that is."""
    assert stream is not None, "it was opened with a pipe"
    kept = b""
    while chunk := await stream.read(OUTPUT_BYTES_MAX):
        kept = (kept + chunk)[-OUTPUT_BYTES_MAX:]
    return kept.decode("utf-8", "replace")
