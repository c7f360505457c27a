"""Books about one log, kept from its messages alone: what was decided under what rule.

It shares with the product how messages and policies are read, and nothing of how
decisions are made or folded. The books are kept in the order of the log, and each
decision to copy is held against what the log said before it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from placement.core.deciding.priority import Priority
from placement.core.deciding.ruling import Ruling, parse_ruling
from placement.core.event import (
    ContentEvicted,
    ContentReplicated,
    Event,
    InventoryTaken,
    PolicyChanged,
    Recorded,
    RegionChanged,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationExpired,
    ReplicationFailed,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationResumed,
    ReplicationTrigger,
    ReplicationWithheld,
    TagMoved,
    TickPassed,
)
from placement.core.topology import Region
from placement.runtime.quarantine import Quarantine
from placement.wire.events import decode_message
from tests.builders import DAY_NS, HOUR_NS
from tests.simulator.log import Life
from tests.simulator.workload import TOPOLOGY

Ended = (
    ReplicationCompleted | ReplicationFailed | ReplicationCancelled | ReplicationExpired
)
ORGANIZATION: Final = "acme"
"""Whose all repositories are."""


@dataclass
class Entry:
    """One decision to copy, and what the log says became of it."""

    place: int
    """Its place among all events of the log."""
    time_ns: int
    fact: ReplicationPlanned
    ends: list[tuple[int, Ended]] = field(default_factory=list)
    """Reports that end it, with their places."""

    @property
    def decision_id(self) -> str:
        """Return the decision's id."""
        return self.fact.subject.replication_id

    @property
    def pair(self) -> tuple[str, str]:
        """Return what is copied, and where to: the digest and the region."""
        return self.fact.subject.digest, self.fact.subject.target_region

    @property
    def open(self) -> bool:
        """Whether nothing has ended it so far."""
        return not self.ends

    @property
    def called_off(self) -> bool:
        """Whether its bytes do not count for budgets any more."""
        off = (ReplicationCancelled, ReplicationExpired)
        return bool(self.ends) and isinstance(self.ends[0][1], off)


