"""The history checker itself: each rule finds its own, and nothing in a good one.

The histories are made by hand: one good one, of which each test spoils one thing.
"""

from collections.abc import Sequence
from dataclasses import replace

from placement.core.event import Event, Identifier
from placement.core.fingerprint import fingerprint
from placement.core.fold import fold
from placement.core.state import State
from placement.ports import Message
from placement.runtime.tokens import Token, body_mark, message_mark
from placement.runtime.view import ServingState
from placement.wire.events import decode_message, encode_message
from tests.builders import AMS, FRA, SECOND_NS, START_NS, WEB, A, pulled, pushed
from tests.simulator.checker import violations
from tests.simulator.history import (
    Acknowledged,
    Answered,
    Bookmarked,
    Connected,
    Effect,
    Ended,
    History,
    Position,
    Probed,
    Question,
    held_by,
    placed,
    position_of,
)
from tests.simulator.log import Life
from tests.simulator.workload import TAGS

EPOCH = "memory-1"
QUESTION = Question(WEB, A, TAGS[0])


def stored(event: Event, sequence: int, event_id: str, later_ns: int = 0) -> Message:
    """Return *event* as the log holds it."""
    named = replace(event, event_id=Identifier(event_id))
    subject, body, _ = encode_message([named])
    time_ns = START_NS + sequence * SECOND_NS + later_ns
    return Message(sequence, time_ns, subject, body)


FACTS = [pushed("a", AMS), pushed("a", FRA), pulled("a", FRA)]
MESSAGES = [stored(fact, n, f"e{n}") for n, fact in enumerate(FACTS, 1)]


def state_at(sequence: int, messages: Sequence[Message] = MESSAGES) -> State:
    """Return what the first messages fold to."""
    state = State()
    for message in messages[:sequence]:
        fold(state, decode_message(message))
    return state


def answered(sequence: int, seconds: float, replica: str = "r1") -> Answered:
    """Return a right answer at *sequence*."""
    state = state_at(sequence)
    right = placed(state, QUESTION)
    live = ServingState.LIVE
    position = position_of(state)
    return Answered(
        *("client", replica, QUESTION, None, True, EPOCH),
        *(sequence, live, position, right, seconds),
    )


def bookmarked(sequence: int, seconds: float) -> Bookmarked:
    """Return a right bookmark at *sequence*."""
    state = state_at(sequence)
    time_ns, held = state.store_time_ns, held_by(state)
    return Bookmarked("watcher", 1, EPOCH, sequence, time_ns, held, seconds)


def good() -> History:
    """Return a history in which nothing is wrong."""
    final = state_at(3)
    position, own = position_of(final), fingerprint(final)
    return History(
        lives=[Life(EPOCH, list(MESSAGES))],
        acknowledged=[Acknowledged("publisher", f"e{n}", EPOCH, n, n) for n in (1, 2)],
        answered=[answered(1, 1.0), answered(1, 2.0, "r2"), answered(3, 3.0)],
        probed=[Probed("r1", EPOCH, position_of(state_at(2)), _fingerprint(2), 2.0)],
        bookmarked=[bookmarked(1, 1.0), bookmarked(3, 5.0)],
        connected=[Connected("watcher", 1, 0.5, 9.0, 0.1)],
        effects=[Effect("r-1", "a", "fra", 1, EPOCH, "copier")],
        ended=[Ended("r1", ServingState.LIVE, EPOCH, position, own, "")],
    )


def _fingerprint(sequence: int) -> str:
    return fingerprint(state_at(sequence))


def the_only_violation(history: History) -> str:
    """Return what the checker finds, which is one thing."""
    (found,) = violations(history, by_model=False)
    return found


def test_good_history_has_no_violation() -> None:
    """The rules do not cry wolf."""
    assert violations(good(), by_model=False) == []


def test_acknowledged_event_that_no_log_holds_is_found() -> None:
    """What a publisher was told is stored must be stored in the end."""
    history = good()

    history.acknowledged.append(Acknowledged("publisher", "e9", EPOCH, 2, 4.0))

    assert "e9, acknowledged to publisher" in the_only_violation(history)


