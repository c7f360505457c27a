"""A message that cannot be folded ends three runs, and then nobody folds it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from placement.core import fold as folding
from placement.core.event import Event, EventQuarantined, Identifier, Recorded, SetAside
from placement.core.fold import FOLD_VERSION
from placement.core.state import State
from placement.ports import Expected, LogUnavailableError, Message
from placement.runtime import projector
from placement.runtime.quarantine import (
    FAILURES_MAX,
    FoldFailedError,
    put_in_quarantine,
    read_quarantine,
)
from placement.runtime.replay import replay
from placement.runtime.view import ServingState
from placement.wire.events import decode_message, encode_message
from tests.builders import AMS, IAD
from tests.projecting import QUICK, Host, Run, pushes

POISON = "e7"


@pytest.fixture(autouse=True)
def _watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the log often, so that a test takes no longer than it must."""
    monkeypatch.setattr(projector, "WATCH_SECONDS", 0.05)


@contextmanager
def bug(event_id: str = POISON) -> Iterator[None]:
    """Let folding *event_id* fail half-way within the block, as a bug would."""
    real = folding._fold_recorded  # noqa: SLF001 - where every event passes

    def failing(state: State, item: Recorded) -> None:
        real(state, item)
        if item.event.event_id == event_id:
            message = "a bug"
            raise ZeroDivisionError(message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "_fold_recorded", failing)
        yield


async def fail_once(host: Host) -> FoldFailedError:
    """Run the service until it ends by itself; returns why."""
    async with host.running() as run:
        await asyncio.wait({run.task}, timeout=10)
        error = run.task.exception()
        assert isinstance(error, FoldFailedError)
        return error


async def quarantined(host: Host) -> list[tuple[int, int]]:
    """Return the places of all that is quarantined."""
    found = await read_quarantine(host.log)
    last = (await host.log.status()).last_sequence
    return [(n, place) for n in range(1, last + 1) for place in found.skipped(n)]


async def test_message_that_fails_three_runs_is_left_out_of_the_fourth() -> None:
    """Each run says at what it ended; the fourth folds all else, as everybody does."""
    host = Host()
    await host.store_each(pushes(20))
    with bug():
        for _ in range(FAILURES_MAX):
            assert not await quarantined(host)
            assert (await fail_once(host)).sequence == 8
        assert await quarantined(host) == [(8, 0)]

        async with host.running() as run:
            await run.until_live_at(21)
            assert run.view.state.count("folded") == 20
            assert run.fingerprint == await host.fingerprint()
            assert host.records.load().failed_count == 0
    assert run.fingerprint == await host.fingerprint()


async def test_failure_leaves_nothing_half_folded_in_the_checkpoint() -> None:
    """What is saved ends before the message, or there is nothing."""
    host = Host(settings=replace(QUICK, checkpoint_message_count=1))
    await host.store_each(pushes(20))
    with bug():
        await fail_once(host)

    async with host.running() as run:
        assert run.view.state.sequence < 8
        await run.until_live_at(20)
        assert run.fingerprint == await host.fingerprint()


async def test_failures_of_different_messages_do_not_add_up() -> None:
    """Three runs in a row must end at one message; what is passed is forgotten."""
    host = Host()
    await host.store_each(pushes(20))
    for event_id in ("e7", "e9", "e7", "e7"):
        with bug(event_id):
            await fail_once(host)
    assert not await quarantined(host)
    with bug("e12"):
        await fail_once(host)
    assert host.records.load().failed_count == 1

    async with host.running() as run:
        await run.until_live_at(20)

    assert host.records.load().failed_count == 0
    assert not await quarantined(host)


async def test_whole_batch_is_quarantined() -> None:
    """One bad event of a batch takes its companions with it: all were in the fold."""
    host = Host()
    await host.log.append(*encode_message(pushes(5, 5)))
    await host.store_each(pushes(1, 50))
    with bug():
        for _ in range(FAILURES_MAX):
            await fail_once(host)
        assert await quarantined(host) == [(1, place) for place in range(5)]

        async with host.running() as run:
            await run.until_live_at(7)
            assert run.fingerprint == await host.fingerprint()


async def test_service_that_had_folded_the_message_ends_in_the_same_state() -> None:
    """It folds the log again beside, LIVE all the while, and swaps."""
    sound, poor = Host(), Host()
    poor.log = sound.log
    await sound.store_each(pushes(20))
    async with sound.running() as run:
        await run.until_live_at(20)
        before = run.fingerprint
        states: list[ServingState] = []

        def look() -> bool:
            states.append(run.serving)
            return run.view.generation > 1

        await put_in_quarantine(sound.log, 8, "a bug elsewhere", IAD)
        await run.until(look)
        assert set(states) == {ServingState.LIVE}
        assert run.fingerprint == await sound.fingerprint() != before
    with bug():
        async with poor.running() as other:
            await other.until_live_at(21)
            assert other.fingerprint == run.fingerprint


