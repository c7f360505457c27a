"""A log that was rewound, replaced or trimmed: what is answered, what comes next."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from placement.core.event import Event, Identifier, InventoryTaken, TimeNs
from placement.core.topology import Region
from placement.faults import FaultPoint, armed
from placement.ports import LogReplacedError, LogStatus
from placement.runtime import projector
from placement.runtime.publisher import Outcome
from placement.runtime.view import ServingState
from tests.builders import AMS, IAD
from tests.projecting import QUICK, Host, Run, pushes

SOON_S = 0.02


@pytest.fixture(autouse=True)
def _watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the log often, so that a test takes no longer than it must."""
    monkeypatch.setattr(projector, "WATCH_SECONDS", 0.05)


def inventory(region: Region, *, complete: bool = True) -> Event:
    """Return the last page of a scan of *region*, or one before it."""
    fact = InventoryTaken(TimeNs(time.time_ns()), complete)
    return Event(Identifier(f"scan-{region}-{complete}"), region, fact)


def past(run: Run, generation: int) -> bool:
    """Say whether another state took over since *generation*."""
    return run.view.generation > generation


class Crash(BaseException):
    """Ends a run where it stands, as a kill would."""


def at(point: FaultPoint) -> Callable[[FaultPoint], None]:
    """Return an action that crashes when *point* is reached for the first time."""
    left = [point]

    def action(reached: FaultPoint) -> None:
        if reached in left:
            left.remove(reached)
            raise Crash

    return action


async def test_rewound_log_is_folded_beside_and_takes_over() -> None:
    """Old answers until then, of the old epoch; afterwards a name of its own."""
    host = Host()
    await host.store_each(pushes(100))
    async with host.running() as run:
        await run.until_live_at(100)
        before, token = run.fingerprint, run.view.basis().token
        seen = []

        def look() -> bool:
            basis = run.view.basis()
            seen.append((basis.epoch, basis.sequence, basis.state))
            return run.view.generation > 1

        host.log.rewind(95)
        await host.store_each(pushes(2, 200))
        await run.until(look)
        await run.until_live_at(97)

        assert run.view.epoch.startswith("memory-1~1-")
        assert run.fingerprint == await host.fingerprint() != before
        assert not await run.view.wait_for(token, SOON_S)
        old = {(epoch, sequence) for epoch, sequence, _ in seen[:-1]}
        assert old == {("memory-1", 100)}
        assert ServingState.EPOCH_BROKEN in {state for *_, state in seen}

    ((reason, aside),) = host.store.discarded
    assert "100" in reason
    assert aside.sequence == 100
    async with host.running() as again:
        assert again.view.epoch == run.view.epoch
        await again.until_live_at(97)
        assert again.view.epoch == run.view.epoch


async def test_token_of_what_is_stored_in_a_broken_epoch_comes_true() -> None:
    """Before, while and after the break is noticed: no token means an old answer."""
    host = Host()
    await host.store_each(pushes(10))
    async with host.running() as run:
        await run.until_live_at(10)

        host.log.rewind(5)
        unnoticed = await run.publish(pushes(1, 100))
        await run.until(lambda: run.view.epoch_broken or run.view.generation > 1)
        noticed = await run.publish(pushes(1, 101))
        for published in (unnoticed, noticed):
            token = published.token
            assert published.epoch.startswith("memory-1~1-")
            assert run.view.generation > 1 or not await run.view.wait_for(token, 0)
        await run.until(lambda: run.view.generation > 1)

        for published in (unnoticed, noticed):
            token = published.token
            assert await run.view.wait_for(token, 5)


async def test_event_that_the_log_lost_is_stored_again() -> None:
    """It was folded once, and that counts for nothing in the new epoch."""
    host = Host()
    await host.store_each(pushes(10))
    async with host.running() as run:
        await run.until_live_at(10)
        host.log.rewind(5)
        await run.until(lambda: run.view.generation > 1)

        published = await run.publish(pushes(10))

        expected = [Outcome.DUPLICATE] * 5 + [Outcome.STORED] * 5
        assert list(published.outcomes) == expected


async def test_log_that_is_rewound_again_gets_another_name() -> None:
    """Each history has its own, and each ends where a fold of the log does."""
    host = Host()
    await host.store_each(pushes(30))
    names = []
    async with host.running() as run:
        await run.until_live_at(30)
        for last in (25, 20, 15):
            generation = run.view.generation
            names.append(run.view.epoch)
            host.log.rewind(last)
            await run.until(partial(past, run, generation))
            await run.until_live_at(last)
            assert run.fingerprint == await host.fingerprint()
            await run.publish(pushes(3, 100 * last))
            await run.until_live_at(last + 1)

        assert len({*names, run.view.epoch}) == 4
        assert "~3-" in run.view.epoch


@pytest.mark.parametrize(
    "point",
    [
        FaultPoint.AFTER_EPOCH_BROKEN,
        FaultPoint.BEFORE_SWAP,
        FaultPoint.AFTER_SWAP,
        FaultPoint.BEFORE_DISCARD,
        FaultPoint.AFTER_DISCARD,
        FaultPoint.BEFORE_SAVE,
        FaultPoint.AFTER_SAVE,
    ],
)
async def test_crash_after_a_rewind_never_takes_up_the_old_epoch_again(
    point: FaultPoint,
) -> None:
    """Wherever it ends: the next run answers nothing new under the old name."""
    host = Host(settings=replace(QUICK, checkpoint_interval_seconds=100))
    await host.store_each(pushes(100))
    async with host.running() as run:
        await run.until_live_at(100)
        host.log.rewind(95)
        await host.store_each(pushes(10, 200))
        with armed(at(point)):
            await asyncio.wait({run.task}, timeout=10)
        assert run.task.done()
        assert isinstance(run.task.exception(), Crash)
        run.crashed = True

    async with host.running() as again:
        old = again.view.epoch == "memory-1"
        assert not old or again.view.state.sequence <= 100
        await again.until_live_at(105)
        assert again.view.epoch.startswith("memory-1~")
        assert again.fingerprint == await host.fingerprint()


