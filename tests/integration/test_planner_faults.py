"""The planner where something goes wrong: copies that vanish, spent budgets, no log."""

import asyncio
import time
from collections import Counter

import pytest

from placement.core.event import (
    Document,
    Event,
    Identifier,
    Name,
    PolicyChanged,
    ReplicationCompleted,
    ReplicationRequested,
    ReplicationTrigger,
)
from placement.core.oci import Tag
from placement.core.tables.table import Row
from placement.runtime.planner import Planner
from placement.runtime.publisher import Publisher
from placement.runtime.view import ServingState, View
from tests.builders import IAD, LHR, TOPOLOGY, WEB, digest, event, released
from tests.planning import QUICK, planning
from tests.projecting import Host

LOOK_SECONDS = 0.5


def request(reference: str, request_id: str) -> Event:
    """Return somebody's wish to have an image in LHR."""
    fact = ReplicationRequested(Identifier(request_id), WEB, Tag(reference), LHR)
    return event(LHR, fact)


async def test_copy_that_never_arrives_is_not_made_over_and_over() -> None:
    """Told to be done, and not there: it is tried again later, not at each tick."""
    async with planning(Host()) as run:
        await run.publish(released("image", IAD))
        await run.publish(request("v1", "r1"))
        (decision,) = await run.decided(digest("image"))
        subject = run.subject_of(decision)
        done = ReplicationCompleted(subject, decision.transfer_bytes, attempt=1)

        await run.publish(event(LHR, done))
        await run.ticked(4)

        assert len(run.about(digest("image"))) == 1


async def test_spent_budget_is_told_once() -> None:
    """What waits for a budget is looked at with each tick, and recorded once."""
    budget = Document("[limits]\nlink_bytes_per_hour = 1\n")
    async with planning(Host()) as run:
        await run.publish(event(IAD, PolicyChanged(Name("tight"), budget)))
        await run.publish(released("image", IAD), released("other", IAD, tag="v2"))
        await run.publish(request("v1", "r1"))
        await run.decided(digest("image"))
        await run.publish(request("v2", "r2"))
        await run.decided(digest("other"))

        await run.ticked(4)

        assert len(run.about(digest("other"))) == 1


async def test_what_cannot_be_decided_now_is_waited_for_and_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While the state is not up to date, nothing is taken, and nobody spins."""
    view, host = View(time.time_ns), Host()
    publisher = Publisher(host.log, view)
    planner = Planner(view, TOPOLOGY, publisher, time.time_ns, QUICK)
    steps: Counter[str] = Counter()
    original = planner._step  # noqa: SLF001 - the only place where each turn passes

    async def counted() -> None:
        steps["step"] += 1
        await original()

    monkeypatch.setattr(planner, "_step", counted)
    view.state.indexes.agenda.note(Row(0), ReplicationTrigger.PUSH, 1)
    task = asyncio.create_task(planner.run())
    await asyncio.sleep(LOOK_SECONDS)
    task.cancel()
    await asyncio.wait({task})

    assert view.serving_state() is ServingState.REBUILDING
    assert len(view.state.indexes.agenda) == 1
    assert 1 <= steps["step"] <= 2 * LOOK_SECONDS / QUICK.retry_seconds
