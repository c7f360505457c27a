"""The planner when things go wrong: failures, lost regions, restarts, rivals, bugs."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from placement.adapters.memory import MemoryEventLog
from placement.core.deciding.decide import Round, decide
from placement.core.deciding.priority import Priority
from placement.core.decisions import DecisionRecord
from placement.core.event import FailureCause, RegionState, ReplicationFailed
from placement.core.oci import Descriptor, Repository
from placement.core.state import State
from placement.core.tables.cells import DecisionStatus
from placement.runtime import planner as planner_module
from placement.runtime.planner import Planner
from placement.runtime.publisher import Publisher
from placement.runtime.view import View
from tests.builders import (
    AMS,
    API,
    FRA,
    IAD,
    LHR,
    MANIFEST,
    SECOND_NS,
    SYD,
    TOPOLOGY,
    changed,
    descriptor,
    digest,
    event,
    started,
    topology_of,
)
from tests.deciding import (
    LAYER_BYTES,
    MANIFEST_BYTES,
    NO_CONTROL_GROUP,
    Office,
    release,
    requested,
    ruled,
)
from tests.planning import QUICK, PlanningRun, planning
from tests.projecting import Host

RETRY = f"{NO_CONTROL_GROUP}[limits]\nretry_seconds = 1\n"
APPS = [Repository(f"acme/app-{n}") for n in range(4)]
FILLED_AT_ONCE = 2
QUIET_SECONDS = 0.4


class Ahead:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        """Show the time."""
        self.ahead_ns = 0

    def __call__(self) -> int:
        """Return nanoseconds since 1970."""
        return time.time_ns() + self.ahead_ns


def contents_of(version: str) -> tuple[Descriptor, ...]:
    """Return what a release consists of."""
    return (
        descriptor(f"{version}-layer", LAYER_BYTES),
        descriptor(version, MANIFEST_BYTES, MANIFEST),
    )


async def fail(run: PlanningRun, decision: DecisionRecord) -> None:
    """Let a decided copy fail."""
    fact = ReplicationFailed(
        run.subject_of(decision), attempt=1, cause=FailureCause.TARGET
    )
    await run.publish(event(decision.target, fact))


async def test_failed_copy_is_tried_again_less_and_less_often() -> None:
    """After a second, then after two: each time a decision of its own."""
    async with planning(Host()) as run:
        await run.publish(ruled(RETRY), *release("v1"), requested("v1", LHR))
        for number in (1, 2):
            *_, last = await run.decided(digest("v1"), number)
            await fail(run, last)
        *_, second, third = await run.decided(digest("v1"), 3)
        first = run.about(digest("v1"))[0]

    assert second.time_ns - first.change_ns >= SECOND_NS
    assert third.time_ns - second.change_ns >= 2 * SECOND_NS
    assert third.status is DecisionStatus.PLANNED


async def test_expired_decision_is_closed_and_decided_again() -> None:
    """Nobody carried it out: an hour later it is over, and a new one is open."""
    clock = Ahead()
    async with planning(Host(), clock=clock) as run:
        await run.publish(ruled(RETRY), *release("v1"), requested("v1", LHR))
        await run.decided(digest("v1"))

        clock.ahead_ns = 3_700 * SECOND_NS
        first, second = await run.decided(digest("v1"), 2)

    assert first.status is DecisionStatus.EXPIRED
    assert second.status is DecisionStatus.PLANNED
    assert second.replication_id != first.replication_id


async def test_images_of_a_drained_region_are_repaired_within_residency() -> None:
    """Two copies there were in Europe, and there are to be two: a third region's."""
    rules = '[[residency]]\nrepositories = ["*"]\nallow = ["ams", "fra", "lhr"]\n'
    async with planning(Host()) as run:
        await run.publish(ruled(NO_CONTROL_GROUP + rules))
        for version in ("v1", "v2"):
            await run.publish(*release(version, AMS), *release(version, FRA))
        await run.ticked()
        before = run.decisions()

        await run.publish(changed(AMS, RegionState.DRAINING))
        for version in ("v1", "v2"):
            await run.decided(digest(version))
        await run.ticked()

    assert before == []
    assert [one.target for one in run.decisions()] == [LHR, LHR]
    assert {one.priority for one in run.decisions()} == {Priority.TOO_FEW}


async def test_added_region_is_filled_a_few_copies_at_a_time() -> None:
    """All that runs there is copied, and never more at once than the policy says."""
    limit = f"backfill_copies_in_flight = {FILLED_AT_ONCE}\n"
    policy = f"{NO_CONTROL_GROUP}[limits]\n{limit}"
    host = Host()
    old = topology_of(AMS, FRA, IAD, LHR, SYD, home=IAD, storing=[IAD, LHR])
    async with planning(host, topology=old) as run:
        await run.publish(ruled(policy))
        for number, app in enumerate(APPS):
            version, machine = f"v{number}", f"m{number}"
            await run.publish(*release(version, IAD, app))
            await run.publish(started(version, SYD, app, machine=machine))
        await run.ticked()
        before = run.decisions()

    async with planning(host, topology=TOPOLOGY) as run:
        for number in range(1, len(APPS) + 1):
            expected = min(number + FILLED_AT_ONCE - 1, len(APPS))
            await until_decided(run, expected)
            first = next(one for one in run.decisions() if one.open)
            _, about = run.run.view.state.placement_at(first.placement)
            version = next(f"v{n}" for n in range(9) if digest(f"v{n}") == about)
            await run.carry_out(first, *contents_of(version))
        await run.ticked()
        decided = planned_copies(run)

    assert before == []
    assert max(on_their_way(decided)) == FILLED_AT_ONCE
    assert {one.target for one in decided} == {SYD}
    assert [one.status for one in decided] == [DecisionStatus.COMPLETED] * len(APPS)