async def test_rewind_is_noticed_after_death_though_the_checkpoint_fits() -> None:
    """It knows how far it had answered, beyond what it had saved."""
    host = Host(settings=replace(QUICK, checkpoint_interval_seconds=0.1))
    await host.store_each(pushes(50))
    async with host.running() as run:
        await run.until_live_at(50)
    host.settings = replace(QUICK, checkpoint_interval_seconds=100)
    async with host.running() as run:
        await run.publish(pushes(10, 50))
        await host.store_each(pushes(10, 60))
        await run.until_live_at(60)
        token = run.view.basis().token
        await run.crash()
    host.log.rewind(55)
    await host.store_each(pushes(10, 200))

    async with host.running() as again:
        assert again.view.state.sequence == 50
        await again.until_live_at(65)

        assert again.view.epoch.startswith("memory-1~1-")
        assert not await again.view.wait_for(token, SOON_S)
        assert again.fingerprint == await host.fingerprint()
    assert not host.store.discarded


async def test_replaced_log_takes_over_once_every_region_was_inventoried() -> None:
    """Until then the old state answers, and says for what it waits."""
    host = Host()
    other = [replace(event, region=AMS) for event in pushes(3, 50)]
    await host.store_each([*pushes(10), *other])
    async with host.running() as run:
        await run.until_live_at(13)
        before = run.fingerprint

        host.log.replace()
        await host.store_each(pushes(5, 500))
        await run.until(lambda: "ams, iad" in run.view.rebuilding)
        await run.publish([inventory(IAD), inventory(AMS, complete=False)])
        await run.until(lambda: "inventories of ams are" in run.view.rebuilding)
        assert run.view.epoch_broken
        assert (run.view.epoch, run.fingerprint) == ("memory-1", before)

        stored = await run.publish([inventory(AMS)])
        token = stored.token
        await run.until(lambda: run.view.epoch == "memory-2")
        assert await run.view.wait_for(token, 5)
        assert run.serving is ServingState.LIVE
        assert run.fingerprint == await host.fingerprint()
        assert not run.view.rebuilding
    assert len(host.store.discarded) == 1


async def test_restart_accepts_a_replaced_log_at_once() -> None:
    """That is how an operator says that it was meant."""
    host = Host()
    await host.store_each(pushes(10))
    async with host.running() as run:
        await run.until_live_at(10)
        host.log.replace()
        await run.until(lambda: "inventories" in run.view.rebuilding)

    async with host.running() as again:
        await again.until_live_at(0)

        assert again.view.epoch == "memory-2"
        assert again.view.state.sequence == 0
    assert host.store.discarded[0][1].sequence == 10


async def test_replaced_log_needs_no_inventory_of_nothing() -> None:
    """An old state that stored no content has nothing to be found again."""
    host = Host()
    async with host.running() as run:
        await run.publish([inventory(IAD)])
        await run.until_live_at(1)

        host.log.replace()
        await run.until(lambda: run.view.epoch == "memory-2")
        await run.until_live_at(0)


async def test_log_that_is_rewound_while_a_new_one_is_awaited_is_folded_again() -> None:
    """The line beside is watched as the shown one is."""
    host = Host()
    await host.store_each(pushes(10))
    async with host.running() as run:
        await run.until_live_at(10)
        host.log.replace()
        await host.store_each(pushes(5, 100))
        await run.until(lambda: "inventories" in run.view.rebuilding)

        host.log.rewind(3)
        await run.until(lambda: run.view.successor.startswith("memory-2~1-"))
        await run.publish([inventory(IAD)])
        await run.until(lambda: run.view.epoch.startswith("memory-2~1-"))
        await run.until_live_at(4)
        assert run.fingerprint == await host.fingerprint()


async def test_trimmed_log_is_refused_at_the_start_until_an_operator_accepts() -> None:
    """What is gone cannot be folded: whoever goes on without it must say so."""
    host = Host()
    await host.store_each(pushes(10))
    async with host.running() as run:
        await run.until_live_at(10)
    await host.store_each(pushes(10, 50))
    host.log.trim(15)

    with pytest.raises(LogReplacedError, match="accept_partial_log"):
        async with host.running() as run:
            await run.task
    host.settings = replace(QUICK, accept_partial_log=True)
    async with host.running() as run:
        await run.until_live_at(20)
        assert run.view.state.count("folded") == 6


async def test_log_that_is_trimmed_past_a_running_service_waits_for_an_operator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old state answers, EPOCH_BROKEN, and says what can be done."""
    host = Host()
    await host.store_each(pushes(10))
    async with host.running() as run:
        await run.until_live_at(10)

        async def trimmed() -> LogStatus:
            return LogStatus("memory-1", 15, 20)

        monkeypatch.setattr(host.log, "status", trimmed)
        await run.until(lambda: run.serving is ServingState.EPOCH_BROKEN)
        await asyncio.sleep(0.3)

        assert run.serving is ServingState.EPOCH_BROKEN
        assert run.view.state.sequence == 10
        assert "accept_partial_log" in run.view.trouble