async def test_checkpoint_from_before_the_fact_is_recognised_by_its_position() -> None:
    """It lies between the message and the fact: folded again, though nothing failed."""
    host = Host()
    await host.store_each(pushes(20))
    async with host.running() as run:
        await run.until_live_at(20)
    await put_in_quarantine(host.log, 8, "a bug elsewhere", IAD)

    async with host.running() as again:
        assert again.view.state.sequence == 20
        await again.until(lambda: again.view.generation > 1)
        await again.until_live_at(21)
        assert again.fingerprint == await host.fingerprint()
    async with host.running() as third:
        await third.until_live_at(21)
        assert third.view.generation == 1
        assert third.fingerprint == await host.fingerprint()


@pytest.mark.parametrize("prefix", ["events", "decisions"])
async def test_only_services_can_put_a_message_in_quarantine(prefix: str) -> None:
    """A fact on a region's own subject is set aside, and keeps nobody from folding."""
    host = Host()
    await host.store_each(pushes(10))
    fact = Event(Identifier("q"), AMS, EventQuarantined(3))
    subject, body, _ = encode_message([fact])
    await host.log.append(subject.replace("decisions", prefix), body, "q")

    async with host.running() as run:
        await run.until_live_at(11)

        assert bool(await quarantined(host)) == (prefix == "decisions")
        folded = run.view.state.count("folded")
        assert folded == 10
        assert run.view.state.count("set_aside") == (prefix == "events")


async def test_message_cannot_be_put_in_quarantine_before_it_is_there() -> None:
    """A fact names what came before it; one about the future says nothing."""
    host = Host()
    subject, body, _ = encode_message(
        [Event(Identifier("q"), AMS, EventQuarantined(3))]
    )
    await host.log.append(subject, body, "q")
    await host.store_each(pushes(10))

    assert not await quarantined(host)


async def test_new_fold_version_that_fails_beside_is_quarantined_too() -> None:
    """The old state answers until each end; the message is as poor as any other."""
    host = Host()
    await host.store_each(pushes(20))
    async with host.running() as run:
        await run.until_live_at(20)
    host.settings = replace(QUICK, fold_version=FOLD_VERSION + 1)
    with bug():
        for _ in range(FAILURES_MAX):
            assert (await fail_once(host)).sequence == 8

        async with host.running() as run:
            await run.until(lambda: run.view.generation > 1)
            await run.until_live_at(21)
            assert run.fingerprint == await host.fingerprint()


class Ended(BaseException):
    """The process is no more."""


async def test_message_that_takes_for_ever_counts_as_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The watchdog, which ends the process, says at which message that was."""
    host = Host()
    await host.store_each(pushes(20))
    runs: list[Run] = []
    real = folding._fold_recorded  # noqa: SLF001 - where every event passes

    def hanging(state: State, item: Recorded) -> None:
        if item.event.event_id == POISON:
            runs[-1].projector.note_blocked("the loop stood still")
            raise Ended
        real(state, item)

    monkeypatch.setattr(folding, "_fold_recorded", hanging)
    for _ in range(FAILURES_MAX):
        async with host.running() as run:
            runs.append(run)
            await asyncio.wait({run.task}, timeout=10)
            assert isinstance(run.task.exception(), Ended)
            run.crashed = True
    assert not await quarantined(host)

    async with host.running() as run:
        await run.until_live_at(21)
        assert run.fingerprint == await host.fingerprint()
    assert await quarantined(host) == [(8, 0)]


async def test_replay_leaves_out_what_everybody_does() -> None:
    """The command's fold fails like the service's, until the message is quarantined."""
    host = Host()
    await host.store_each(pushes(20))
    with bug():
        with pytest.raises(FoldFailedError, match="message 8"):
            await replay(host.log)
        await put_in_quarantine(host.log, 8, "a bug", IAD)
        replayed = await replay(host.log)
    assert replayed.counts["folded"] == 20


async def test_quarantine_waits_for_a_log_that_is_out_of_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run that cannot store the fact leaves it to the next one."""
    host = Host()
    await host.store_each(pushes(20))

    async def refuse(
        subject: str, body: bytes, message_id: str, expected: Expected | None = None
    ) -> None:
        del subject, body, expected
        raise LogUnavailableError(message_id)

    with bug():
        with monkeypatch.context() as patch:
            patch.setattr(host.log, "append", refuse)
            for _ in range(FAILURES_MAX):
                await fail_once(host)
        assert not await quarantined(host)

        async with host.running() as run:
            await run.until_live_at(21)
    assert await quarantined(host) == [(8, 0)]


@pytest.mark.parametrize("skipped", [set(), {0}, {1, 3}, set(range(512))])
def test_fold_of_skipped_events_is_a_fold_of_the_others(skipped: set[int]) -> None:
    """Leaving events out changes nothing for those that stay, nor for the position."""
    subject, body, _ = encode_message(pushes(5))
    message = Message(1, 10**18, subject, body)

    decoded = decode_message(message, skipped)

    kept = [item for item in decoded.items if not isinstance(item, SetAside)]

    assert [item.batch_index for item in kept] == [
        n for n in range(5) if n not in skipped
    ]
    assert decoded.message_hash == decode_message(message).message_hash
