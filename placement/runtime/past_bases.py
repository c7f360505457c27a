"""From where a past state is folded: the nearest checkpoint that is of use, or nothing.

A checkpoint is of use if this version made it, at or before the point, of this log, and
if the log still holds all that comes after it. What it folded must be what everybody
who folds the log now would fold.
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from placement.core.fold import FOLD_VERSION
from placement.ports import CheckpointHeader, Chunk, LogStatus
from placement.runtime.epochs import identity
from placement.runtime.past_errors import AsOfGoneError, AsOfLimitError
from placement.wire.as_of import AsOf


class CheckpointAwayError(Exception):
    """A checkpoint is gone, or cannot be read just now; nothing says it is damaged."""


class OlderCheckpoints(Protocol):
    """Checkpoints of earlier times, kept so that the past can be asked about."""

    async def headers(self) -> Sequence[CheckpointHeader]:
        """Return what there is; nothing of it is proven yet."""

    def read(self, header: CheckpointHeader) -> AsyncGenerator[Sequence[Chunk], None]:
        """Yield the chunks of one of them, by table and number, some at a time.

        They are worth nothing before the last one came. Raises CheckpointDamagedError
        unless every byte is as it was saved, and CheckpointAwayError.
        """

    async def drop(self, header: CheckpointHeader, reason: str) -> None:
        """Forget one that is of no use, for *reason*."""


@dataclass(frozen=True, slots=True)
class Bases:
    """What a log and its older checkpoints allow to be folded."""

    status: LogStatus
    epoch: str
    """The name under which the service knows the log."""
    headers: Sequence[CheckpointHeader]
    """Of the checkpoints that are of use, by sequence."""

    def nearest(self, sequence: int, messages_max: int) -> list[CheckpointHeader]:
        """Return from what to fold up to *sequence*, the best first.

        After the last of them comes the log's start, where that is there. Those from
        which more than *messages_max* messages would have to be folded are left out.
        Raises AsOfGoneError and AsOfLimitError where nothing is left.
        """
        before = [each for each in self.headers if each.sequence <= sequence]
        if not before and not self.whole:
            raise AsOfGoneError(AsOf(sequence), *self.earliest)
        near = [each for each in before if sequence - each.sequence <= messages_max]
        if not near and not (self.whole and sequence <= messages_max):
            base = before[-1].sequence if before else 0
            raise AsOfLimitError(sequence, base, messages_max)
        return near[::-1]

    @property
    def whole(self) -> bool:
        """Whether the log can be folded from its start."""
        return self.status.first_sequence <= 1

    @property
    def earliest(self) -> tuple[int, int]:
        """Where the earliest checkpoint is, and when that message was stored; or 0."""
        if not self.headers:
            return 0, 0
        return self.headers[0].sequence, self.headers[0].store_time_ns


def bases(
    status: LogStatus,
    epoch: str,
    headers: Iterable[CheckpointHeader],
    unheeded: Callable[[int], str],
) -> Bases:
    """Return what may be folded of the log that the service knows as *epoch*.

    *unheeded* says why a state of some message folded what was quarantined since.
    """

    def useful(header: CheckpointHeader) -> bool:
        if header.fold_version != FOLD_VERSION:
            return False
        if identity(header.epoch) != status.epoch or unheeded(header.sequence):
            return False
        before = header.sequence < status.first_sequence
        if before and header.epoch != epoch:
            return False  # the log cannot say any more whether it is of this life
        reaches = header.sequence >= status.first_sequence - 1
        return reaches and header.sequence <= status.last_sequence

    found = sorted(filter(useful, headers), key=lambda each: each.sequence)
    return Bases(status, epoch, found)
