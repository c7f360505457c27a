"""Which messages are folded together: runs that are worth a block, and how long ones.

A block is folded in one step, so that answers see whole messages only; how long it may
be follows from how long the last ones took. A block costs a millisecond or so whatever
it holds, so that shorter ones than some hundred events would be slower, not smoother.
Where little of what they hold commutes, messages are folded one by one for a while.
Where a log is cut changes nothing that is folded.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from placement.ports import Message
from placement.runtime.quarantine import is_quarantine

RUN_BYTES_MIN: Final = 4_096
"""Less is folded sooner one by one: some thirty events."""
RUN_BYTES_LOW: Final = 16_384
"""Shorter runs are not aimed at: what a block costs is mostly the same for all."""
RUN_BYTES_FIRST: Final = 65_536
RUN_BYTES_MAX: Final = 262_144
WHOLE_BYTES: Final = 524_288
"""Where nobody waits, so much is folded as one if there is so much."""
RUN_MESSAGES_MAX: Final = 2_048
GATHER_SECONDS: Final = 0.004
"""Where that which came is worth a block, and came at once, there is soon more: so long
is waited for it, since a block of 500 events costs little more than one of 200."""
SINGLE_MESSAGES: Final = 512
"""So many are folded one by one before blocks are tried again."""
IN_TURN_SHARE: Final = 0.5
"""Of the events of a block: if more are no columns, folding it as one saves nothing."""


class Runs:
    """Cuts what was read into runs, shorter or longer as folding them takes."""

    def __init__(self, slice_seconds: float | None) -> None:
        """Let a run take about *slice_seconds*; None: nobody waits meanwhile."""
        self._slice_seconds = slice_seconds
        self._bytes = WHOLE_BYTES if slice_seconds is None else RUN_BYTES_FIRST
        self._single_left = 0
        self.careful_until = 0
        """Up to which message each is folded by itself: some run ended there."""

    def cut(self, batch: Sequence[Message]) -> Iterator[Sequence[Message]]:
        """Yield *batch* in runs, in order; what must be folded by itself is alone."""
        run: list[Message] = []
        size = 0
        for message in batch:
            if self._alone(message):
                if run:
                    yield run
                yield [message]
                run, size = [], 0
                continue
            run.append(message)
            size += len(message.body)
            single = self._single_left > 0
            if single or size >= self._bytes or len(run) == RUN_MESSAGES_MAX:
                self._single_left -= single
                yield run
                run, size = [], 0
        if run:
            yield run

    def gather(self, batch: Sequence[Message], waited_seconds: float) -> bool:
        """Say whether to wait before reading on after *batch*, which was *waited* for.

        After a few small events nobody waits, nor is there a pause in a backlog.
        """
        if waited_seconds > GATHER_SECONDS:
            return False
        size = sum([len(message.body) for message in batch])
        return RUN_BYTES_LOW <= size < RUN_BYTES_MAX

    def together(self, run: Sequence[Message]) -> bool:
        """Say whether *run* is worth a block, and may be folded as one."""
        size = sum([len(message.body) for message in run])
        return size >= RUN_BYTES_MIN and not self._alone(run[0])

    def _alone(self, message: Message) -> bool:
        return message.sequence <= self.careful_until or is_quarantine(message)

    def took(self, seconds: float, events: int, in_turn: int) -> None:
        """Note how long *events* took to fold, and how many of them were no columns."""
        if in_turn > IN_TURN_SHARE * events:
            self._single_left = SINGLE_MESSAGES
        if self._slice_seconds is None:
            return
        if 2 * seconds < self._slice_seconds:
            self._bytes = min(RUN_BYTES_MAX, 2 * self._bytes)
        elif seconds > self._slice_seconds:
            self._bytes = max(RUN_BYTES_LOW, self._bytes // 2)
