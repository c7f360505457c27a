"""A point in the log's past, as a request names it and as people write it."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from placement.core.errors import InputError, NumberInvalidError, TimeInvalidError
from placement.v1 import basis_pb2 as pb
from placement.wire.fields import SECOND_NS, TIME_NS_MAX

SEQUENCE_MAX: Final = 2**62
REMEDY: Final = (
    "give a sequence of the log, such as 4711; a time in RFC 3339, such as"
    " 2026-11-30T12:00:00Z; or how long ago, such as 2h ago"
)
NOTE: Final = "the region catalogue, endpoints and distances are today's"
"""What is to be known of every answer about the past."""
_AGO: Final = re.compile(
    r"(?:(\d{1,9})w)?(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?"
    r"\s+ago",
    re.ASCII,
)
_UNITS: Final = (7 * 86_400, 86_400, 3_600, 60, 1)
_DIGITS: Final = re.compile(r"\d{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AsOf:
    """After this message, or after the last one stored at this time or before it.

    One of both is set: a *sequence* of 1 or more, or nanoseconds since 1970.
    """

    sequence: int | None = None
    time_ns: int | None = None

    def __str__(self) -> str:
        """Return it as people read it."""
        if self.sequence is not None:
            return f"message {self.sequence}"
        return f"time {shown_time(self.time_ns or 0)}"


def decode_as_of(proto: pb.AsOf) -> AsOf | None:
    """Return the point that a request names, or None: it asks about now.

    Raises NumberInvalidError and TimeInvalidError.
    """
    match proto.WhichOneof("point"):
        case "sequence":
            return _at_sequence(proto.sequence, "as_of.sequence")
        case "time":
            time_ns = proto.time.seconds * SECOND_NS + proto.time.nanos
            return _at_time(time_ns, "as_of.time")
        case _:
            return None


def encode_as_of(as_of: AsOf | None) -> pb.AsOf | None:
    """Return *as_of* as a request holds it; None: the request asks about now."""
    if as_of is None:
        return None
    proto = pb.AsOf()
    if as_of.sequence is not None:
        proto.sequence = as_of.sequence
    elif as_of.time_ns is not None:
        proto.time.FromNanoseconds(as_of.time_ns)
    return proto


def parse_as_of(text: str, now_ns: int, field: str = "as_of") -> AsOf:
    """Return what people write: a sequence, a time, or how long before *now_ns*.

    ``4711``, ``2026-11-30T12:00:00Z`` (with its offset), ``1h30m ago``. Raises
    InputError, NumberInvalidError and TimeInvalidError, naming *field*.
    """
    written = text.strip()
    if _DIGITS.fullmatch(written):
        return _at_sequence(int(written), field)
    ago = _AGO.fullmatch(written)
    if ago is not None:
        parts = zip(ago.groups(), _UNITS, strict=True)
        seconds = sum(int(count) * unit for count, unit in parts if count)
        if not seconds:
            raise InputError(field, text, REMEDY)
        return _at_time(now_ns - seconds * SECOND_NS, field)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise InputError(field, text, REMEDY) from None
    if moment.tzinfo is None:
        remedy = "say the offset from UTC, too, such as 2026-11-30T12:00:00Z"
        raise InputError(field, text, remedy)
    return AsOf(time_ns=nanoseconds(moment, field))


def shown_time(time_ns: int) -> str:
    """Return a moment in RFC 3339; empty for 0, which is none."""
    if not time_ns:
        return ""
    moment = Timestamp()
    moment.FromNanoseconds(time_ns)
    return str(moment.ToJsonString())


def nanoseconds(moment: datetime, field: str = "as_of") -> int:
    """Return an aware *moment* since 1970; raises InputError and TimeInvalidError."""
    if moment.tzinfo is None:
        remedy = "give a datetime with its time zone"
        raise InputError(field, moment, remedy)
    micros = round(moment.timestamp() * 1_000_000)
    time_ns = _at_time(micros * 1_000, field).time_ns
    assert time_ns is not None, "it was just given"
    return time_ns


def _at_sequence(sequence: int, field: str) -> AsOf:
    if not 1 <= sequence <= SEQUENCE_MAX:
        remedy = "give the sequence of a message of the log, 1 or more"
        raise NumberInvalidError(field, sequence, remedy)
    return AsOf(sequence=sequence)


def _at_time(time_ns: int, field: str) -> AsOf:
    if not 0 < time_ns <= TIME_NS_MAX:
        remedy = "give a time between 1970 and 2116"
        raise TimeInvalidError(field, time_ns, remedy)
    return AsOf(time_ns=time_ns)
