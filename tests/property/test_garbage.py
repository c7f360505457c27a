"""What publishers' garbage costs: no crash in a million, and little of the throughput.

Figures of a run: ``pytest -rP -m "" tests/property/test_garbage.py``.
"""

import time
from collections.abc import Sequence
from random import Random

import pytest

from placement.core.event import Recorded
from placement.core.fold import fold
from placement.core.state import State
from placement.ports import Message
from placement.wire.events import decode_message, encode_message
from tests.builders import START_NS
from tests.figures import tell
from tests.golden_logs import every_fact
from tests.property.test_codec_laws import fuzzed

MESSAGES = 4_000
ROUNDS = 5
COST_MAX = 0.25
"""Of a good message: then half garbage costs a fifth of the throughput."""
FUZZED_COUNT = 1_000_000

Sent = tuple[str, bytes]


def seconds(sent: Sequence[Sent]) -> float:
    """Return the CPU time that a new state takes to decode and fold *sent*."""
    state = State()
    began = time.process_time()
    for sequence, (subject, body) in enumerate(sent, 1):
        message = Message(sequence, START_NS + sequence, subject, body)
        fold(state, decode_message(message))
    return time.process_time() - began


def good(count: int) -> list[Sent]:
    """Return *count* messages of one event each, every kind of fact among them."""
    told = every_fact(rounds=count // 10)
    return [encode_message([event])[:2] for event in told][:count]


def garbage(valid: Sequence[Sent], count: int) -> list[Sent]:
    """Return *count* messages that nothing of can be folded."""
    random = Random(9)
    found: list[Sent] = []
    while len(found) < count:
        subject, body = fuzzed(random, list(valid))
        read = decode_message(Message(1, START_NS, subject, body))
        if not any(isinstance(item, Recorded) for item in read.items):
            found.append((subject, body))
    return found


@pytest.mark.long
@pytest.mark.alone
def test_garbage_costs_a_quarter_of_what_good_messages_cost_at_most() -> None:
    """Nobody gains by garbage: what cannot be folded is put away sooner than folded."""
    valid = good(MESSAGES)
    spoiled = garbage(valid, len(valid))

    good_s = min(seconds(valid) for _ in range(ROUNDS))
    garbage_s = min(seconds(spoiled) for _ in range(ROUNDS))

    tell(
        "half garbage",
        good_us=good_s / MESSAGES * 1e6,
        garbage_us=garbage_s / MESSAGES * 1e6,
        cost_of_throughput=garbage_s / (good_s + garbage_s),
    )
    assert garbage_s <= COST_MAX * good_s


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_a_million_fuzzed_messages_are_each_counted() -> None:
    """Nothing crashes, and each event is folded, known already, or set aside."""
    random, state, items = Random(2026), State(), 0
    valid = good(400)

    for sequence in range(1, FUZZED_COUNT + 1):
        subject, body = fuzzed(random, valid)
        read = decode_message(Message(sequence, START_NS + sequence, subject, body))
        items += len(read.items)
        fold(state, read)

    counted = {name: state.count(name) for name in ("folded", "duplicate", "set_aside")}
    tell("a million fuzzed messages", **counted)
    assert state.sequence == FUZZED_COUNT
    assert sum(counted.values()) == items
