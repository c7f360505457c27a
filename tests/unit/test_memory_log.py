"""What only the memory twin of the log can be asked: its clock and its controls."""

import pytest

from placement.adapters import message_ids
from placement.adapters.memory import MemoryEventLog
from placement.ports import LogFullError, LogReplacedError

SUBJECT = "placement.events.v1.ams.content_pushed"


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        """Begin at a second past 1970."""
        self.now_ns = 1_000_000_000

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ns


async def test_id_is_forgotten_after_the_window() -> None:
    """As in JetStream, a repeat that comes too late is stored again."""
    clock = HandClock()
    log = MemoryEventLog(clock, duplicate_window_ns=100)
    await log.append(SUBJECT, b"x", "m0")

    clock.now_ns += 99
    within = await log.append(SUBJECT, b"x", "m0")
    clock.now_ns += 1
    after = await log.append(SUBJECT, b"x", "m0")

    assert (within.sequence, within.duplicate) == (1, True)
    assert (after.sequence, after.duplicate) == (2, False)


async def test_remembered_ids_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many ids within the window push out the oldest."""
    monkeypatch.setattr(message_ids, "REMEMBERED_IDS_MAX", 2)
    log = MemoryEventLog(HandClock())
    for name in ("m0", "m1", "m2"):
        await log.append(SUBJECT, b"x", name)

    assert (await log.append(SUBJECT, b"x", "m2")).duplicate
    assert not (await log.append(SUBJECT, b"x", "m0")).duplicate


async def test_message_bears_the_time_of_the_clock() -> None:
    """The store time is the clock's, and nobody else's."""
    log = MemoryEventLog(HandClock())
    await log.append(SUBJECT, b"x", "m0")

    found = await log.message(1)

    assert found is not None
    assert found.store_time_ns == 1_000_000_000


async def test_full_log_refuses() -> None:
    """The message over the limit is not stored."""
    log = MemoryEventLog(HandClock(), messages_max=1)
    await log.append(SUBJECT, b"x", "m0")

    with pytest.raises(LogFullError):
        await log.append(SUBJECT, b"x", "m1")

    assert (await log.status()).last_sequence == 1


async def test_trimmed_log_is_noticed_by_who_needs_what_is_gone() -> None:
    """A reader at the trimmed part cannot go on; one behind it can."""
    log = MemoryEventLog(HandClock())
    for number in range(4):
        await log.append(SUBJECT, b"x", f"m{number}")

    log.trim(3)

    with pytest.raises(LogReplacedError, match="begins at 3"):
        await anext(log.read(1))
    assert [message.sequence for message in await anext(log.read(2))] == [3, 4]
    assert (await log.status()).first_sequence == 3
