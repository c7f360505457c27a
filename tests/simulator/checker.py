"""Holds a history against the logs that there were: what must never have happened.

Each rule returns its violations in words; no rule trusts what a replica says of itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from google.protobuf.message import DecodeError

from placement.core.fingerprint import fingerprint, fingerprint_of
from placement.core.state import State
from placement.ports import Message
from placement.runtime.epochs import identity
from placement.runtime.tokens import Token
from placement.runtime.view import ServingState
from placement.v1 import events_pb2 as pb
from placement.wire.events import BATCH, decode_message
from tests.builders import SECOND_NS, START_NS
from tests.model import Model
from tests.simulator.history import (
    Answered,
    Bookmarked,
    History,
    Mirrored,
    Position,
    Probed,
    held_by,
    placed,
)
from tests.simulator.kept import broken_keeping, not_converged, unlike_mirror
from tests.simulator.log import Life
from tests.simulator.promises import broken_promises
from tests.simulator.reference import Reference

BOOKMARK_SECONDS_MAX = 12.0
"""The contract says ten; the way from a replica to a watcher takes a while."""
UNMARKED_SECONDS_MAX = 3.0
"""Changes are told together with the bookmark that stands for them."""


def violations(history: History, *, by_model: bool = True) -> list[str]:
    """Return everything in *history* that must not be, the worst first.

    *by_model* compares the remaining log with the readable model, too.
    """
    reference = Reference(history.lives)
    found = list(history.failures)
    found += _unknown_positions(history, reference)
    found += _bases_gone_back(history, reference)
    found += _bookmarks(history, reference)
    mistakes: list[str] = []
    _compare(history, reference, mistakes)
    final = reference.replay()[-1]
    found += mistakes
    found += _lost(history)
    found += _doubled_effects(history)
    found += broken_promises(history, final)
    found += broken_keeping(history, final)
    found += not_converged(history, final)
    if by_model:
        found += _unlike_the_model(history.lives[-1], final)
    return found


# Positions: what is answered or probed rests on a log that there was.


def _positions(history: History) -> Iterator[tuple[str, Position]]:
    for answered in history.answered:
        yield f"{answered.replica}'s answer to {answered.client}", answered.position
    for probed in history.probed:
        yield f"{probed.replica}'s state", probed.position


def _unknown_positions(history: History, reference: Reference) -> Iterator[str]:
    for what, position in _positions(history):
        if not reference.knows(position):
            yield f"{what} rests on {position}, which no log ever held"
    for answered in history.answered:
        if answered.sequence != answered.position.sequence:
            yield (
                f"{answered.replica} said sequence {answered.sequence} of a state at"
                f" {answered.position.sequence}"
            )


# Bases: who asks with a token sees all that it stands for, or is told that he does not.


def _bases_gone_back(history: History, reference: Reference) -> Iterator[str]:
    for answered in history.answered:
        if not answered.reached:
            continue
        who = f"{answered.client} at {answered.seconds:.3f} s by {answered.replica}"
        lie = _lie(answered, reference)
        if lie:
            yield f"{who}: {lie}"


def _lie(answered: Answered, reference: Reference) -> str:
    """Return why the token was not reached, though that was said; empty: it was."""
    token, wanted, given = answered.token, answered.wanted, answered.position
    if token is None:
        return ""
    if identity(token.epoch) != identity(answered.epoch):
        return f"a token of {token.epoch} was reached in {answered.epoch}"
    if answered.sequence < token.sequence:
        return f"asked for {token.sequence}, got {answered.sequence}"
    if not reference.knows(given):
        return ""
    if wanted is not None and reference.knows(wanted):
        reached = reference.follows(wanted, given)
    elif token.mark:
        reached = token.mark in reference.marks(given, token.sequence)
    else:
        reached = token.epoch == answered.epoch
    if not reached and _by_name_alone(answered, token):
        return ""
    told = f"{token.sequence} {token.mark} of {token.epoch}"
    return "" if reached else f"{told} is not in {given.sequence} of {answered.epoch}"


def _by_name_alone(answered: Answered, token: Token) -> bool:
    """Say whether a replica could do no better, and said so.

    One that was started and has not reached the log yet knows of the messages in its
    checkpoint only what epoch they are of; its answers are marked STALE.
    """
    return answered.serving is ServingState.STALE and token.epoch == answered.epoch


# Watches: ordered, without gaps, and never silent.


def _bookmarks(history: History, reference: Reference) -> Iterator[str]:
    sessions: dict[tuple[str, int], list[Bookmarked]] = defaultdict(list)
    for marked in history.bookmarked:
        sessions[marked.watcher, marked.session].append(marked)
        if reference.find(marked.sequence, marked.store_time_ns) is None:
            yield (
                f"{marked.watcher} got a bookmark {marked.sequence} of"
                f" {marked.store_time_ns} ns, which no log ever held"
            )
    for (watcher, _), marks in sessions.items():
        for earlier, later in pairwise(marks):
            if earlier.epoch == later.epoch and earlier.sequence > later.sequence:
                yield (
                    f"{watcher}'s bookmarks went back from {earlier.sequence} to"
                    f" {later.sequence}"
                )
    for connected in history.connected:
        times = [connected.began_seconds]
        times += (
            marked.seconds
            for marked in sessions.get((connected.watcher, connected.session), ())
        )
        times.append(connected.ended_seconds)
        silence = max(b - a for a, b in pairwise(times))
        if silence > BOOKMARK_SECONDS_MAX:
            yield f"{connected.watcher} got no bookmark for {silence:.1f} s"
        if connected.unmarked_seconds > UNMARKED_SECONDS_MAX:
            yield (
                f"{connected.watcher} got changes and no bookmark for"
                f" {connected.unmarked_seconds:.1f} s"
            )


# States: equal to a fresh replay, wherever somebody looked.


def _compare(history: History, reference: Reference, found: list[str]) -> None:
    """Ask *reference* to compare all that was said; violations go to *found*."""
    for answered in history.answered:
        if reference.knows(answered.position):
            reference.at(answered.position, partial(_check_answer, found, answered))
    for probed in history.probed:
        if reference.knows(probed.position):
            reference.at(probed.position, partial(_check_probe, found, probed))
    for marked in history.bookmarked:
        position = reference.find(marked.sequence, marked.store_time_ns)
        if position is not None:
            reference.at(position, partial(_check_watch, found, marked))
    for mirrored in history.mirrored:
        position = reference.find(mirrored.sequence, mirrored.store_time_ns)
        if position is None:
            found.append(f"{mirrored.follower} is at {mirrored.sequence} of no log")
        else:
            reference.at(position, partial(_check_mirror, found, mirrored))


def _check_mirror(found: list[str], mirrored: Mirrored, state: State) -> None:
    found += unlike_mirror(mirrored, state)


def _check_answer(found: list[str], answered: Answered, state: State) -> None:
    right = placed(state, answered.question)
    if answered.answer != right:
        found.append(
            f"{answered.replica} answered {answered.answer} at {answered.sequence}"
            f" to {answered.question}, where the log says {right}"
        )


def _check_probe(found: list[str], probed: Probed, state: State) -> None:
    if probed.fingerprint != fingerprint(state):
        found.append(
            f"{probed.replica} had another state at {probed.position.sequence} of"
            f" {probed.epoch} ({probed.seconds:.3f} s) than a fresh replay"
        )


def _check_watch(found: list[str], marked: Bookmarked, state: State) -> None:
    right = held_by(state)
    if marked.held != right:
        missing = [item for item in right if item not in marked.held]
        surplus = [item for item in marked.held if item not in right]
        found.append(
            f"{marked.watcher} at {marked.seconds:.3f} s, bookmark {marked.sequence}:"
            f" lacks {missing}, and holds {surplus}"
        )


# The end: nothing acknowledged is lost, nothing happened twice, all are up to date.


def _lost(history: History) -> Iterator[str]:
    kept = {
        own_id for message in history.lives[-1].messages for own_id in _ids(message)
    }
    stored_ns = _first_stored(history)
    for acknowledged in history.acknowledged:
        event_id = acknowledged.event_id
        time_ns = START_NS + round(acknowledged.seconds * SECOND_NS)
        fault = ""
        if stored_ns.get(event_id, time_ns + 1) > time_ns:
            fault = "was in no log by then"
        elif event_id not in kept:
            fault = "is not in the log that remains"
        if fault:
            yield (
                f"event {event_id}, acknowledged to {acknowledged.publisher} at"
                f" {acknowledged.sequence} of {acknowledged.epoch}, {fault}"
            )


def _first_stored(history: History) -> dict[str, int]:
    """Return when each event was stored first, in any of the logs."""
    stored_ns: dict[str, int] = {}
    for life in history.lives:
        for message in life.messages:
            for own_id in _ids(message):
                stored_ns.setdefault(own_id, message.store_time_ns)
    return stored_ns


def _ids(message: Message) -> list[str]:
    """Return the ids of the events in *message*, those that no fold believes too."""
    batch = message.subject.endswith(f".{BATCH}")
    try:
        events = [] if batch else [pb.Event.FromString(message.body)]
        events += pb.EventBatch.FromString(message.body).events if batch else []
    except DecodeError:
        return []
    return [event.event_id for event in events]


def _doubled_effects(history: History) -> Iterator[str]:
    """Yield what was carried out twice, in the same epoch or as the same decision.

    Of a log that was rewound one name may stand for two histories, in which a trigger's
    sequence is of different messages: there only the decisions themselves count.
    """
    done = Counter(effect.decision_id for effect in history.effects)
    names = Counter(life.epoch for life in history.lives)
    done.update(
        f"the copy for {effect.trigger_sequence} of {effect.epoch} to {effect.region}"
        f" of {effect.digest}"
        for effect in history.effects
        if names[identity(effect.epoch)] == 1
    )
    for what, count in done.items():
        if count > 1:
            yield f"{what} took effect {count} times"


def _unlike_the_model(life: Life, final: State) -> Iterator[str]:
    model = Model()
    for message in life.messages:
        model.fold(decode_message(message))
    if fingerprint_of(model.rows()) != fingerprint(final):
        yield "the fold of the remaining log is not what the readable model makes of it"
