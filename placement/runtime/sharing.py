"""Giving this service's checkpoint to others: saved, sealed, copied, and read by few.

The fold stands still, for a fraction of a second, while what changed is saved and the
state is sealed as it lies in memory: so an offer holds a word of the memory itself, by
which the taker finds out whether what was saved is what was meant. Answers go on. The
copy is made while the fold goes on, too; only the next save waits for it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from placement.core.fold import FOLD_VERSION
from placement.core.seal import seal_steps
from placement.offers import (
    CheckpointBusyError,
    CheckpointRefusedError,
    CheckpointUnsharedError,
    HashedChunk,
    Offer,
    SharedCopies,
)
from placement.ports import CheckpointFsyncError, CheckpointHeader
from placement.runtime.keeper import Keeper
from placement.runtime.lines import Lines
from placement.runtime.slices import in_slices
from placement.runtime.view import View

log_events = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SharingSettings:
    """How many may read at once, how fast, and for how long a copy is good."""

    streams_max: int = 2
    """0: nobody may read."""
    bytes_per_second: int = 64 * 1024**2
    """For each reader."""
    fresh_seconds: float = 60.0
    """A copy so young is offered again."""
    keep_seconds: float = 600.0
    """A copy stays for so long after its last reader, who may come again."""


class Sharing:
    """The offers of one service, and who reads them.

    ``counts`` tells how often streams ended whole, broke, and were refused, and how
    many bytes were sent.
    """

    def __init__(
        self,
        make: Callable[[SharedCopies], Awaitable[Offer]],
        copies: SharedCopies,
        settings: SharingSettings,
    ) -> None:
        """Offer what *make* makes in *copies*."""
        self._make = make
        self._copies = copies
        self.settings = settings
        self.counts = Counter(whole=0, broken=0, busy=0, unshared=0, sent_bytes=0)
        self._turn = asyncio.Lock()
        self._offer: Offer | None = None
        self._made_s = 0.0
        self._readers = 0
        self._dropping: asyncio.TimerHandle | None = None
        self._dropped: asyncio.Task[None] | None = None

    @property
    def readers(self) -> int:
        """How many read now."""
        return self._readers

    async def stream(
        self, fold_version: int, checkpoint_id: str, held_count: int
    ) -> AsyncGenerator[Offer | HashedChunk, None]:
        """Yield an offer, and its chunks in order, as Peer.stream says.

        Raises CheckpointUnsharedError, CheckpointBusyError and CheckpointRefusedError.
        """
        if fold_version != FOLD_VERSION:
            why = f"this service folds by version {FOLD_VERSION}, not {fold_version}"
            raise CheckpointRefusedError(why)
        if not self.settings.streams_max:
            why = "this service shares no checkpoint: bootstrap.streams_max is 0"
            raise CheckpointUnsharedError(why)
        if self._readers >= self.settings.streams_max:
            self.counts["busy"] += 1
            why = f"{self._readers} read a checkpoint, and no more may: come again"
            raise CheckpointBusyError(why)
        self._readers += 1
        ended = "broken"
        try:
            offered = await self._offered(checkpoint_id)
            yield offered
            held = held_count if offered.checkpoint_id == checkpoint_id else 0
            async with aclosing(self._copies.read(offered, held)) as batches:
                async for batch in batches:
                    for each in batch:
                        yield each
                        self.counts["sent_bytes"] += len(each.chunk.body)
            ended = "whole"
        except CheckpointUnsharedError:
            ended = "unshared"
            raise
        finally:
            self.counts[ended] += 1
            self._readers -= 1
            self._drop_later()

    async def _offered(self, checkpoint_id: str) -> Offer:
        """Return the offer of that id, if it is there, or the newest one."""
        async with self._turn:
            if self._dropping is not None:
                self._dropping.cancel()
                self._dropping = None
            kept, now_s = self._offer, asyncio.get_running_loop().time()
            if kept is not None:
                asked_for = kept.checkpoint_id == checkpoint_id
                fresh = now_s - self._made_s < self.settings.fresh_seconds
                if asked_for or fresh or self._readers > 1:
                    return kept
            self._offer = None
            self._offer = await self._make(self._copies)
            self._made_s = asyncio.get_running_loop().time()
            return self._offer

    def _drop_later(self) -> None:
        """Delete the copy when nobody has read it for long."""
        if self._readers or self._offer is None:
            return
        loop = asyncio.get_running_loop()
        if self._dropping is not None:
            self._dropping.cancel()
        self._dropping = loop.call_later(self.settings.keep_seconds, self._drop)

    def _drop(self) -> None:
        self._dropping = None
        self._dropped = asyncio.ensure_future(self._drop_in_turn())

    async def _drop_in_turn(self) -> None:
        async with self._turn:
            if not self._readers:  # nor is anybody about to: that comes before a turn
                self._offer = None
                await self._copies.drop()

    async def close(self) -> None:
        """Delete the copy; nobody may read any more."""
        if self._dropping is not None:
            self._dropping.cancel()
        await self._copies.drop()


async def offer_of(parts: tuple[Lines, Keeper, View], copies: SharedCopies) -> Offer:
    """Save, seal and copy what answers come from; raises CheckpointUnsharedError."""
    lines, keeper, view = parts
    began_s = asyncio.get_running_loop().time()
    async with keeper.turn:
        line = lines.to_save
        if line is None or lines.beside is not None or view.epoch_broken:
            why = "its state is being folded again, or is not of the log as it is"
            raise CheckpointUnsharedError(why)
        if not view.ready or not line.state.sequence:
            why = "its state is not folded to the log's end yet"
            raise CheckpointUnsharedError(why)
        state = line.state
        line.hold("sharing", held=True)
        try:
            saved = await keeper.save_in_turn(line) and keeper.is_saved(line)
            if not saved:
                why = "its checkpoint cannot be written now"
                raise CheckpointUnsharedError(why)
            header = CheckpointHeader(
                line.epoch,
                state.sequence,
                state.store_time_ns,
                FOLD_VERSION,
                state.message_hash,
            )
            seal = await in_slices(seal_steps(state))
        except CheckpointFsyncError as error:
            raise CheckpointUnsharedError(str(error)) from error
        finally:
            held_s = asyncio.get_running_loop().time() - began_s
            line.hold("sharing", held=False)
        made = await copies.make(header, seal)
    log_events.info(
        "checkpoint_offered",
        sequence=header.sequence,
        chunks=made.chunk_count,
        bytes=made.body_bytes,
        held_ms=round(1_000 * held_s),
        duration_ms=round(1_000 * (asyncio.get_running_loop().time() - began_s)),
    )
    return made
