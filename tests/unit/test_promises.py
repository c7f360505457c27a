"""The simulator's rules about decisions find what breaks them, and nothing else."""

from dataclasses import replace

import pytest

from placement.core.deciding.priority import Priority
from placement.core.event import (
    ContentEvicted,
    ContentPushed,
    ContentReplicated,
    Document,
    Event,
    Fact,
    Identifier,
    Name,
    Operation,
    PolicyChanged,
    ReplicationCancelled,
    ReplicationCompleted,
    ReplicationFailed,
    ReplicationPaused,
    ReplicationPlanned,
    ReplicationRequested,
    ReplicationResumed,
    ReplicationSubject,
    ReplicationTrigger,
    TimeNs,
)
from placement.core.topology import Region
from placement.ports import Message
from placement.wire.events import encode_message
from tests.builders import (
    AMS,
    IAD,
    SECOND_NS,
    SIZE,
    START_NS,
    SYD,
    WEB,
    digest,
    event,
    released,
)
from tests.simulator.books import kept_of
from tests.simulator.history import Effect, History
from tests.simulator.log import Life
from tests.simulator.promises import broken_promises
from tests.simulator.reference import Reference

EPOCH = "memory-1"


def life_of(*facts: Fact | Event) -> Life:
    """Return a log in which one thing is told each second."""
    messages = []
    for sequence, fact in enumerate(facts, start=1):
        told = fact if isinstance(fact, Event) else event(IAD, fact)
        named = replace(told, event_id=Identifier(f"e{sequence}"))
        subject, body, _ = encode_message([named])
        stored_ns = START_NS + sequence * SECOND_NS
        messages.append(Message(sequence, stored_ns, subject, body))
    return Life(EPOCH, messages)


def subject(number: int, name: str, target: Region = SYD) -> ReplicationSubject:
    """Return what the decision of that number is about."""
    return ReplicationSubject(Identifier(f"r-{number}"), WEB, digest(name), target)


def planned(
    number: int,
    name: str,
    trigger: ReplicationTrigger = ReplicationTrigger.PUSH,
    priority: Priority = Priority.FORESEEN,
) -> ReplicationPlanned:
    """Return a decision to copy content from IAD into SYD."""
    about = subject(number, name)
    return ReplicationPlanned(about, IAD, SIZE, trigger, number, priority=priority)


def policy(text: str) -> PolicyChanged:
    """Return the order to decide by *text* from now on."""
    return PolicyChanged(Name("test"), Document(text))


DONE = ReplicationCompleted(subject(1, "1"), SIZE, attempt=1)
OFF = ReplicationCancelled(subject(1, "1"))
FAILED = ReplicationFailed(subject(1, "1"))
AGAIN = ReplicationFailed(subject(1, "1"), retryable=True)
ENDS = TimeNs(START_NS + 2 * SECOND_NS)
"""The time at which the second message is stored."""
SOON = ReplicationPaused((), Operation(expire_time_ns=ENDS))
HERE = ReplicationPaused((SYD,))
ONE_COPY = policy("[limits]\nregion_copies_in_flight = 1\n")
LINK = policy(f"[limits]\nlink_bytes_per_hour = {SIZE}\n")
OWNER = policy(f"[limits]\norganization_bytes_per_day = {SIZE}\n")
EUROPE = policy('[[residency]]\nrepositories = ["acme/*"]\nallow = ["ams"]\n')
OBSERVED = policy('mode = "observe"\n')
REQUEST = ReplicationTrigger.REQUEST
WAITS = Priority.SOMEBODY_WAITS


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ((planned(1, "1"), planned(1, "1")), "twice"),
        ((planned(1, "1"), planned(2, "1")), "under way"),
        ((planned(1, "1"), AGAIN, planned(2, "1")), "under way"),
        ((ReplicationPaused(), planned(1, "1")), "pause"),
        ((HERE, planned(1, "1")), "pause"),
        ((HERE, ReplicationResumed((AMS,)), planned(1, "1")), "pause"),
        ((EUROPE, planned(1, "1")), "residency"),
        ((OBSERVED, planned(1, "1")), "observe"),
        ((ONE_COPY, planned(1, "1"), planned(2, "2")), "on their way"),
        ((LINK, planned(1, "1"), DONE, planned(2, "2")), "for the link"),
        ((LINK, planned(1, "1"), planned(2, "2", priority=WAITS)), "for the link"),
        ((OWNER, planned(1, "1"), planned(2, "2")), "for acme"),
    ],
)
def test_decision_against_a_rule_is_a_mistake(
    facts: tuple[Fact, ...], said: str
) -> None:
    """Each rule by the log alone: orders and decisions before it."""
    books = kept_of(life_of(*facts))

    assert len(books.mistakes) == 1
    assert said in books.mistakes[0]


@pytest.mark.parametrize(
    "facts",
    [
        (planned(1, "1"), DONE, planned(2, "1")),
        (planned(1, "1"), FAILED, planned(2, "1")),
        (planned(1, "1"), OFF, planned(2, "1")),
        (HERE, ReplicationResumed(), planned(1, "1")),
        (ReplicationPaused((AMS,)), planned(1, "1")),
        (SOON, planned(1, "1")),
        (EUROPE, policy(""), planned(1, "1")),
        (OBSERVED, planned(1, "1", REQUEST)),
        (ONE_COPY, planned(1, "1"), planned(2, "2", priority=WAITS)),
        (ONE_COPY, planned(1, "1"), DONE, planned(2, "2")),
        (LINK, planned(1, "1")),
        (LINK, planned(1, "1"), OFF, planned(2, "2")),
    ],
)
def test_decision_within_all_rules_is_none(facts: tuple[Fact, ...]) -> None:
    """What was ended, resumed, allowed again or called off is in nobody's way."""
    assert kept_of(life_of(*facts)).mistakes == []


def said_of(life: Life, *done: int) -> list[str]:
    """Return what is wrong where the decisions of these numbers were carried out."""
    effects = [
        Effect(f"r-{number}", digest("1"), SYD, number, EPOCH, "copier", WEB)
        for number in done
    ]
    history = History(lives=[life], effects=effects)
    return list(broken_promises(history, Reference([life]).replay()[-1]))


def test_copy_of_what_an_earlier_copy_brought_is_found() -> None:
    """Done, told, nothing removed, and copied once more."""
    push = released("1", IAD)
    assert isinstance(push.fact, ContentPushed)
    there = event(SYD, ContentReplicated((push.fact.content,), WEB))
    gone = event(SYD, ContentEvicted(WEB, (digest("1"),)))

    done = event(SYD, done_of(2))
    again = life_of(push, planned(2, "1"), there, done, planned(5, "1"))
    after = life_of(push, planned(2, "1"), there, done, gone, planned(6, "1"))

    assert [line for line in said_of(again, 2, 5) if "once more" in line]
    assert said_of(again, 2) == said_of(after, 2, 6) == []


def done_of(number: int) -> ReplicationCompleted:
    """Return the report that the copy is there."""
    return ReplicationCompleted(subject(number, "1"), SIZE, attempt=1)


def test_request_that_nobody_answered_is_found() -> None:
    """It is possible and allowed, and nothing was decided; a pause is an answer."""
    push = released("1", IAD)
    asked = ReplicationRequested(Identifier("q"), WEB, digest("1"), SYD)

    assert "nobody answered" in said_of(life_of(push, asked))[0]
    assert said_of(life_of(push, asked, ReplicationPaused())) == []
    assert said_of(life_of(push, asked, planned(2, "1"))) == []
