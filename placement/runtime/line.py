"""A line: one state that folds one log. The service shows one and may fold another.

A line lets others in after each millisecond. Answers see whole messages only: between
the events of one message a shown line never waits, while one that nobody sees may.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import aclosing
from typing import Final, Protocol, cast

from placement.core.block import Block, Frame
from placement.core.event import RecordedMessage
from placement.core.fold import fold_steps
from placement.core.fold_block import fold_block_steps
from placement.core.state import State
from placement.faults import FaultPoint, reach
from placement.ports import (
    READ_BATCH_MESSAGES_MAX,
    EventLog,
    LogReplacedError,
    LogUnavailableError,
    Message,
)
from placement.runtime.epochs import Position, identity
from placement.runtime.points import cut_at_points
from placement.runtime.quarantine import (
    FoldFailedError,
    Quarantine,
    is_quarantine,
    read_quarantine,
)
from placement.runtime.reader import Reader
from placement.runtime.refused import Refused
from placement.runtime.runs import GATHER_SECONDS, RUN_MESSAGES_MAX, Runs
from placement.runtime.slices import let_others_in
from placement.runtime.tokens import Recent
from placement.runtime.traced import tell_folded
from placement.runtime.witness import Witness
from placement.tracing import Traces
from placement.wire.columns import decode_steps
from placement.wire.events import DECISIONS_PREFIX, decode_message, message_hash

SLICE_SECONDS: Final = 0.001
"""Folding lets others in after so long."""
BLOCK_SECONDS: Final = 0.003
"""A block is one step for whoever asks: of the 5 ms that nobody may wait, so long."""
RETRY_SECONDS: Final = 1.0


class Progress(Protocol):
    """Called by a line between messages, before it lets others in."""

    def __call__(self, line: "Line", *, caught_up: bool) -> None:
        """Take note; *caught_up* says that the log has nothing newer just now."""


class Line:
    """Folds *log* into *state*, under the name *epoch*."""

    def __init__(self, log: EventLog, state: State, epoch: str, *, shown: bool) -> None:
        """Go on where *state* is; *shown* says that answers read it."""
        self.state = state
        self.epoch = epoch
        self.shown = shown
        self.recent = Recent()
        self.refused = Refused()
        self.first_sequence = state.sequence + 1
        """The first message that it folds itself, or a later one."""
        self.folding = 0
        """The message that is being decoded or folded; 0 between messages."""
        self.lost = ""
        """Why reading ended: the log says that the next message can never come."""
        self.tainted = ""
        """Why this state is not a fold of the log as it is now."""
        self.pause = let_others_in  # lets others in after each slice
        self.traces: Traces | None = None
        """Where a shown line notes which messages are traced."""
        self.witness: Witness | None = None
        """Who looks at the state of a shown line now and then."""
        self._log = log
        self._quarantine = Quarantine()
        self._runs = Runs(BLOCK_SECONDS)
        self._reader = Reader()
        self._holders: frozenset[str] = frozenset()
        self._open = asyncio.Event()
        self._open.set()
        self._slice_ends = 0.0

    @property
    def position(self) -> Position:
        """How far it is."""
        state = self.state
        return Position(self.epoch, state.sequence, state.message_hash)

    def fold_singly_around(self, sequence: int) -> None:
        """Fold one by one where a run failed, to tell the message that it failed at.

        That is *sequence* or, of messages that were folded together, a later one.
        """
        self._runs.careful_until = sequence + RUN_MESSAGES_MAX

    def hold(self, who: str, *, held: bool) -> None:
        """Stop before the next message, or go on once nobody else wants it held."""
        self._holders = self._holders | {who} if held else self._holders - {who}
        if self._holders:
            self._open.clear()
        else:
            self._open.set()

    async def prepare(self) -> None:
        """Learn what the log says must be left out, waiting for the log if need be."""
        while True:
            try:
                self._quarantine = await read_quarantine(self._log)
            except LogUnavailableError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self.tainted = self._quarantine.unheeded(self.state.sequence)
                return

    async def follow(self, first_sequence: int, progress: Progress) -> None:
        """Fold all that follows, for ever, or until ``lost`` says why there is nothing.

        *first_sequence* is where the log begins. Raises FoldFailedError.
        """
        after = max(self.state.sequence, first_sequence - 1)
        log_name = identity(self.epoch)
        try:
            await self._remember(first_sequence, log_name)
            await self._follow(self._log.read(after, log_name), progress)
        except LogReplacedError as error:
            self.lost = str(error)

    async def _remember(self, first_sequence: int, log_name: str) -> None:
        """Read what an earlier run folded last, so that its tokens can be told."""
        own = self.position
        after = max(own.sequence - READ_BATCH_MESSAGES_MAX, first_sequence - 1)
        if after >= own.sequence:
            return
        read: list[Message] = []
        reading = self._log.read(after, log_name)
        async with aclosing(cast("AsyncGenerator[Sequence[Message]]", reading)):
            async for batch in reading:
                read += (one for one in batch if one.sequence <= own.sequence)
                if not batch or batch[-1].sequence >= own.sequence:
                    break
        hashes = [message_hash(message) for message in read]
        if hashes[-1:] == [own.message_hash]:  # else it was rewound, and has grown
            for message, its_hash in zip(read, hashes, strict=True):
                self._note(message, its_hash)

    async def _follow(
        self, batches: AsyncIterator[Sequence[Message]], progress: Progress
    ) -> None:
        loop = asyncio.get_running_loop()
        sure, read_on = not self.state.sequence, loop.time()
        async for batch in batches:
            waited_seconds = loop.time() - read_on
            if batch and not sure:
                await self._verify_own()
                sure = True
            self._slice_ends = loop.time() + SLICE_SECONDS
            witness = self.witness if self.shown else None
            interval_ns = witness.interval_ns if witness else 0
            points = cut_at_points(batch, self.state.store_time_ns, interval_ns)
            for ended, piece in points:
                if ended and witness:
                    progress(self, caught_up=False)  # nobody is to wait for that
                    await witness.look(self.state, ended)
                await self._fold(piece, progress)
            progress(self, caught_up=not batch)
            if self._runs.gather(batch, waited_seconds):
                await asyncio.sleep(GATHER_SECONDS)
            read_on = loop.time()

    async def _fold(self, piece: Sequence[Message], progress: Progress) -> None:
        for run in self._runs.cut(piece):
            if self._runs.together(run):
                await self._fold_together(run, progress)
            else:
                await self._fold_each(run, progress)

    async def _verify_own(self) -> None:
        """Raise LogReplacedError if the log has something else where this state is.

        Of what an earlier run folded the reader knows no more than the number. Before
        anything that follows is folded, the log may have been rewound, and have grown.
        """
        own, found = self.position, None
        while True:
            try:
                found = await self._log.message(own.sequence)
                break
            except LogUnavailableError:
                await asyncio.sleep(RETRY_SECONDS)
        if found is not None and message_hash(found) != own.message_hash:
            message = f"message {own.sequence} is another than was folded"
            raise LogReplacedError(message, epoch=own.epoch, sequence=str(own.sequence))

    async def _let_others_in(self) -> None:
        await self.pause()
        self._slice_ends = asyncio.get_running_loop().time() + SLICE_SECONDS

    def _fold_at_once(self, message: Message) -> None:
        """Fold one small message; raises FoldFailedError."""
        self.folding = message.sequence
        skipped = self._quarantine.skipped(message.sequence)
        try:
            for _ in self._steps(decode_message(message, skipped), message):
                pass
        except Exception as error:
            raise FoldFailedError(message.sequence, error) from error
        self.folding = 0

    async def _fold_each(self, run: Sequence[Message], progress: Progress) -> None:
        """Fold small messages one by one, letting others in."""
        for message in run:
            await self._open.wait()
            self._fold_at_once(message)
            await self._let_others_in_if_due(progress)

    async def _fold_together(self, run: Sequence[Message], progress: Progress) -> None:
        """Fold *run* as one block, letting others in; raises FoldFailedError."""
        self.folding = run[0].sequence
        steps = decode_steps(run, self._quarantine.skipped, self._reader.next_way())
        block: Block | None = None
        while block is None:
            block = self._decoded(steps)
            await self._let_others_in_if_due(progress)
        await self._open.wait()
        self._pass_fault_point(run)
        loop = asyncio.get_running_loop()
        began = loop.time()
        folding, in_turn = fold_block_steps(self.state, block, self._note_folding), 0
        while self._stepped(folding):
            in_turn += 1
            if not self.shown and loop.time() > self._slice_ends:
                await self._let_others_in()
        any_refused = "" in block.event_ids
        for message, frame in zip(run, block.frames, strict=True):
            self._note(message, frame.message_hash)
            tell_folded(self.traces, message)
            if any_refused:
                ends = frame.first + frame.count
                self.refused.note(message, block.items[frame.first : ends])
        self._runs.took(loop.time() - began, len(block.items), in_turn)
        self.folding = 0
        await self._let_others_in_if_due(progress)

    async def _let_others_in_if_due(self, progress: Progress) -> None:
        if asyncio.get_running_loop().time() > self._slice_ends:
            progress(self, caught_up=False)
            await self._let_others_in()

    def _pass_fault_point(self, run: Sequence[Message]) -> None:
        """Fail at a message of *run* where a test says so; raises FoldFailedError."""
        try:
            for message in run:
                self.folding = message.sequence
                reach(FaultPoint.AFTER_DECODE)
        except Exception as error:
            raise FoldFailedError(self.folding, error) from error
        self.folding = run[0].sequence

    def _note_folding(self, frame: Frame) -> None:
        self.folding = frame.sequence

    def _decoded(self, steps: Generator[None, None, Block]) -> Block | None:
        """Do the next of *steps*; return what they decoded, after the last one."""
        try:
            next(steps)
        except StopIteration as end:
            block: Block = end.value
            return block
        except Exception as error:
            raise FoldFailedError(self.folding, error) from error
        return None

    def _steps(self, decoded: RecordedMessage, message: Message) -> Iterator[None]:
        reach(FaultPoint.AFTER_DECODE)
        if is_quarantine(message) and self._quarantine.learn(message):
            self.tainted = f"message {message.sequence} put one in quarantine"
        yield from fold_steps(self.state, decoded)
        self._note(message, decoded.message_hash)
        tell_folded(self.traces, message)
        self.refused.note(message, decoded.items)

    def _note(self, message: Message, its_hash: bytes) -> None:
        self.recent.note(message.sequence, message.body, its_hash)
        if message.subject.startswith(DECISIONS_PREFIX):
            self.recent.decided_sequence = message.sequence

    def _stepped(self, steps: Iterator[None]) -> bool:
        """Do the next of *steps*, if there is one; raises FoldFailedError."""
        try:
            return next(steps, self) is None
        except Exception as error:
            raise FoldFailedError(self.folding, error) from error
