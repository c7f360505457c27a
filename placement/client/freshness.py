"""How fresh an answer has to be, or as of when, as every question takes it."""

from datetime import datetime
from typing import TypedDict, Unpack

from placement.core.errors import InputError
from placement.v1 import basis_pb2 as basis_pb
from placement.wire.as_of import AsOf, encode_as_of, nanoseconds

Moment = AsOf | int | datetime | None
"""A message's sequence in the log, or a time with its zone; None: now."""


class Freshness(TypedDict, total=False):
    """How fresh an answer has to be: a token, or a staleness, or as it is now."""

    token: str
    """At least what this stands for, as publish_events or a Basis gave it."""
    max_staleness_s: float | None
    """The service has heard from the log within this time."""
    fail: bool
    """Fail with STATE_BEHIND instead of answering from older state."""


class Question(Freshness, total=False):
    """How fresh an answer has to be, or as of when; one of both."""

    as_of: Moment
    """After the message of this sequence, or the last one stored at this time."""


class Asked(TypedDict):
    """The fields of a request that say so."""

    consistency: basis_pb.Consistency
    as_of: basis_pb.AsOf | None


def asked(as_of: Moment = None, **freshness: Unpack[Freshness]) -> Asked:
    """Return what a request holds of it; raises InputError for what cannot be."""
    match as_of:
        case int():
            point: AsOf | None = AsOf(sequence=as_of)
        case datetime():
            point = AsOf(time_ns=nanoseconds(as_of))
        case _:
            point = as_of
    return {"consistency": consistency(**freshness), "as_of": encode_as_of(point)}


def consistency(
    token: str = "",
    max_staleness_s: float | None = None,
    *,
    fail: bool = False,
) -> basis_pb.Consistency:
    """Return how fresh an answer has to be; raises InputError for both at once."""
    if token and max_staleness_s is not None:
        remedy = "give a token or max_staleness_s, not both"
        raise InputError("max_staleness_s", max_staleness_s, remedy)
    proto = basis_pb.Consistency(fail=fail)
    if max_staleness_s is not None:
        proto.max_staleness.FromNanoseconds(round(max_staleness_s * 1e9))
    elif token:
        proto.token = token
    return proto
