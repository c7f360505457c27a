"""One blob's bytes from whichever source has them, verified before the last leaves.

A cut is survived by asking for the rest, at the same source and then at the next,
while whoever takes the bytes waits. The last bytes are held back until the digest of
the whole was found right: a damaged blob is never stored.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import structlog

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import ContentDamagedError
from placement.agent.registry.reading import Opened
from placement.agent.replicator.budgets import Budgets
from placement.agent.replicator.failures import CopyFailedError, at_source
from placement.agent.replicator.progress import Progress
from placement.core.facts.values import FailureCause
from placement.core.oci import Descriptor, Repository

CUTS_MAX: Final = 12
"""Of one blob in one attempt."""
CUTS_AT_A_SOURCE_MAX: Final = 2
"""In a row and without a byte between them; then the next source is asked."""
CUTS_AT_THE_LAST_MAX: Final = 4
"""The same of the last source; then the attempt has failed."""
WAIT_FIRST_S: Final = 0.1
WAIT_MAX_S: Final = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Supply:
    """What a stream of bytes depends on besides the blob."""

    sources: Sequence[Registry]
    """The best first."""
    budgets: Budgets
    progress: Progress
    chance: Callable[[], float]


class BlobStream:
    """The bytes of one blob, once; what it has come to can be read afterwards."""

    def __init__(
        self, repository: Repository, blob: Descriptor, supply: Supply
    ) -> None:
        """Read *blob*, whose size is known, from *repository* at a source."""
        self._repository = repository
        self._blob = blob
        self._supply = supply
        self._sources = list(supply.sources)
        self._hash = hashlib.new(blob.digest.partition(":")[0])
        self._silent_cuts = 0
        self.position = 0
        self.cut_count = 0
        self.waited = False
        """Whether a budget, and not the link, said how fast it was."""

    @property
    def source(self) -> Registry:
        """The source that is asked now, or was last."""
        return self._sources[0]

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the blob's bytes; raises CopyFailedError instead of the last ones."""
        while self.position < self._blob.size_bytes:
            before = self.position
            try:
                async with aclosing(self._part()) as part:
                    async for chunk in part:
                        yield chunk
            except CopyFailedError as error:
                self._cut(error, progressed=self.position > before)
                await self._pause()

    async def _part(self) -> AsyncGenerator[bytes, None]:
        """Yield what one request brings, from where we are."""
        blob, source = self._blob, self.source
        with at_source():
            async with source.open_blob(
                self._repository, blob.digest, self.position
            ) as opened:
                self._supply.progress.source_region = source.settings.region
                async with aclosing(_from(opened, self.position)) as rest:
                    async for chunk in rest:
                        await self._let_in(chunk)
                        yield chunk
            if self.position < blob.size_bytes:
                message = (
                    f"{source.settings.region} has {self.position} bytes of "
                    f"{blob.digest}, not {blob.size_bytes}"
                )
                raise ContentDamagedError(message, digest=blob.digest)

    async def _let_in(self, chunk: bytes) -> None:
        """Count and verify *chunk*; raises ContentDamagedError."""
        supply, blob = self._supply, self._blob
        region = self.source.settings.region
        waited = await supply.budgets.admitted(region, len(chunk), supply.progress)
        self.waited |= waited
        self.position += len(chunk)
        self._hash.update(chunk)
        over = self.position > blob.size_bytes
        whole = self.position == blob.size_bytes
        algorithm = blob.digest.partition(":")[0]
        found = f"{algorithm}:{self._hash.hexdigest()}" if whole else ""
        if over or (whole and found != blob.digest):
            message = f"{region} sent other bytes than those of {blob.digest}"
            raise ContentDamagedError(message, digest=blob.digest)
        supply.progress.moved_bytes += len(chunk)
        supply.progress.under_way[blob.digest] = (blob, self.position)

    def _cut(self, error: CopyFailedError, *, progressed: bool) -> None:
        """Choose where to go on after *error*, or raise it."""
        if error.cause is FailureCause.CONTENT_CORRUPT:
            raise error
        self.cut_count += 1
        self._supply.progress.cut_count += 1
        self._silent_cuts = 1 if progressed else self._silent_cuts + 1
        others = len(self._sources) > 1
        most = CUTS_AT_A_SOURCE_MAX if others else CUTS_AT_THE_LAST_MAX
        log.info(
            "blob_cut",
            digest=self._blob.digest,
            source=self.source.settings.region,
            position=self.position,
            cut_count=self.cut_count,
            error=str(error),
        )
        if not error.retryable or self._silent_cuts >= most:
            if not others:
                raise error
            del self._sources[0]
            self._silent_cuts = 0
        if self.cut_count > CUTS_MAX:
            raise error

    async def _pause(self) -> None:
        """Wait a while that doubles, of which chance takes up to a half."""
        if self._silent_cuts:
            longest = min(WAIT_MAX_S, WAIT_FIRST_S * 2**self._silent_cuts)
            await asyncio.sleep(longest * (0.5 + 0.5 * self._supply.chance()))


async def _from(opened: Opened, position: int) -> AsyncGenerator[bytes, None]:
    """Yield what comes from *position* on, if the source began before it."""
    skip = position - opened.start
    async for chunk in opened.chunks:
        rest = chunk[skip:] if skip else chunk
        skip = max(0, skip - len(chunk))
        if rest:
            yield rest
