"""One line: it lets others in while it folds, and no answer sees half a message."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from typing import cast

import pytest

from placement.bench.pulls import envelopes
from placement.core import fold as folding
from placement.core.event import Recorded
from placement.core.fold import FOLD_VERSION
from placement.core.state import State
from placement.ports import EventLog, LogReplacedError, Message
from placement.runtime.line import Line
from placement.runtime.quarantine import FoldFailedError
from placement.runtime.runs import GATHER_SECONDS, RUN_BYTES_MIN
from placement.runtime.tokens import body_mark, make_token
from placement.wire.events import Encoded, decode_message, encode_message
from tests.builders import AMS, IAD, START_NS
from tests.projecting import QUICK, Host, Run, pushes

EVENT_COUNT = 512


async def message_at(host: Host, sequence: int) -> Message:
    """Return one message of a host's log."""
    found = await host.log.message(sequence)
    assert found is not None
    return found


async def folded_counts(run: Run, seen: list[tuple[int, int]]) -> None:
    """Note what each answer would see, for ever: the sequence, and events folded."""
    while True:
        state = run.view.state
        seen.append((state.sequence, state.count("folded")))
        await asyncio.sleep(0)


async def test_answers_come_between_and_never_see_half_a_message() -> None:
    """Each large message is there as a whole, though answers came while it was read."""
    host = Host()
    seen: list[tuple[int, int]] = []
    async with host.running() as run:
        watching = asyncio.create_task(folded_counts(run, seen))
        for number in range(4):
            message = encode_message(pushes(EVENT_COUNT, number * EVENT_COUNT))
            assert len(message[1]) > RUN_BYTES_MIN
            await host.log.append(*message)
        await run.until_live_at(4)
        watching.cancel()

    assert {count for _, count in seen} <= {n * EVENT_COUNT for n in range(5)}
    assert all(count == sequence * EVENT_COUNT for sequence, count in seen)
    assert seen.count((1, EVENT_COUNT)) > 3, "decoding the next one let nobody in"


async def test_message_folded_in_steps_is_the_message_folded_at_once() -> None:
    """The line beside waits between events; its state is that of a replay."""
    host = Host()
    for number in range(3):
        events = pushes(EVENT_COUNT, number * EVENT_COUNT // 2)  # half are repeats
        await host.log.append(*encode_message(events))
    async with host.running() as run:
        await run.until_live_at(3)
    host.settings = QUICK.__class__(fold_version=FOLD_VERSION + 1)

    async with host.running() as again:
        await again.until(lambda: again.view.generation > 1)
        assert again.fingerprint == await host.fingerprint() == run.fingerprint


@pytest.mark.parametrize("count", [1, EVENT_COUNT])
async def test_bug_in_any_event_names_its_message(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Large or small, the run ends at the message, with the bug as the cause."""
    host = Host()
    await host.store_each(pushes(3, 10_000))
    await host.log.append(*encode_message(pushes(count)))
    real = folding._objection  # noqa: SLF001 - where every event passes

    def failing(state: State, item: Recorded) -> str:
        if item.event.event_id == f"e{count - 1}":
            message = "a bug"
            raise KeyError(message)
        return real(state, item)

    monkeypatch.setattr(folding, "_objection", failing)
    async with host.running() as run:
        await asyncio.wait({run.task}, timeout=10)
        error = run.task.exception()

        assert isinstance(error, FoldFailedError)
        assert (error.sequence, type(error.__cause__)) == (4, KeyError)
        assert run.projector.folding == 4


async def test_tokens_of_the_run_before_are_known_by_their_messages() -> None:
    """What the checkpoint holds was folded by another process, and is read again."""
    host = Host()
    async with host.running() as run:
        first, last = await run.publish(pushes(1)), await run.publish(pushes(1, 1))
        await run.until_live_at(last.sequence)

    async with host.running() as again:
        more = await again.publish(pushes(1, 2))
        await again.until_live_at(more.sequence)

        for published in (first, last, more):
            other = make_token(published.epoch, published.sequence, body_mark(b""))
            assert await again.view.wait_for(published.token, 0)
            assert not await again.view.wait_for(other, 0)


async def test_log_that_was_rewound_and_grew_is_noticed_before_anything_is_folded() -> (
    None
):
    """A reader knows its start by the number alone; another message there is a loss."""
    host, other = Host(), Host()
    await host.store_each(pushes(3))
    await other.store_each(pushes(3, 100))
    state = State()
    folding.fold(state, decode_message(await message_at(host, 1)))
    folding.fold(state, decode_message(await message_at(host, 2)))
    line = Line(other.log, state, (await other.log.status()).epoch, shown=True)

    def passed(line: Line, *, caught_up: bool) -> None:
        del line, caught_up

    async with asyncio.timeout(10):
        await line.follow(1, passed)

    assert "another than was folded" in line.lost
    assert state.sequence == 2


class Busy:
    """A log that has the next message, an envelope of many events, whenever asked."""

    def __init__(self, envelopes: list[Encoded]) -> None:
        """Have so many."""
        self.envelopes = envelopes
        self.asked_s: list[float] = []
        """When each was asked for."""

    async def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncGenerator[Sequence[Message], None]:
        """Yield one after the other."""
        del epoch
        for number, (subject, body, _) in enumerate(self.envelopes, after_sequence + 1):
            self.asked_s.append(asyncio.get_running_loop().time())
            yield [Message(number, START_NS + number, subject, body)]
        message = "that was all"
        raise LogReplacedError(message)


async def test_more_is_waited_for_while_much_comes_all_the_time() -> None:
    """A block for each message would leave those who ask next to nothing."""
    busy, state = Busy(envelopes(0, 6, [AMS, IAD])), State()
    line = Line(cast("EventLog", busy), state, "e", shown=True)

    def passed(line: Line, *, caught_up: bool) -> None:
        del line, caught_up

    await line.follow(1, passed)

    pauses_s = [after - before for before, after in pairwise(busy.asked_s)]
    assert min(pauses_s) >= GATHER_SECONDS
    assert state.sequence == 6
    assert state.count("folded") == 600