def test_event_that_cannot_be_folded_is_not_lost() -> None:
    """The log holds it; that the fold sets it aside is another matter."""
    history = good()
    bad = MESSAGES[2]._replace(subject="placement.events.v1.syd.content_pulled")
    history.lives = [Life(EPOCH, [*MESSAGES[:2], bad])]
    history.acknowledged.append(Acknowledged("publisher", "e3", EPOCH, 3, 4.0))

    lost = [
        line for line in violations(history, by_model=False) if "acknowledged" in line
    ]

    assert lost == []


def asking(sequence: int, seconds: float, wanted: int) -> Answered:
    """Return an answer to a client that has seen *wanted* in an answer."""
    position = position_of(state_at(wanted))
    token = Token(EPOCH, wanted, message_mark(position.message_hash))
    return replace(answered(sequence, seconds), token=token, wanted=position)


def test_basis_that_goes_back_is_found() -> None:
    """A client that has seen 3 is not told that 1 is as fresh."""
    history = good()

    history.answered.append(asking(1, 4.0, wanted=3))

    assert "asked for 3, got 1" in the_only_violation(history)


def test_answer_that_says_it_is_behind_may_be_behind() -> None:
    """Who is told that it was not reached is not deceived."""
    history = good()

    history.answered.append(replace(asking(1, 4.0, wanted=3), reached=False))

    assert violations(history, by_model=False) == []


def test_token_that_was_not_reached_is_found() -> None:
    """Whoever asks for a sequence gets it, or is told that he does not."""
    history = good()

    asked = replace(answered(1, 4.0), token=Token(EPOCH, 2), client="other")
    history.answered.append(asked)

    assert "asked for 2, got 1" in the_only_violation(history)


def test_token_of_another_log_that_was_reached_is_found() -> None:
    """Positions in two logs cannot be compared."""
    history = good()

    asked = replace(answered(3, 4.0), token=Token("memory-2", 1, "b00000000"))
    history.answered.append(asked)

    assert "token of memory-2 was reached" in the_only_violation(history)


def rewound() -> History:
    """Return a good history of a log that lost its end, and has another since."""
    history = good()
    instead = stored(pushed("b", AMS), 3, "other", SECOND_NS)
    messages = [*MESSAGES[:2], instead]
    history.lives = [Life(EPOCH, list(MESSAGES)), Life(EPOCH, messages)]
    state = state_at(3, messages)
    position, right = position_of(state), placed(state, QUESTION)
    history.ended.clear()
    moved = replace(asking(3, 4.0, wanted=2), position=position, answer=right)
    history.answered.append(moved)
    return history


def test_basis_of_a_log_that_was_rewound_follows_what_is_left() -> None:
    """What was seen of the part that both lives share is there."""
    assert violations(rewound(), by_model=False) == []


def test_basis_of_another_life_under_the_same_name_is_found() -> None:
    """After a rewind a token of the lost end must not stand for what came instead."""
    history = rewound()
    lost = asking(3, 4.0, wanted=3)

    moved = replace(history.answered[-1], token=lost.token, wanted=lost.wanted)
    history.answered.append(moved)

    assert "of memory-1 is not in 3 of memory-1" in the_only_violation(history)


def test_published_event_that_another_took_the_place_of_is_found() -> None:
    """Only the body of the message is known to who stored it."""
    history = rewound()

    token = Token(EPOCH, 3, body_mark(MESSAGES[2].body))
    moved = replace(history.answered[-1], token=token, wanted=None)
    history.answered.append(moved)

    assert "of memory-1 is not in 3 of memory-1" in the_only_violation(history)


def test_stale_answer_may_go_by_the_name_alone() -> None:
    """Who has not reached the log since it was started knows no more, and says so."""
    history = rewound()
    lost = asking(3, 4.0, wanted=3)

    moved = replace(history.answered[-1], token=lost.token, wanted=lost.wanted)
    history.answered.append(replace(moved, serving=ServingState.STALE))

    assert violations(history, by_model=False) == []


