"""The registry's request log, followed while it grows and is rotated."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from placement.agent import request_tail as tail_module
from placement.agent.feeds.request_log import LINE_LENGTH_MAX, pulls_in
from placement.agent.feeds.translation import Translation
from placement.agent.request_tail import RequestLogTail
from placement.agent.translators import once_logged
from placement.spooling import Note

NOW_NS = 1_795_428_000_000_000_000
LONG_S = 10.0


def line(request_id: str, written: int = 7) -> str:
    """Return the line of an answered request, as docker-registry 2.8 writes it."""
    return (
        json.dumps(
            {
                "http.request.id": request_id,
                "http.request.method": "GET",
                "http.response.duration": "1.5ms",
                "http.response.status": 200,
                "http.response.written": written,
                "level": "info",
                "msg": "response completed",
            }
        )
        + "\n"
    )


def append(path: Path, text: str) -> None:
    """Add *text* to the log."""
    with path.open("a") as file:
        file.write(text)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "registry.log"


@pytest.fixture
async def tail(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RequestLogTail]:
    """A tail that follows the log, which is not there yet."""
    monkeypatch.setattr(tail_module, "POLL_SECONDS", 0.002)
    monkeypatch.setattr(tail_module, "MISSING_SECONDS", 0.002)
    tail = RequestLogTail(path, records_max=1_000)
    running = asyncio.create_task(tail.run())
    with capture_logs():
        await asyncio.sleep(0.01)
        yield tail
    running.cancel()
    await asyncio.wait([running])


async def test_lines_are_known_as_they_come(path: Path, tail: RequestLogTail) -> None:
    """Also those before we began, and those that are written in two pieces."""
    append(path, line("a") + "no json\n" + line("b")[:40])
    await tail.wait_for(["a"], LONG_S)
    append(path, line("b")[40:])
    await tail.wait_for(["b"], LONG_S)

    assert set(tail) == {"a", "b"}
    assert tail["a"].written_bytes == 7


@pytest.mark.parametrize("copies", [True, False])
async def test_rotated_log_is_followed(
    path: Path,
    tail: RequestLogTail,
    copies: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Renamed and made anew, or emptied in place: nothing of either is missed."""
    append(path, line("a") * 3)
    await tail.wait_for(["a"], LONG_S)

    if copies:
        path.write_text("")  # noqa: ASYNC240 - a few bytes
        await asyncio.sleep(0.1)
    else:
        path.rename(path.with_suffix(".1"))  # noqa: ASYNC240 - so too
        append(path.with_suffix(".1"), line("late"))
        await asyncio.sleep(0.1)
    append(path, line("b"))
    await tail.wait_for(["b"], LONG_S)

    assert set(tail) == {"a", "b"} | (set() if copies else {"late"})


async def test_hole_before_the_next_line_is_skipped(
    path: Path, tail: RequestLogTail
) -> None:
    """A registry that does not append goes on at its old place after a truncation."""
    append(path, "\0" * (5 * LINE_LENGTH_MAX) + line("a"))
    await tail.wait_for(["a"], LONG_S)

    assert set(tail) == {"a"}


async def test_line_without_an_end_is_left_out(
    path: Path, tail: RequestLogTail
) -> None:
    """However long it is, memory stays small, and the next line is read."""
    append(path, "x" * (5 * LINE_LENGTH_MAX))
    append(path, line("hidden") + line("a"))
    await tail.wait_for(["a"], LONG_S)

    assert set(tail) == {"a"}


async def test_only_the_newest_are_remembered(path: Path) -> None:
    """A busy registry does not fill our memory."""
    tail = RequestLogTail(path, records_max=10)
    append(path, "".join(line(f"{number}") for number in range(100)))
    running = asyncio.create_task(tail.run())
    await tail.wait_for(["99"], LONG_S)
    running.cancel()
    await asyncio.wait([running])

    assert set(tail) == {f"{number}" for number in range(90, 100)}


async def test_long_log_is_read_from_near_its_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart does not read gigabytes; a line that is cut is left out."""
    monkeypatch.setattr(tail_module, "LOOK_BACK_BYTES", 500)
    append(path, "".join(line(f"{number}") for number in range(100)))
    tail = RequestLogTail(path)
    running = asyncio.create_task(tail.run())
    await tail.wait_for(["99"], LONG_S)
    running.cancel()
    await asyncio.wait([running])

    assert "99" in tail
    assert 1 <= len(tail) <= 3


async def test_waiting_ends_with_the_time(tail: RequestLogTail) -> None:
    """A line that never comes costs what it may, and no more."""
    await asyncio.wait_for(tail.wait_for(["never"], 0.02), 5)
    await asyncio.wait_for(tail.wait_for([], LONG_S), 5)

    assert "never" not in tail


def test_pulls_are_what_was_fetched() -> None:
    """Neither pushes nor HEAD requests have a line worth waiting for."""
    get = {"id": "a", "method": "GET"}
    envelope = {
        "events": [
            {"action": "pull", "request": get},
            {"action": "pull", "request": {"id": "b", "method": "HEAD"}},
            {"action": "push", "request": get},
            {"action": "pull"},
            "x",
        ]
    }

    assert pulls_in(envelope) == ["a"]
    assert pulls_in([]) == []
    assert pulls_in({"events": 1}) == []


@pytest.mark.parametrize(("age_s", "waits"), [(0.0, True), (0.9, True), (5.0, False)])
async def test_old_note_does_not_wait_for_its_line(age_s: float, waits: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """After an outage nothing is held up for lines that came and went."""
    asked: list[float] = []

    class Log:
        """Says for how long it was asked to wait."""

        async def wait_for(self, request_ids: object, seconds_max: float) -> None:
            assert request_ids == ["a"]
            asked.append(seconds_max)

    def feed(body: bytes, headers: Mapping[str, str]) -> Translation:
        assert (body, headers) == (note.body, {})
        return Translation()

    request = {"id": "a", "method": "GET"}
    body = json.dumps({"events": [{"action": "pull", "request": request}]}).encode()
    note = Note("distribution", body, NOW_NS)
    translate = once_logged(feed, Log(), lambda: NOW_NS + int(age_s * 1e9))

    await translate(note)

    assert asked == ([pytest.approx(1.0 - age_s)] if waits else [])
