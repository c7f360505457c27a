"""Runs: messages that are folded together, of a size that follows the pace."""

from placement.ports import Message
from placement.runtime.runs import (
    GATHER_SECONDS,
    RUN_BYTES_LOW,
    RUN_BYTES_MAX,
    RUN_BYTES_MIN,
    RUN_MESSAGES_MAX,
    SINGLE_MESSAGES,
    WHOLE_BYTES,
    Runs,
)
from tests.builders import START_NS

EVENTS = "placement.events.v1.ams.batch"
QUARANTINE = "placement.decisions.v1.ams.event_quarantined"


def messages(count: int, size: int, subject: str = EVENTS) -> list[Message]:
    """Return so many messages of *size* bytes."""
    return [Message(n, START_NS, subject, b"x" * size) for n in range(1, count + 1)]


def test_runs_hold_every_message_once_in_order() -> None:
    """Cutting neither loses, doubles nor moves a message."""
    batch = messages(5_000, 100)

    runs = list(Runs(0.001).cut(batch))

    assert [message for run in runs for message in run] == batch
    assert len(runs) > 1
    assert max(map(len, runs)) <= RUN_MESSAGES_MAX


def test_few_small_messages_are_not_worth_a_block() -> None:
    """What a trickle brings is folded one by one, what a backlog brings together."""
    runs = Runs(0.001)

    assert not runs.together(messages(3, 100))
    assert runs.together(messages(1, RUN_BYTES_MIN))
    assert runs.together(messages(60, 100))


def test_quarantine_is_folded_by_itself() -> None:
    """What it says is heeded before anything after it is decoded."""
    before, after = messages(2, 3_000)
    [fact] = messages(1, 9_000, QUARANTINE)
    runs = Runs(0.001)

    cut = list(runs.cut([before, fact, after]))

    assert cut == [[before], [fact], [after]]
    assert not runs.together([fact])


def test_messages_are_folded_singly_where_a_run_failed() -> None:
    """Which message it was can then be told; later ones go together again."""
    batch = messages(4, RUN_BYTES_MIN)
    runs = Runs(0.001)
    runs.careful_until = 2

    cut = list(runs.cut(batch))

    assert cut == [[batch[0]], [batch[1]], batch[2:]]
    assert [runs.together(run) for run in cut] == [False, False, True]


def test_runs_become_shorter_where_folding_takes_long_and_longer_again() -> None:
    """Whoever asks meanwhile waits about a slice, whatever the events are."""
    batch = messages(200, 1_000)
    runs = Runs(0.001)

    for _ in range(4):
        runs.took(0.01, 100, 0)
    slow = list(runs.cut(batch))
    for _ in range(20):
        runs.took(0.0001, 100, 0)
    fast = list(runs.cut(batch))

    assert max(sum(len(m.body) for m in run) for run in slow) < RUN_BYTES_LOW + 1_000
    assert len(fast) == 1
    assert sum(len(message.body) for message in fast[0]) <= RUN_BYTES_MAX


def test_runs_are_as_long_as_may_be_where_nobody_waits() -> None:
    """A replay has only itself to think of."""
    batch = messages(2_000, 1_000)
    runs = Runs(None)

    runs.took(10.0, 100, 0)
    cut = list(runs.cut(batch))

    assert all(sum(len(m.body) for m in run) >= WHOLE_BYTES for run in cut[:-1])


def test_messages_are_folded_singly_for_a_while_where_little_commutes() -> None:
    """A block of which most events are folded in their turn saves nothing."""
    batch = messages(SINGLE_MESSAGES + 60, 100)
    runs = Runs(0.001)

    runs.took(0.01, 100, 50)
    still = list(runs.cut(batch))
    runs.took(0.0001, 100, 51)
    cut = list(runs.cut(batch))

    assert max(map(len, still)) > 1
    assert [len(run) for run in cut[:SINGLE_MESSAGES]] == [1] * SINGLE_MESSAGES
    assert max(map(len, cut)) > 1
    assert not runs.together(cut[0])
    assert runs.together(messages(1, 20_000)), "an envelope is whole anyway"


def test_more_is_waited_for_where_much_comes_all_the_time() -> None:
    """Not after a few events, a pause, or what is as long as a block may be."""
    runs = Runs(0.003)
    envelope, backlog = messages(1, 24_000), messages(20, 24_000)

    assert runs.gather(envelope, 0.0)
    assert not runs.gather(envelope, 2 * GATHER_SECONDS)
    assert not runs.gather(messages(30, 300), 0.0)
    assert not runs.gather(backlog, 0.0)
    assert not runs.gather([], 0.0)
