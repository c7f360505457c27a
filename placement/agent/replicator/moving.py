"""Moves one blob into our registry: there already, mounted, or streamed across."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import structlog

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import RegistryRefusedError
from placement.agent.replicator.budgets import Budgets
from placement.agent.replicator.duties import Lookup
from placement.agent.replicator.failures import CopyFailedError, at_source, at_target
from placement.agent.replicator.progress import Lanes, Progress, Transfer
from placement.agent.replicator.streaming import BlobStream, Supply
from placement.agent.replicator.waiting import FIRST
from placement.agent.underway import Underway
from placement.core.errors import PlacementError
from placement.core.facts.values import FailureCause
from placement.core.oci import Descriptor, Digest, Repository

MOUNTS_TRIED_MAX: Final = 2
ORIGINS_KEPT: Final = 2**14
"""Blobs of which we remember a repository of our registry that has them."""
CANCEL_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


class Mover:
    """Makes sure that a blob is in a repository of our registry; one flight a blob."""

    def __init__(
        self,
        target: Registry,
        lookup: Lookup,
        budgets: Budgets,
        chance: Callable[[], float],
        underway: Underway,
    ) -> None:
        """Move into *target*; *underway* knows what others bring there."""
        self._target = target
        self._lookup = lookup
        self._budgets = budgets
        self._chance = chance
        self._lanes = Lanes()
        self._origins: OrderedDict[Digest, Repository] = OrderedDict()
        self._underway = underway
        self._holders: dict[Digest, Progress] = {}
        """The copy that moves a blob just now, where one does."""

    async def ensure(
        self,
        repository: Repository,
        blob: Descriptor,
        sources: Sequence[Registry],
        progress: Progress,
    ) -> None:
        """Return once *blob* is in *repository*, verified; raises CopyFailedError."""
        holder = self._holders.get(blob.digest)
        if holder is not None:  # it must not be slower than who waits for it
            holder.hurry(progress.rank)
        digest = blob.digest
        moving = self._underway.held(
            digest, lambda: progress.hurry(FIRST), lambda: progress.come(digest)
        )
        async with moving, self._held(blob.digest, progress):
            with at_target():
                size = await self._target.find_blob(repository, blob.digest)
            if size is None:
                blob = await self._sized(repository, blob, sources)
                address = await self._mounted(repository, blob, sources)
                if address:
                    await self._moved(repository, blob, address, sources, progress)
                await self._verify(repository, blob)
                if address:  # what was lent nobody has verified
                    self._underway.proven.stored(repository, blob.digest)
            elif not blob.size_bytes:
                blob = replace(blob, size_bytes=size)
            self._remember(repository, blob.digest)
            progress.arrived.append(blob)

    @asynccontextmanager
    async def _held(self, digest: Digest, progress: Progress) -> AsyncIterator[None]:
        self._holders[digest] = progress
        try:
            yield
        finally:
            del self._holders[digest]

    async def _sized(
        self, repository: Repository, blob: Descriptor, sources: Sequence[Registry]
    ) -> Descriptor:
        """Return *blob* with its size, which a source knows if its name alone came."""
        if blob.size_bytes:
            return blob
        for source in sources:
            with suppress(CopyFailedError), at_source():
                size = await source.find_blob(repository, blob.digest)
                if size is not None:
                    return replace(blob, size_bytes=size)
        message = f"no source has {blob.digest}"
        cause = FailureCause.CONTENT_GONE
        raise CopyFailedError(message, cause, retryable=False)

    async def _mounted(
        self, repository: Repository, blob: Descriptor, sources: Sequence[Registry]
    ) -> str:
        """Return empty if another repository lent it, else the address of an upload.

        A manifest may name what its repository never had: whoever wrote it would be
        given another tenant's bytes. So only what a source has in that repository is
        lent.
        """
        address = ""
        lenders = self._lenders(repository, blob.digest)
        if lenders and not await self._is_given(repository, blob.digest, sources):
            lenders = []
        for origin in lenders:
            if address:
                await self._forget(repository, address)
                address = ""
            try:
                with at_target():
                    address = await self._target.mount(repository, blob.digest, origin)
            except CopyFailedError as error:
                if not isinstance(error.__cause__, RegistryRefusedError):
                    raise
                continue  # we may not read that repository
            if not address:
                log.debug("blob_mounted", digest=blob.digest, origin=origin)
                return ""
        if not address:
            with at_target():
                address = await self._target.begin_upload(repository)
        return address

    async def _is_given(
        self, repository: Repository, digest: Digest, sources: Sequence[Registry]
    ) -> bool:
        for source in sources:
            with suppress(CopyFailedError), at_source():
                if await source.find_blob(repository, digest) is not None:
                    return True
        return False

    def _lenders(self, repository: Repository, digest: Digest) -> list[Repository]:
        """Return repositories that may have the blob, the surest first."""
        known = self._origins.get(digest)
        named = [known] if known else []
        named += self._lookup.mountable(digest)
        others = [one for one in dict.fromkeys(named) if one != repository]
        return others[:MOUNTS_TRIED_MAX]

    async def _moved(
        self,
        repository: Repository,
        blob: Descriptor,
        address: str,
        sources: Sequence[Registry],
        progress: Progress,
    ) -> None:
        """Stream *blob* from the first source whose bytes are right."""
        left = list(sources)
        while True:
            supply = Supply(left, self._budgets, progress, self._chance)
            stream = BlobStream(repository, blob, supply)
            try:
                await self._streamed(repository, blob, address, stream, progress)
            except CopyFailedError as error:
                left.remove(stream.source)
                if error.cause is not FailureCause.CONTENT_CORRUPT or not left:
                    raise
                log.warning("blob_damaged", digest=blob.digest, error=str(error))
                with at_target():
                    address = await self._target.begin_upload(repository)
            else:
                return

    async def _streamed(
        self,
        repository: Repository,
        blob: Descriptor,
        address: str,
        stream: BlobStream,
        progress: Progress,
    ) -> None:
        region = stream.source.settings.region
        with self._lanes.entered(region):
            begun_ns, beside = time.monotonic_ns(), self._lanes.count(region)
            try:
                async with aclosing(stream.chunks()) as chunks:
                    with at_target():
                        await self._target.finish_upload(
                            repository, address, blob, chunks
                        )
            except BaseException:
                await self._forget(repository, address)
                raise
            finally:
                progress.under_way.pop(blob.digest, None)
            beside = max(beside, self._lanes.count(region))
        if not stream.cut_count and not stream.waited:
            took_ns = time.monotonic_ns() - begun_ns
            progress.transfers.append(
                Transfer(blob.digest, region, stream.position, took_ns, beside)
            )

    async def _verify(self, repository: Repository, blob: Descriptor) -> None:
        """Raise CopyFailedError unless our registry says that it has the blob."""
        with at_target():
            size = await self._target.find_blob(repository, blob.digest)
        if size != blob.size_bytes:
            message = f"our registry took {blob.digest} and says its size is {size}"
            raise CopyFailedError(message, FailureCause.TARGET)

    async def _forget(self, repository: Repository, address: str) -> None:
        """Let our registry forget an upload; it would do so by itself, days later."""
        with suppress(PlacementError, TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                await self._target.cancel_upload(repository, address)

    def _remember(self, repository: Repository, digest: Digest) -> None:
        self._origins[digest] = repository
        self._origins.move_to_end(digest)
        if len(self._origins) > ORIGINS_KEPT:
            self._origins.popitem(last=False)
