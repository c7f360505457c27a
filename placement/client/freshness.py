"""How fresh an answer has to be, as every question of the client takes it."""

from typing import TypedDict

from placement.core.errors import InputError
from placement.v1 import basis_pb2 as basis_pb


class Freshness(TypedDict, total=False):
    """How fresh an answer has to be: a token, or a staleness, or as it is now."""

    token: str
    """At least what this stands for, as publish_events or a Basis gave it."""
    max_staleness_s: float | None
    """The service has heard from the log within this time."""
    fail: bool
    """Fail with STATE_BEHIND instead of answering from older state."""


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
