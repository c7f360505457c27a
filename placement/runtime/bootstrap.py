"""Beginning from a peer's checkpoint instead of the log's first message.

Asked for once, when the log is reached and what this service has is not enough: it has
no state, the log no longer holds what its state lacks, or that is very much. Nothing
that a peer says is believed: every chunk is held against its hash, all of them against
the offer's id, the offer against our own log (its identity, and the message that was
folded last), and the loaded state against the seal of the peer's memory. Then it is
adopted, in one rename. Whatever is wrong is said, and the next peer is asked; when
none is left, the log is folded from where it would have been without all this.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import structlog

from placement.core.fold import FOLD_VERSION
from placement.core.seal import seal_steps
from placement.core.state import State
from placement.offers import (
    CheckpointRefusedError,
    HashedChunk,
    Offer,
    Peer,
    PeerError,
    Staging,
)
from placement.ports import (
    CheckpointDamagedError,
    CheckpointHeader,
    CheckpointUnwritableError,
    EventLog,
)
from placement.runtime.checkpoint import Restored
from placement.runtime.epochs import Breach, Standing
from placement.runtime.offered import foreign, useless
from placement.runtime.slices import in_slices

BATCH_BYTES: Final = 8 * 1024**2
"""So much is received before it is written."""
ATTEMPTS_MAX: Final = 6
"""So often in a row a peer may give nothing at all."""
RETRY_SECONDS: Final = 1.0

log_events = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class BootstrapSettings:
    """When a peer is asked, and what is taken from it."""

    behind_messages: int = 10_000_000
    """A state that lacks more of the log is replaced, if a peer has a newer one."""
    seconds_max: float = 600.0
    """For all of it; then the log is folded."""
    bytes_max: int = 64 * 1024**3
    retry_seconds: float = RETRY_SECONDS


@dataclass(slots=True)
class Received:
    """How far a checkpoint is received, for people."""

    peer: str
    received_bytes: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Adopted:
    """A checkpoint that is ours now, and the state that was made of it."""

    header: CheckpointHeader
    restored: Restored
    state: State


Taken = Callable[[Adopted | None], None]
"""Called with what is the checkpoint now."""


class Bootstrap:
    """Takes a checkpoint from one of several peers.

    ``counts`` tells what came of each peer that was asked, and the bytes received.
    """

    def __init__(
        self,
        peers: Sequence[Peer],
        staging: Staging,
        log: EventLog,
        settings: BootstrapSettings,
    ) -> None:
        """Ask *peers* in their order, and collect what they give in *staging*."""
        self._peers = peers
        self._staging = staging
        self.log = log
        self._settings = settings
        self.received: Received | None = None
        """While one is received: from whom, and how far."""
        self.counts = Counter(adopted=0, refused=0, broken=0, gave_up=0)
        self.received_bytes = 0

    def wants(self, sequence: int, standing: Standing) -> str:
        """Return why a state at *sequence* should come from a peer; empty: it is fine.

        *standing* is how the log stands to that state.
        """
        if not self._peers:
            return ""
        if not sequence:
            return "there is no checkpoint" if standing.status.last_sequence else ""
        if standing.breach in {Breach.TRIMMED, Breach.REPLACED}:
            return standing.why
        behind = standing.status.last_sequence - sequence
        if standing.breach is None and behind > self._settings.behind_messages:
            return f"the checkpoint lacks {behind} messages"
        return ""

    async def adopt(self, why: str, after_sequence: int, taken: Taken) -> bool:
        """Adopt what reaches further than *after_sequence*; say whether anything did.

        *taken* is called once that is the checkpoint, or with None where the one that
        was there is gone and nothing came in its place. All that was wrong is logged.
        """
        log_events.info("bootstrap_began", reason=why, peers=len(self._peers))
        try:
            async with asyncio.timeout(self._settings.seconds_max):
                found = await self._found(after_sequence)
            if found is not None:
                await _whole(self._adopt(*found, taken))
                return True
        except TimeoutError:
            self._gave_up(f"it took {self._settings.seconds_max:g} s")
        except CheckpointUnwritableError as error:
            self._gave_up(str(error))
        finally:
            self.received = None
        await self._staging.clear()
        log_events.warning("bootstrap_ended", remedy="folding the log instead")
        return False

    async def _found(self, after_sequence: int) -> tuple[Offer, Adopted] | None:
        """Return what the first peer gives that may be adopted."""
        for peer in self._peers:
            found = await self._found_at(peer, after_sequence)
            if found is not None:
                return found
        return None

    async def _adopt(self, offered: Offer, adopted: Adopted, taken: Taken) -> None:
        try:
            await self._staging.adopt(offered)
        except BaseException:
            taken(None)
            raise
        taken(adopted)
        self.counts["adopted"] += 1
        log_events.info(
            "bootstrap_adopted",
            sequence=offered.header.sequence,
            bytes=offered.body_bytes,
            received_bytes=self.received_bytes,
        )

    def _gave_up(self, why: str) -> None:
        self.counts["gave_up"] += 1
        log_events.error("bootstrap_gave_up", reason=why)

    async def _found_at(
        self, peer: Peer, after_sequence: int
    ) -> tuple[Offer, Adopted] | None:
        """Return what *peer* gives, however often the connection breaks."""
        failures = 0
        while failures < ATTEMPTS_MAX:
            before = self.received_bytes
            try:
                offered = await self._receive(peer, after_sequence)
                return offered, await self._load(offered)
            except CheckpointRefusedError as error:
                self.counts["refused"] += 1
                log_events.error("bootstrap_refused", peer=peer.name, reason=str(error))  # noqa: TRY400 - a remedy, no bug
                await self._staging.clear()
                return None
            except PeerError as error:
                log_events.warning(
                    "bootstrap_broke",
                    peer=peer.name,
                    reason=str(error),
                    received_bytes=self.received_bytes,
                )
                if not error.again:
                    break
                failures = 0 if self.received_bytes > before else failures + 1
                await asyncio.sleep(self._settings.retry_seconds)
        self.counts["broken"] += 1
        return None

    async def _receive(self, peer: Peer, after_sequence: int) -> Offer:
        """Collect all that *peer* offers, and return the offer."""
        held_id, held_count, held_bytes = await self._staging.held()
        self.received = received = Received(peer.name)
        items = peer.stream(FOLD_VERSION, held_id, held_count)
        async with aclosing(items):
            offered = await anext(items, None)
            if not isinstance(offered, Offer):
                message = "it offers nothing"
                raise CheckpointRefusedError(message)
            await self._check(offered, after_sequence)
            resumed = offered.checkpoint_id == held_id
            received.total_bytes = offered.body_bytes
            received.received_bytes = held_bytes if resumed else 0
            left = offered.chunk_count - (held_count if resumed else 0)
            left -= await self._keep_all(offered, items, left)
        if left:
            message = f"{left} chunks did not come"
            raise PeerError(message, again=True)
        return offered

    async def _keep_all(
        self, offered: Offer, items: AsyncIterator[Offer | HashedChunk], most: int
    ) -> int:
        """Keep the chunks that come, *most* of them, and return how many those were.

        Where the connection breaks, what came before it is kept, too.
        """
        batch: list[HashedChunk] = []
        count = size = 0
        try:
            async for item in items:
                count += 1
                if isinstance(item, Offer) or count > most:
                    message = f"it sends more than {offered.chunk_count} chunks"
                    raise CheckpointRefusedError(message)
                batch.append(item)
                size += len(item.chunk.body)
                if size >= BATCH_BYTES:
                    await self._keep(offered, batch)
                    batch, size = [], 0
        except PeerError:
            await self._keep(offered, batch)
            raise
        await self._keep(offered, batch)
        return count

    async def _keep(self, offered: Offer, batch: list[HashedChunk]) -> None:
        if not batch:
            return
        await self._staging.add(offered, batch)
        size = sum(len(each.chunk.body) for each in batch)
        self.received_bytes += size
        if self.received is not None:
            self.received.received_bytes += size

    async def _check(self, offered: Offer, after_sequence: int) -> None:
        """Raise CheckpointRefusedError unless the offer is of use, and of our log."""
        why = useless(offered, after_sequence, self._settings.bytes_max)
        if not why:
            why = await foreign(offered, self.log, self._settings.retry_seconds)
        if why:
            raise CheckpointRefusedError(why)

    async def _load(self, offered: Offer) -> Adopted:
        """Make a state of what was received, and hold it against the seal."""
        restored = Restored(FOLD_VERSION)
        await self._staging.load(offered, restored.begin)
        try:
            state = await asyncio.to_thread(restored.state)
        except CheckpointDamagedError as error:
            raise CheckpointRefusedError(str(error)) from error
        found = await in_slices(seal_steps(state))
        if found != offered.seal:
            message = f"its state has seal {found}, and the peer's had {offered.seal}"
            raise CheckpointRefusedError(message)
        await self._check(offered, 0)  # the log may be another one by now
        return Adopted(offered.header, restored, state)


async def _whole(step: Coroutine[None, None, None]) -> None:
    """Do *step*, all of it, even if nobody waits for it any more."""
    task = asyncio.ensure_future(step)
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.wait({task})
