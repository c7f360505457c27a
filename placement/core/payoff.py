"""Whether a decision paid off, by what is known now: the starts that came after it."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from placement.core.decisions import DecisionRecord
from placement.core.folds.payoff import OUTCOME_NS
from placement.core.folds.versions import version_of
from placement.core.oci import Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables.cells import App, DecisionStatus, Version
from placement.core.tables.keys import PAIR, version_key
from placement.core.tables.table import ABSENT, Row


class Payoff(IntEnum):
    """The verdict on a decision; defined by the comments of the service's contract."""

    UNKNOWN = 1
    PENDING = 2
    PAID_OFF = 3
    WASTED = 4
    LATE = 5
    MISSED = 6
    SPARED = 7
    REGRETTED = 8


_REGRETTED: Final = frozenset({Payoff.LATE, Payoff.MISSED, Payoff.REGRETTED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict, and the starts behind it; nanoseconds.

    *first_start_ns* is 0 while nobody started there. *saved_ns* is what the starts of
    the first burst waited less, as modelled; None unless a copy paid off.
    """

    payoff: Payoff
    first_start_ns: int
    start_count: int
    waited_count: int
    wait_ns: int
    saved_ns: int | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision with its names, and what came of it."""

    record: DecisionRecord
    repository: Repository
    digest: Digest
    tags: tuple[Tag, ...]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges decisions at one moment; it remembers the tags of their repositories."""

    state: State
    now_ns: int
    _tags: dict[Row, dict[Row, list[Row]]] = field(default_factory=dict)
    """The rows of a repository's tags, by the digest that they point to."""

    def judged(self, record: DecisionRecord) -> Judged:
        """Return a decision with its names, and what came of it by now."""
        repository, digest = self.state.placement_at(record.placement)
        outcome = outcome_of(self.state, record, self.now_ns)
        tags = self._tags_of(record.placement)
        return Judged(record, repository, digest, tags, outcome)

    def _tags_of(self, placement: Row) -> tuple[Tag, ...]:
        """Return the tags of a placement, by name.

        Those of others are told apart by a number: a repository may have very many.
        """
        owner, digest = map(Row, PAIR.unpack(self.state.placements.key(placement)))
        found = self._tags.get(owner)
        if found is None:
            found = self._tags[owner] = {}
            for row in self.state.indexes.tags_of(owner):
                found.setdefault(self.state.tag_target(row), []).append(row)
        tags = map(self.state.tag_at, found.get(digest, ()))
        return tuple(sorted(tag[0] for tag in tags if tag is not None))


def outcome_of(state: State, record: DecisionRecord, now_ns: int) -> Outcome:
    """Return what came of a decision by *now_ns*, nanoseconds. Raises nothing."""
    payoff = payoff_of(state, record, now_ns)
    paid = payoff is Payoff.PAID_OFF and not record.removal
    return Outcome(
        payoff,
        record.used_ns,
        record.start_count,
        record.waited_count,
        record.wait_ns,
        record.saved_ns * record.start_count if paid else None,
    )


def regret_ns(outcome: Outcome, local_ns: int) -> int | None:
    """Return what starts waited beyond a local one since nothing was there in time.

    *local_ns* is what a local start waits. None: nothing is to be regretted, or no
    start said what it waited.
    """
    if outcome.payoff not in _REGRETTED or not outcome.waited_count:
        return None
    return max(0, outcome.wait_ns - outcome.waited_count * local_ns)


def payoff_of(state: State, record: DecisionRecord, now_ns: int) -> Payoff:
    """Return whether a decision paid off, as far as that is known by *now_ns*."""
    if not record.start_regions:
        return Payoff.UNKNOWN
    over = now_ns - record.time_ns > OUTCOME_NS
    if record.removal:
        return _of_removal(record, over=over)
    completed = record.status is DecisionStatus.COMPLETED
    if record.used_ns:
        if completed:
            early = record.complete_ns <= record.used_ns
            return Payoff.PAID_OFF if early else Payoff.LATE
        return Payoff.LATE if record.open else Payoff.MISSED
    if completed:
        wasted = over or superseded(state, record)
        return Payoff.WASTED if wasted else Payoff.PENDING
    return Payoff.SPARED if over and not record.open else Payoff.PENDING


def _of_removal(record: DecisionRecord, *, over: bool) -> Payoff:
    if record.open:
        return Payoff.PENDING
    if record.status is not DecisionStatus.COMPLETED:
        return Payoff.UNKNOWN
    if record.used_ns:
        return Payoff.REGRETTED
    return Payoff.PAID_OFF if over else Payoff.PENDING


def superseded(state: State, record: DecisionRecord) -> bool:
    """Say whether a newer version of the app was pushed since the decision.

    A layer belongs to no version: it is never superseded.
    """
    version = version_of(state, record.placement)
    if version == ABSENT:
        return False
    app = Row(
        state.versions.get(state.versions.find(version_key(version)), Version.APP)
    )
    newest = Row(state.apps.get(app, App.NEWEST) - 1)
    if newest in {ABSENT, version}:
        return False
    row = state.versions.find(version_key(newest))
    return state.versions.get(row, Version.ORDER) > record.order_ns