def on_their_way(decided: Sequence[DecisionRecord]) -> list[int]:
    """Return how many copies were on their way just after each decision."""
    return [
        sum(
            other.time_ns <= one.time_ns < (other.complete_ns or 2**63)
            for other in decided
        )
        for one in decided
    ]


async def test_restarted_planner_decides_nothing_twice() -> None:
    """What was decided stays so; what was only due is found by the regular look."""
    host = Host()
    async with planning(host) as run:
        await run.publish(ruled(NO_CONTROL_GROUP), *release("v1"), requested("v1", LHR))
        before = await run.decided(digest("v1"))
    async with host.running() as silent:  # nobody plans, and what is due is lost
        told = await silent.publish([requested("v1", FRA, "r2")])
        await silent.until_live_at(told.sequence)

    async with planning(host) as run:
        again = await run.decided(digest("v1"), 2)
        await run.ticked(3)
        at_last = run.about(digest("v1"))

    assert again[0] == before[0]
    assert [one.target for one in again] == [LHR, FRA]
    assert at_last == again


@pytest.mark.parametrize("count", [2, 3])
async def test_rivals_decide_each_pair_once(count: int) -> None:
    """Several services on one log: the same state, and one decision for each copy."""
    host, targets = Host(), (SYD, LHR, FRA)
    async with AsyncExitStack() as stack:
        runs = [
            await stack.enter_async_context(planning(Host(log=host.log)))
            for _ in range(count)
        ]
        await runs[0].publish(ruled(NO_CONTROL_GROUP))
        for number, app in enumerate(APPS):
            await runs[0].publish(*release(f"v{number}", IAD, app))
            wishes = [
                requested(f"v{number}", target, f"r-{number}-{target}", app)
                for target in targets
            ]
            await runs[number % count].publish(*wishes)
        for run in runs:
            await until_decided(run, len(APPS) * len(targets))
        await asyncio.gather(*(run.ticked(3) for run in runs))
        last = max(run.run.view.state.sequence for run in runs)
        for run in runs:
            await run.run.until_live_at(last)
        prints = {run.run.fingerprint for run in runs}
        decided = runs[0].decisions()
        refused = runs[0].run.view.state.count("decision_refused")

    pairs = {(one.placement, one.target) for one in decided}
    assert len(decided) == len(pairs) == len(APPS) * len(targets)
    assert refused == 0
    assert len(prints) == 1


async def until_decided(run: PlanningRun, count: int) -> None:
    """Return once so many copies were decided; those over a budget wait."""
    await run.run.until(lambda: len(planned_copies(run)) >= count)


def planned_copies(run: PlanningRun) -> list[DecisionRecord]:
    """Return the copies that were to be made, at any time."""
    deferred = DecisionStatus.DEFERRED
    return [one for one in run.decisions() if one.status is not deferred]


async def test_bug_does_not_end_planning(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was due is left out, and the next regular look finds it again."""
    failed: list[object] = []

    def fails_once(*given: object) -> Round:
        if not failed:
            failed.append(given)
            raise ZeroDivisionError
        return decide(*given)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(planner_module, "decide", fails_once)
    monkeypatch.setattr(planner_module, "BROKEN_SECONDS", 0.05)
    async with planning(Host()) as run:
        await run.publish(ruled(NO_CONTROL_GROUP), *release("v1"))
        await run.publish(requested("v1", LHR))

        (decision,) = await run.decided(digest("v1"))

    assert len(failed) == 1
    assert decision.target == LHR


def stale(view: View, state: State) -> None:
    """Let the state be one from a checkpoint, with a log that was not heard yet."""
    view.replace(state, "epoch", restored=True)


def rebuilding(view: View, state: State) -> None:
    """Let the state be on its way to the end of the log."""
    view.replace(state, "epoch", restored=False)


def broken(view: View, state: State) -> None:
    """Let the log be another one than the state's."""
    view.replace(state, "epoch", restored=False)
    view.caught_up()
    view.broken("it was replaced")


@pytest.mark.parametrize("not_live", [stale, rebuilding, broken])
async def test_service_that_is_not_live_decides_nothing(not_live: object) -> None:
    """Not even a tick: its state may lack what was decided. Then it goes on."""
    assert callable(not_live)
    office = Office().tell(ruled(NO_CONTROL_GROUP), *release("v1"))
    office.tell(requested("v1", LHR), *release("v2", repository=API))
    log, view = MemoryEventLog(time.time_ns), View(time.time_ns)
    not_live(view, office.state)
    planner = Planner(view, TOPOLOGY, Publisher(log, view), time.time_ns, QUICK)

    task = asyncio.create_task(planner.run())
    await asyncio.sleep(QUIET_SECONDS)
    before = await stored(log)
    view.replace(office.state, "epoch", restored=False)
    view.caught_up()
    await asyncio.sleep(QUIET_SECONDS)
    task.cancel()
    await asyncio.wait({task})

    assert before == []
    assert any("tick_passed" in subject for subject in await stored(log))


async def stored(log: MemoryEventLog) -> Sequence[str]:
    """Return the subjects of all messages."""
    status = await log.status()
    found = [await log.message(n) for n in range(1, status.last_sequence + 1)]
    return [one.subject for one in found if one is not None]
