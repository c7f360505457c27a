"""As-of answers are those that a service stopped at that message gives, bit for bit.

With PLACEMENT_LONG=1 at 100 random messages of each log; ``pytest -rP`` says how many
answers that were.
"""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Final

import pytest

from placement.core.fold import fold
from placement.core.state import State
from placement.ports import Message
from placement.wire.events import decode_message
from tests.golden_logs import every_fact_log
from tests.past import (
    REFUSED,
    captured_log,
    folded_to,
    keep,
    live_view,
    older_files,
    past_of,
    questions,
    serving,
    stored,
    view_of,
)

LONG: Final = bool(os.environ.get("PLACEMENT_LONG"))
POINTS: Final = 100 if LONG else 3


def drawn(messages: Sequence[Message], chance: Random) -> list[int]:
    """Return random messages of a log, by sequence."""
    count = min(POINTS, len(messages))
    return sorted(chance.sample(range(1, len(messages) + 1), count))


def log_of(name: str) -> list[Message]:
    """Return the log that is called so: what a registry said, or made of a seed."""
    return captured_log() if name == "captured" else every_fact_log(int(name))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["captured", "7", *(["20261123"] if LONG else [])])
async def test_answers_are_those_of_a_service_that_stopped_there(
    name: str, tmp_path: Path
) -> None:
    """All calls, compared as bytes, from checkpoints and from the log's start."""
    messages = log_of(name)
    chance = Random(len(messages))
    log, view, older = (
        await stored(messages),
        live_view(messages),
        older_files(tmp_path),
    )
    for part in (3, 2):
        await keep(older, tmp_path, folded_to(messages, len(messages) // part))
    compared: Counter[str] = Counter()
    refusals = 0
    async with AsyncExitStack() as stack:
        live = await stack.enter_async_context(
            serving(log, view, past_of(log, view, older))
        )
        stopped_state = State()
        stopped = await stack.enter_async_context(serving(log, view_of(stopped_state)))
        for sequence in drawn(messages, chance):
            for message in messages[stopped_state.sequence : sequence]:
                fold(stopped_state, decode_message(message))
            stopped.view.caught_up()
            for question in questions(view.state, chance):
                found = await live.answer(question, sequence)
                assert found == await stopped.answer(question), (sequence, question)
                compared[question[0]] += 1
                refusals += found.startswith(REFUSED.encode())

    assert live.past is not None
    assert live.past.counts["failed"] == 0
    print(f"{sum(compared.values())} answers compared, {refusals} of them refusals")  # noqa: T201 - the figures
    print(dict(live.past.counts), f"{live.past.seconds:.2f} s folding")  # noqa: T201
