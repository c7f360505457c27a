"""Whether a log is still the one that was folded, and what each of its lives is called.

An epoch names one history, as far as a replica can know. A log that was made anew has
an identity of its own, given by the log. One that was *rewound* (a store put back from
a backup) keeps its identity and tells another history from some message on, so its
epoch gets a name of its own: the identity, ``~``, a number that grows, and the first
digits of the hash of the last message that was folded before. Replicas that stood at
the same message thus choose the same name, and those that did not choose different
ones, or keep the old one if they never saw what was
lost. So a name alone proves nothing between replicas: ``tokens`` compare messages.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from placement.ports import EventLog, LogReplacedError, LogStatus
from placement.wire.events import message_hash

_MARK: Final = "~"
_HASH_BYTES: Final = 4


class Breach(IntEnum):
    """How a log came to be another one than was folded."""

    REWOUND = 1
    """It lost messages that were folded, and may have others there."""
    REPLACED = 2
    """It was deleted and made anew."""
    TRIMMED = 3
    """Messages that were not folded yet are gone."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a log was folded; the hash is of the message at *sequence*."""

    epoch: str
    sequence: int
    message_hash: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """What a log is now, and why a position is not in it, if it is not."""

    status: LogStatus
    breach: Breach | None = None
    why: str = ""

    @property
    def rewound(self) -> bool:
        """Whether the log lost what was folded, and is the same log all the same."""
        return self.breach is Breach.REWOUND


def identity(epoch: str) -> str:
    """Return what the log itself says it is, in every life: *epoch* without suffix."""
    return epoch.partition(_MARK)[0]


def succeeding(lost: Position) -> str:
    """Return the name of what a log tells after it lost what is at *lost*."""
    digits = lost.message_hash[:_HASH_BYTES].hex()
    number = rewind_count(lost.epoch) + 1
    return f"{identity(lost.epoch)}{_MARK}{number}-{digits}"


def rewind_count(epoch: str) -> int:
    """Return how often the log was known to be rewound before *epoch* began."""
    number = epoch.partition(_MARK)[2].partition("-")[0]
    return int(number) if number.isdecimal() else 0


async def inspect(log: EventLog, position: Position) -> Standing:
    """Return what *log* is now, and whether it still holds what is at *position*.

    A position of no epoch is in every log. Raises LogUnavailableError.
    """
    status = await log.status()
    sequence = position.sequence
    if not position.epoch:
        return Standing(status)
    if identity(position.epoch) != status.epoch:
        why = f"the log's epoch is {status.epoch}, and was {position.epoch}"
        return Standing(status, Breach.REPLACED, why)
    if status.last_sequence < sequence:
        why = f"the log ends at {status.last_sequence}, and {sequence} was folded"
        return Standing(status, Breach.REWOUND, why)
    if status.first_sequence > sequence + 1:
        why = f"the log begins at {status.first_sequence}, after {sequence}"
        return Standing(status, Breach.TRIMMED, why)
    if status.first_sequence <= sequence:
        message = await log.message(sequence)
        if message is None or message_hash(message) != position.message_hash:
            why = f"message {sequence} is not the one that was folded"
            return Standing(status, Breach.REWOUND, why)
    return Standing(status)


def require_whole(status: LogStatus, *, accept_partial_log: bool) -> None:
    """Refuse to fold a log from its start when its start is gone.

    Raises LogReplacedError, naming the remedy, unless an operator accepts the loss.
    """
    if status.first_sequence > 1 and not accept_partial_log:
        message = (
            f"the log begins at message {status.first_sequence}: what was before is in "
            "no checkpoint that this version can use. Restore a checkpoint, run the "
            "version that wrote it, or set accept_partial_log to begin without it"
        )
        raise LogReplacedError(message)
