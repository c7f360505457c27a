"""The parts of an agent: one's failure is its own, and all of them stop together."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from placement.agent import supervision as supervision_module
from placement.agent.pauses import FIRST_SECONDS, LONGEST_SECONDS, Pauses
from placement.agent.supervision import Part, supervise
from placement.ports import LogUnavailableError
from placement.spooling import SpoolFsyncError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses be short."""
    monkeypatch.setattr("placement.agent.pauses.FIRST_SECONDS", 0.001)


def steady(runs: list[str], name: str) -> Callable[[], Awaitable[None]]:
    """Return what notes that it runs, and goes on for ever."""

    async def run() -> None:
        runs.append(name)
        await asyncio.Event().wait()

    return run


async def ended(supervising: "asyncio.Task[None]") -> None:
    """Stop what runs, as SIGTERM does."""
    supervising.cancel()
    await asyncio.wait([supervising], timeout=10)
    assert supervising.cancelled()


@pytest.mark.parametrize(
    ("failure", "reason", "lines"),
    [
        (LogUnavailableError("gone"), "LOG_UNAVAILABLE", ["part_failed"]),
        (KeyError("a bug"), "KeyError", ["part_broke", "part_failed"]),
        (None, "ENDED", ["part_failed"]),
    ],
)
async def test_part_that_fails_begins_again_and_the_others_go_on(
    failure: Exception | None, reason: str, lines: list[str]
) -> None:
    """Its reason is logged each time."""
    runs: list[str] = []

    async def failing() -> None:
        runs.append("failing")
        if len(runs) < 4:
            if failure is not None:
                raise failure
            return
        await asyncio.Event().wait()

    with capture_logs() as logged:
        parts = [Part("failing", failing), Part("steady", steady(runs, "steady"))]
        supervising = asyncio.create_task(supervise(parts, lambda: 0.0))
        async with asyncio.timeout(10):
            while runs.count("failing") < 3:  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.001)
        await ended(supervising)

    assert runs.count("steady") == 1
    assert [line["event"] for line in logged[: len(lines)]] == lines
    assert logged[len(lines) - 1]["reason"] == reason


async def test_error_that_needs_another_process_ends_all() -> None:
    """Such as a disk that failed to flush."""
    runs: list[str] = []

    async def broken() -> None:
        await asyncio.sleep(0.01)
        message = "the disk failed to flush"
        raise SpoolFsyncError(message)

    parts = [Part("broken", broken), Part("steady", steady(runs, "steady"))]

    with pytest.raises(SpoolFsyncError):
        await asyncio.wait_for(supervise(parts, lambda: 0.0), 10)
    assert runs == ["steady"]


async def test_part_that_does_not_stop_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGTERM ends the agent in time, whatever a part does; it is named."""
    monkeypatch.setattr(supervision_module, "STOP_SECONDS_MAX", 0.05)
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    parts = [Part("stubborn", stubborn), Part("steady", steady([], "steady"))]
    supervising = asyncio.create_task(supervise(parts, lambda: 0.0))
    await asyncio.sleep(0.01)
    with capture_logs() as logged:
        await ended(supervising)
        release.set()
        await asyncio.sleep(0.01)

    assert [
        line["part"] for line in logged if line["event"] == "part_did_not_stop"
    ] == ["stubborn"]


def test_pauses_double_up_to_the_longest_and_begin_anew() -> None:
    """Between half a span and the whole of it, by chance."""
    lower, upper = Pauses(lambda: 0.0), Pauses(lambda: 1.0)
    shortest = [lower.next_s() for _ in range(20)]
    longest = [upper.next_s() for _ in range(20)]
    lower.reset()

    assert all(low == high / 2 for low, high in zip(shortest, longest, strict=True))
    assert longest[1] == 2 * longest[0]
    assert longest[-1] == LONGEST_SECONDS
    assert lower.next_s() == shortest[0]
    assert FIRST_SECONDS < 1
