"""Tokens: who holds one may ask to see at least what it stands for.

An epoch and a sequence alone could lie once a log was rewound. A replica that never saw
what the log lost goes on under the old name, and may have another message there; and
replicas that lost different ends call the same log by different names. So a token also
carries a *mark* of the very message at its sequence. Who stored a message knows its
body, so ``b`` and digits stand for that; who folded it knows when it was stored, too,
so ``m`` and digits stand for its hash. A state that remembers the message compares
marks, and of names only what the log itself says; one that does not, whole names.
"""

import re
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from zlib import crc32

from placement.core.errors import TokenInvalidError
from placement.runtime.epochs import identity

RECENT_MESSAGES_MAX: Final = 65_536
"""So many messages are remembered, 8 bytes each."""
_BITS: Final = 32
_MARKS_KEPT: Final = 16
"""Of messages that answers rest on: many rest on one."""
_MARK: Final = re.compile("[bm][0-9a-f]{8}")
_SEQUENCE_DIGITS_MAX: Final = 19
"""Of an int64."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token stands for; the mark is empty in those of older versions."""

    epoch: str
    sequence: int
    mark: str = ""

    def same_log(self, epoch: str) -> bool:
        """Say whether a state of *epoch* may be of the log that this token is of."""
        if self.epoch == epoch:
            return True
        return bool(self.mark) and identity(self.epoch) == identity(epoch)


def make_token(epoch: str, sequence: int, mark: str = "") -> str:
    """Return a token that stands for *sequence* of *epoch*; opaque to callers."""
    return f"v1.{epoch}.{sequence}.{mark}" if mark else f"v1.{epoch}.{sequence}"


def parse_token(text: str, field: str = "consistency.token") -> Token:
    """Return what *text* stands for; raises TokenInvalidError."""
    version, _, rest = text.partition(".")
    rest, mark = split_mark(rest)
    epoch, _, digits = rest.rpartition(".")
    if version != "v1" or not epoch or not is_sequence(digits):
        remedy = "pass a token as PublishEvents or a Basis gave it"
        raise TokenInvalidError(field, text, remedy)
    return Token(epoch, int(digits), mark)


def split_mark(text: str) -> tuple[str, str]:
    """Return *text* without the mark at its end, and the mark; its letter tells it."""
    rest, _, last = text.rpartition(".")
    return (rest, last) if _MARK.fullmatch(last) else (text, "")


def is_sequence(digits: str) -> bool:
    """Say whether *digits* are those of a sequence."""
    plain = digits.isascii() and digits.isdigit()
    return plain and len(digits) <= _SEQUENCE_DIGITS_MAX


def body_mark(body: bytes) -> str:
    """Return what stands for a message of *body*."""
    return f"b{crc32(body):08x}"


@lru_cache(maxsize=_MARKS_KEPT)
def message_mark(message_hash: bytes) -> str:
    """Return what stands for the message of this hash; empty for that of none."""
    return f"m{_digits(message_hash):08x}" if message_hash else ""


def _digits(message_hash: bytes) -> int:
    return int.from_bytes(message_hash[: _BITS // 8], "big")


class Recent:
    """The marks of the messages that a line folded last."""

    def __init__(self) -> None:
        """Remember none."""
        self._marks = array("Q")
        """A ring: of each message its body's mark, then its hash's, as one number."""
        self._first, self._last = 1, 0
        self.decided_sequence = 0
        """The last message on the subjects of decisions; 0 when none is known."""

    def note(self, sequence: int, body: bytes, message_hash: bytes) -> None:
        """Remember a message; what is not the next one begins anew.

        A checksum will do for the body: it guards against chance, costs a tenth of a
        hash, and whoever can forge a message could store that message as well.
        """
        if sequence != self._last + 1:
            self._first, self._marks = sequence, array("Q")
        self._last = sequence
        marks = crc32(body) << _BITS | _digits(message_hash)
        if len(self._marks) < RECENT_MESSAGES_MAX:
            self._marks.append(marks)
        else:
            self._marks[(sequence - self._first) % RECENT_MESSAGES_MAX] = marks

    def marks(self, sequence: int) -> tuple[str, ...]:
        """Return the marks of the message at *sequence*; none if it is not known."""
        if not self._last - len(self._marks) < sequence <= self._last:
            return ()
        marks = self._marks[(sequence - self._first) % RECENT_MESSAGES_MAX]
        body, message = marks >> _BITS, marks & ((1 << _BITS) - 1)
        return f"b{body:08x}", f"m{message:08x}"
