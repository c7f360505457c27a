"""Which policy is in force: the latest order that holds and can be read."""

import pytest

from placement.core.deciding.guardrails import Guardrails
from placement.core.deciding.ruling import (
    SHIPPED,
    UNNAMED,
    Ruling,
    parse_ruling,
    ruling_in_force,
)
from placement.core.errors import PolicyInvalidError
from placement.core.event import Document, Name, Operation, PolicyChanged, TimeNs
from placement.core.fold import fold
from placement.core.policy import DEFAULT, NAME_LENGTH_MAX, STATIC
from placement.core.state import State
from tests.builders import AMS, HOUR_NS, SECOND_NS, START_NS, event, folded, message

PATIENT = "patience = 0.5"
BROKEN = "patience = 2"
NEWER = "[weather]\nsunny = true"


def ordered(*orders: tuple[str, str] | tuple[str, str, int]) -> State:
    """Return the state after *orders*, a second apart: name, text and expiry."""
    facts = [
        PolicyChanged(
            Name(name),
            Document(text),
            Operation(expire_time_ns=TimeNs(expire[0]) if expire else None),
        )
        for name, text, *expire in orders
    ]
    return folded(*(event(AMS, fact) for fact in facts))


def in_force(state: State, now_ns: int = START_NS + HOUR_NS) -> Ruling:
    """Return the ruling an hour after the first order."""
    return ruling_in_force(state, now_ns)


def test_shipped_document_is_in_force_at_first() -> None:
    """With the numbers and guardrails of the code."""
    ruling = in_force(State())

    assert ruling == SHIPPED
    assert (ruling.policy, ruling.guardrails) == (DEFAULT, Guardrails())
    assert ruling.label == f"default@{SHIPPED.digest}"


def test_latest_order_is_in_force() -> None:
    """By its own name, with its numbers and its guardrails."""
    ruling = in_force(ordered(("one", ""), ("two", f'{PATIENT}\nmode = "observe"')))

    assert (ruling.policy.name, ruling.policy.patience) == ("two", 0.5)
    assert ruling.guardrails.observes
    assert ruling.refused == ()


def test_order_of_the_orders_is_that_of_their_times() -> None:
    """An order that comes late replaces nothing that was ordered after it."""
    state = ordered(("late", PATIENT))
    early = PolicyChanged(Name("early"), Document(""))
    fold(state, message(2, event(AMS, early, START_NS - HOUR_NS)))

    assert in_force(state).policy.name == "late"


def test_expired_order_gives_way_to_the_one_before() -> None:
    """At the very moment of its expiry."""
    end_ns = START_NS + HOUR_NS
    state = ordered(("one", PATIENT), ("two", "", end_ns))

    assert in_force(state, end_ns - 1).policy.name == "two"
    assert in_force(state, end_ns).policy.name == "one"
    assert in_force(ordered(("only", PATIENT, end_ns)), end_ns) == SHIPPED


def test_policy_without_text_is_the_built_in_one_of_its_name() -> None:
    """So that an operator may order it by name."""
    ruling = in_force(ordered(("set_60d", "")))

    assert (ruling.policy, ruling.guardrails) == (STATIC, Guardrails())


@pytest.mark.parametrize("text", [BROKEN, NEWER, "patience", "[limits]\nmin_copies=0"])
def test_policy_that_cannot_be_read_leaves_the_one_before_in_force(text: str) -> None:
    """Another version's, or a broken one: it is told by its name, and no crash."""
    ruling = in_force(ordered(("good", PATIENT), ("bad", text), ("worse", text)))

    assert ruling.policy.name == "good"
    assert ruling.refused == ("worse", "bad")
    alone = in_force(ordered(("bad", text)))
    assert (alone.policy, alone.digest) == (SHIPPED.policy, SHIPPED.digest)
    assert alone.refused == ("bad",)


def test_good_policy_after_a_broken_one_is_no_reason_to_complain() -> None:
    """What a later order replaced is of no concern any more."""
    ruling = in_force(ordered(("bad", BROKEN), ("good", PATIENT)))

    assert (ruling.policy.name, ruling.refused) == ("good", ())


def test_digest_is_that_of_name_and_text() -> None:
    """The same anywhere; another text or another name is another policy."""
    texts = ["", PATIENT, PATIENT + " "]
    rulings = [in_force(ordered((name, text))) for name in "ab" for text in texts]

    assert len({ruling.digest for ruling in rulings}) == 6
    assert rulings[0] == in_force(ordered(("a", "")))
    named = parse_ruling(f'name = "a"\n{PATIENT}')
    assert named.digest == in_force(ordered(("a", f'name = "a"\n{PATIENT}'))).digest
    assert parse_ruling("").digest == "8666e4e0e0d1"
    assert len(SHIPPED.digest) == 12


def test_name_fits_into_a_decision() -> None:
    """A fact's name may be longer than a policy's."""
    ruling = in_force(ordered(("x" * 255, "")))

    assert ruling.policy.name == "x" * NAME_LENGTH_MAX


def test_document_without_a_name_is_not_called_the_default() -> None:
    """An answer by it must not look like one by the shipped document."""
    assert parse_ruling(PATIENT).policy.name == UNNAMED
    assert parse_ruling('name = "mine"').policy.name == "mine"


@pytest.mark.parametrize(
    ("text", "field"),
    [(BROKEN, "patience"), (NEWER, "weather"), ("[keep]\nx = 1", "keep.x")],
)
def test_error_names_the_key_in_the_callers_field(text: str, field: str) -> None:
    """Of the numbers as of the guardrails."""
    with pytest.raises(PolicyInvalidError) as error:
        parse_ruling(text, "policy_content")

    assert error.value.field == f"policy_content.{field}"


def test_ruling_is_the_same_whenever_it_is_asked() -> None:
    """What was parsed before cannot change an answer."""
    states = [ordered((f"p{n}", f"patience = {n / 200}")) for n in range(100)]

    once = [in_force(state) for state in states]
    again = [in_force(state, START_NS + 2 * SECOND_NS) for state in reversed(states)]

    assert once == again[::-1]
