"""What must never become of decisions, whoever decided them and whatever failed.

The rules are held against the books of every log that there was, and against what was
carried out. What a rewind took away counts for nobody: its decisions are in no book of
the log that goes on, and may be decided, and carried out, anew.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from itertools import combinations

from placement.core.copies import Image, copy_into
from placement.core.event import (
    Recorded,
    RegionState,
    ReplicationCompleted,
    ReplicationPlanned,
    TickPassed,
)
from placement.core.fingerprint import CanonicalRow
from placement.core.fold import fold
from placement.core.network import Network
from placement.core.state import State
from placement.core.tables.cells import Wanted
from placement.core.tables.keys import PAIR
from placement.core.tables.table import Row
from placement.runtime.quarantine import Quarantine
from placement.wire.events import decode_message
from tests.builders import SECOND_NS, START_NS, digest, rows_of
from tests.simulator.books import Books, Entry, kept_of
from tests.simulator.deciders import COPIERS
from tests.simulator.history import Answered, Bookmarked, Effect, History, Probed
from tests.simulator.log import Life
from tests.simulator.workload import DISPUTED, TOPOLOGY

DEMAND = ("use", "demand", "membership", "burst")
"""The rows of a state that say what is used, and where."""


def broken_promises(history: History, final: State) -> Iterator[str]:
    """Yield what was decided or carried out and should not have been.

    *final* is the state at the end of the log that remains.
    """
    names = _first_heard(history)
    all_books = [
        kept_of(life, partial(_rests_on_lost, life, names) if number else _on_all)
        for number, life in enumerate(history.lives)
    ]
    found = dict.fromkeys(line for books in all_books for line in books.mistakes)
    for books in all_books:
        found |= dict.fromkeys(_carried_out_again(books, history.effects))
    yield from found
    if final.count("decision_refused") and len(history.lives) == 1:
        yield f"{final.count('decision_refused')} stored decisions were refused"
    if not history.stored and _demand(history.lives[-1], final):
        yield "copies of ours count as demand"
    yield from _unanswered(history.lives[-1], all_books[-1], final)


def _first_heard(history: History) -> dict[str, float]:
    """Return when each name of an epoch was heard first, seconds."""
    heard: dict[str, float] = {}
    records: list[Answered | Probed | Bookmarked] = []
    records += history.answered
    records += history.probed
    records += history.bookmarked
    for record in records:
        seconds = min(record.seconds, heard.get(record.epoch, record.seconds))
        heard[record.epoch] = seconds
    return heard


def _on_all(_: ReplicationPlanned) -> bool:
    """Say that nothing was lost before the first log."""
    return False


def _rests_on_lost(
    life: Life, names: Mapping[str, float], fact: ReplicationPlanned
) -> bool:
    """Say whether a decision in *life* is of an epoch that is not known to be its own.

    Whoever decided before the log was rewound, and stores after, rests on messages that
    are gone. The log takes that once, where it has no later decision: its rule is about
    decisions, and knows nothing of the rest.
    """
    subject, since = fact.subject, (life.began_ns - START_NS) / SECOND_NS
    policy = fact.policy.rpartition("@")[2]
    about = (subject.digest, subject.target_region, str(fact.trigger_sequence), policy)
    for name, seconds in names.items():
        named = "\n".join((*about, name)).encode()
        own_id = f"r-{blake2b(named, digest_size=12).hexdigest()}"
        if own_id == subject.replication_id:
            return seconds < since
    return True


def _carried_out_again(books: Books, effects: list[Effect]) -> Iterator[str]:
    """Yield copies of what an earlier copy had brought, and nothing had taken away."""
    by_pair: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for effect in effects:
        entry = books.entries.get(effect.decision_id)
        if entry is not None:
            by_pair[entry.pair].append(entry)
    for pair, entries in by_pair.items():
        ordered = sorted(entries, key=lambda entry: entry.place)
        for first, again in combinations(ordered, 2):
            if pair[0] != digest(DISPUTED) and _is_there(books, first, again):
                yield (
                    f"{again.decision_id} brought {pair} once more, which was there"
                    f" since {first.decision_id}"
                )


def _is_there(books: Books, first: Entry, again: Entry) -> bool:
    """Say whether the log knew of *first* being done when *again* was decided."""
    repository, region = first.fact.subject.repository, first.pair[1]
    done = bool(first.ends) and isinstance(first.ends[0][1], ReplicationCompleted)
    if not done or repository != again.fact.subject.repository:
        return False
    between = range(first.place, again.place)
    arrived = books.arrivals.get((repository, first.pair[0], region), ())
    gone = books.removals.get(region, ())
    told = any(place in between for place in arrived)
    return told and not any(place in between for place in gone)


def _demand(life: Life, final: State) -> Counter[CanonicalRow]:
    """Return where demand differs from that of a log in which nothing was copied.

    What is believed of disputed content depends on who spoke first: it says nothing.
    """
    without, quarantine = State(), Quarantine()
    for message in life.messages:
        quarantine.learn(message)
    for message in life.messages:
        decoded = decode_message(message, quarantine.skipped(message.sequence))
        items = tuple(
            replace(item, event=replace(item.event, fact=TickPassed(0)))
            if isinstance(item, Recorded) and item.event.event_id.startswith(COPIERS)
            else item
            for item in decoded.items
        )
        fold(without, replace(decoded, items=items))
    if without.count("set_aside") != final.count("set_aside"):
        return Counter()
    return Counter(_uses(final)) - Counter(_uses(without))


def _uses(state: State) -> Iterator[CanonicalRow]:
    return (row for row in rows_of(state) if row[0] in DEMAND)


def _unanswered(life: Life, books: Books, final: State) -> Iterator[str]:
    """Yield copies that were asked for, are possible, and were never decided about.

    Where a copy was not possible as it was asked for, or may not have been after the
    last request, and content came by itself, planners may find out at a tick only.
    """
    network = Network(final, TOPOLOGY, final.store_time_ns)
    for key, row in final.wanted.rows():
        placement, region = map(Row, PAIR.unpack(key))
        repository, wanted = final.placement_at(placement)
        target = final.region_at(region)
        permitted = books.ruling.guardrails.permitted(TOPOLOGY, repository)
        active = network.region_state(target) is RegionState.ACTIVE
        paused = books.paused(target, final.store_time_ns)
        if target not in permitted or paused or not active:
            continue
        image = Image(repository, wanted)
        copy = copy_into(network, image, target, target)
        if copy is None or (wanted, target) in books.answered:
            continue
        asked_sequence = final.wanted.get(row, Wanted.SEQUENCE)
        since = max(asked_sequence, books.tick_sequence)
        if books.changed_sequence > since:
            then = Network(_state_at(life, since), TOPOLOGY, final.store_time_ns)
            possible = copy_into(then, image, target, target) is not None
            hidden = books.hidden_sequence > max(since, books.asked_sequence)
            if hidden or not possible:
                continue
        yield f"nobody answered the request for {wanted} in {target}"


def _state_at(life: Life, sequence: int) -> State:
    """Return the state as it was at a message."""
    state, quarantine = State(), Quarantine()
    for message in life.messages:
        quarantine.learn(message)
    for message in life.messages:
        if message.sequence > sequence:
            break
        fold(state, decode_message(message, quarantine.skipped(message.sequence)))
    return state