def test_basis_before_its_fold_is_found() -> None:
    """A basis names what is folded, and no more."""
    history = good()

    history.answered[-1] = replace(answered(1, 3.0), sequence=3)

    assert "said sequence 3 of a state at 1" in the_only_violation(history)


def test_wrong_answer_is_found() -> None:
    """An answer is what a fresh replay answers at the same position."""
    history = good()

    history.answered[-1] = replace(history.answered[-1], answer=((), None))

    assert "where the log says" in the_only_violation(history)


def test_state_of_no_log_is_found() -> None:
    """A replica folds nothing that no log ever held."""
    history = good()

    position = Position(3, b"another message.")
    history.probed.append(Probed("r1", EPOCH, position, _fingerprint(3), 4.0))

    assert "which no log ever held" in the_only_violation(history)


def test_other_state_at_the_same_sequence_is_found() -> None:
    """Equal positions have equal fingerprints."""
    history = good()

    position = position_of(state_at(3))
    history.probed.append(Probed("r2", EPOCH, position, _fingerprint(2), 4.0))

    assert "r2 had another state at 3" in the_only_violation(history)


def test_watcher_that_missed_a_change_is_found() -> None:
    """What is held at a bookmark is the state at its sequence."""
    history = good()

    history.bookmarked[-1] = replace(history.bookmarked[-1], held=bookmarked(1, 1).held)

    assert "bookmark 3: lacks [WatchedPlacement" in the_only_violation(history)


def test_bookmark_that_names_another_sequence_is_found() -> None:
    """A token stands for what was told, and for nothing later."""
    history = good()

    history.bookmarked[-1] = replace(history.bookmarked[-1], sequence=9)

    assert "bookmark 9 of" in the_only_violation(history)


def test_bookmarks_that_go_back_are_found() -> None:
    """A watch is ordered."""
    history = good()

    history.bookmarked.append(bookmarked(1, 6.0))

    assert "went back from 3 to 1" in the_only_violation(history)


def test_silent_watch_is_found() -> None:
    """A bookmark comes at least every ten seconds, whatever happens."""
    history = good()

    history.connected[0] = replace(history.connected[0], ended_seconds=30.0)

    assert "no bookmark for 25.0 s" in the_only_violation(history)


def test_change_without_a_bookmark_is_found() -> None:
    """Changes are told with the bookmark that stands for them."""
    history = good()

    history.connected[0] = replace(history.connected[0], unmarked_seconds=4.0)

    assert "changes and no bookmark for 4.0 s" in the_only_violation(history)


def test_decision_that_took_effect_twice_is_found() -> None:
    """A decision is carried out at most once, whoever carries it out."""
    history = good()

    history.effects.append(replace(history.effects[0], by="other", trigger_sequence=2))

    assert the_only_violation(history) == "r-1 took effect 2 times"


def test_two_decisions_for_one_trigger_are_found() -> None:
    """Replicas that decide by themselves decide the same."""
    history = good()

    history.effects.append(replace(history.effects[0], decision_id="r-2"))

    assert "the copy for 1 of memory-1 to fra of a" in the_only_violation(history)


def test_replica_that_does_not_recover_is_found() -> None:
    """In the end all are LIVE, at the log's end, and equal."""
    history = good()
    ended = history.ended[0]
    history.ended = [
        replace(ended, serving=ServingState.EPOCH_BROKEN, trouble="rewound"),
        replace(ended, position=position_of(state_at(2))),
        replace(ended, fingerprint="another"),
    ]

    broken, behind, other = violations(history, by_model=False)

    assert "ended EPOCH_BROKEN at 3 of memory-1: rewound" in broken
    assert "ended at 2, the log at 3" in behind
    assert "another state than a fresh replay" in other


def test_failure_is_a_violation() -> None:
    """What nobody awaited is not lost."""
    history = good()

    history.failures.append("a callback raised")

    assert the_only_violation(history) == "a callback raised"
