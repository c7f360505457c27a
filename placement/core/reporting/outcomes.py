"""What a copy was good for by now: used, too late, for nothing, or not yet known."""

from enum import IntEnum

from placement.core.decisions import DecisionRecord
from placement.core.folds.payoff import OUTCOME_NS
from placement.core.payoff import superseded
from placement.core.state import State
from placement.core.tables.cells import Replica
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT


class Use(IntEnum):
    """What a copy was good for."""

    USED = 1
    """There before the first start that it was made for."""
    LATE = 2
    """That start came before it was there."""
    UNUSED = 3
    """Nobody started it, and it is over."""
    UNDECIDED = 4
    """Nobody started it yet."""
    UNJUDGED = 5
    """Made for no start: a repair, or a pin."""


def use_of(state: State, copy: DecisionRecord, there_ns: int, now_ns: int) -> Use:
    """Return what a copy was good for that was, or would have been, there at a time."""
    if not copy.start_regions:
        return Use.UNJUDGED
    if copy.used_ns:
        return Use.USED if copy.used_ns >= there_ns else Use.LATE
    return Use.UNUSED if is_over(state, copy, now_ns) else Use.UNDECIDED


def is_over(state: State, decision: DecisionRecord, now_ns: int) -> bool:
    """Say whether a decision that nobody has used is no longer waited for.

    Its time is over, or a newer version was pushed since.
    """
    return now_ns - decision.time_ns > OUTCOME_NS or superseded(state, decision)


def kept_until_ns(state: State, copy: DecisionRecord, now_ns: int) -> int:
    """Return when a complete copy was removed again, or now: it is still there."""
    target = state.regions.find(copy.target.encode())
    row = state.replicas.find(PAIR.pack(copy.placement, target))
    gone_ns = 0 if row == ABSENT else state.replicas.get(row, Replica.GONE)
    return gone_ns if gone_ns > copy.complete_ns else now_ns