@dataclass
class Books:
    """What is known so far; ``mistakes`` says what should not have been decided."""

    entries: dict[str, Entry] = field(default_factory=dict)
    arrivals: dict[tuple[str, str, str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """Where copies of (repository, digest) were told to be in a region."""
    removals: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Where something may have been said to be gone from a region."""
    rests_on_lost: Callable[[ReplicationPlanned], bool] = lambda _: False
    """Whether a decision may have been made before the log lost its end."""
    mistakes: list[str] = field(default_factory=list)
    ruling: Ruling = field(default_factory=lambda: parse_ruling(""))
    answered: set[tuple[str, str]] = field(default_factory=set)
    """The pairs that were decided about, whatever those decisions rested on."""
    sequence: int = 0
    """Of the message whose events are written down."""
    asked_sequence: int = 0
    """Where anybody asked for a copy last."""
    changed_sequence: int = 0
    """Where it was last told, other than by a push, what is where or may be used."""
    hidden_sequence: int = 0
    """Where it was last told what may have made a copy impossible for a while."""
    tick_sequence: int = 0
    """Where time passed last: planners look at everything then."""
    _pauses: dict[Region | None, tuple[int, bool, int]] = field(default_factory=dict)
    _place: int = 0

    def take(self, event: Event, time_ns: int) -> None:
        """Write down what *event* says, after holding it against all before."""
        self._place += 1
        fact = event.fact
        match fact:
            case ReplicationPlanned():
                self._planned(fact, time_ns)
            case ReplicationWithheld(subject=subject):
                self.answered.add((subject.digest, subject.target_region))
            case ReplicationFailed(retryable=True):
                pass
            case (
                ReplicationCompleted()
                | ReplicationFailed()
                | ReplicationCancelled()
                | ReplicationExpired()
            ):
                entry = self.entries.get(fact.subject.replication_id)
                if entry is not None:
                    entry.ends.append((self._place, fact))
            case ReplicationPaused() | ReplicationResumed():
                ends_ns = fact.operation.expire_time_ns or 0
                order = (self._place, isinstance(fact, ReplicationPaused), ends_ns)
                for region in fact.target_regions or (None,):
                    self._pauses[region] = order
            case PolicyChanged(content=content):
                self.ruling = parse_ruling(content)
                self.hidden_sequence = self.sequence
            case _:
                self._told(event)

    def _told(self, event: Event) -> None:
        """Write down what is no decision, and no order to those who decide."""
        match event.fact:
            case ContentReplicated(contents, repository):
                for content in contents:
                    key = (repository, content.digest, event.region)
                    self.arrivals[key].append(self._place)
                self.changed_sequence = self.sequence
            case ContentEvicted() | InventoryTaken():
                self.removals[event.region].append(self._place)
                self.changed_sequence = self.hidden_sequence = self.sequence
            case RegionChanged() | TagMoved():
                self.changed_sequence = self.hidden_sequence = self.sequence
            case ReplicationRequested():
                self.asked_sequence = self.sequence
            case TickPassed():
                self.tick_sequence = self.sequence
            case _:
                pass

    def paused(self, region: Region, time_ns: int) -> bool:
        """Say whether the log's orders forbid new copies into *region*."""
        orders = [self._pauses.get(where, (0, False, 0)) for where in (None, region)]
        valid = [order for order in orders if not 0 < order[2] <= time_ns]
        return max(valid, default=(0, False, 0))[1]

    def _planned(self, fact: ReplicationPlanned, time_ns: int) -> None:
        entry = Entry(self._place, time_ns, fact)
        if entry.decision_id in self.entries:
            self.mistakes.append(f"{entry.decision_id} was decided twice")
            return
        self.answered.add(entry.pair)
        if self.rests_on_lost(fact):
            return
        for mistake in self._wrong_with(entry):
            self.mistakes.append(f"{entry.decision_id} ({entry.pair}): {mistake}")
        self.entries[entry.decision_id] = entry

    def _wrong_with(self, entry: Entry) -> Iterator[str]:
        fact, rails = entry.fact, self.ruling.guardrails
        target = fact.subject.target_region
        others = [each for each in self.entries.values() if each.open]
        if any(each.pair == entry.pair for each in others):
            yield "decided while the same copy was under way"
        if self.paused(target, entry.time_ns):
            yield "decided during a pause"
        if target not in rails.permitted(TOPOLOGY, fact.subject.repository):
            yield f"decided against residency: {self.ruling.label}"
        if rails.observes and fact.trigger is not ReplicationTrigger.REQUEST:
            yield "decided while only to observe"
        into = [each for each in others if each.pair[1] == target]
        most = rails.limits.region_copies_in_flight
        stands_in_line = fact.priority != Priority.SOMEBODY_WAITS
        if most and stands_in_line and len(into) >= most:
            yield f"{len(into)} copies are on their way there, of {most}"
        yield from self._over_budget(entry)

    def _over_budget(self, entry: Entry) -> Iterator[str]:
        limits, fact = self.ruling.guardrails.limits, entry.fact
        target = fact.subject.target_region
        spent = sum(
            each.fact.transfer_bytes
            for each in self._since(entry.time_ns - HOUR_NS)
            if (each.fact.source_region, each.pair[1]) == (fact.source_region, target)
        )
        most = limits.link_bytes(fact.source_region, target)
        if most and spent >= most:
            yield f"{spent} bytes an hour were decided for the link, of {most}"
        # Of one round the larger copy may come later in the log, though decided first.
        sizes = [
            each.fact.transfer_bytes for each in self._since(entry.time_ns - DAY_NS)
        ]
        sizes.append(fact.transfer_bytes)
        most = limits.organization_bytes(ORGANIZATION)
        if most and sum(sizes) - max(sizes) >= most:
            yield f"{sum(sizes)} bytes a day were decided for {ORGANIZATION}, of {most}"

    def _since(self, time_ns: int) -> Iterator[Entry]:
        for each in self.entries.values():
            if each.time_ns > time_ns and not each.called_off:
                yield each


def kept_of(
    life: Life, rests_on_lost: Callable[[ReplicationPlanned], bool] = lambda _: False
) -> Books:
    """Return the books of one log, from its beginning to its end."""
    books, quarantine, known = Books(), Quarantine(), set[str]()
    for message in life.messages:
        quarantine.learn(message)
    for message in life.messages:
        if message.sequence > life.kept_count:
            books.rests_on_lost = rests_on_lost
        books.sequence = message.sequence
        skipped = quarantine.skipped(message.sequence)
        for item in decode_message(message, skipped).items:
            if isinstance(item, Recorded) and item.event.event_id not in known:
                known.add(item.event.event_id)
                books.take(item.event, item.store_time_ns)
    return books
