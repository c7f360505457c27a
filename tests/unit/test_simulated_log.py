"""The simulator's network, where appends that expect something meet its faults."""

from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from placement.ports import Expected, LogMovedError, LogUnavailableError
from tests.builders import SECOND_NS, START_NS
from tests.simulator.log import LogConnection, LogFaults, SimulatedLog
from tests.simulator.loop import VirtualLoop

SUBJECT = "placement.decisions.v1.ams.replication_planned"
NOTHING_YET = Expected("placement.decisions.v1.>", 0)

Story = Callable[[LogConnection], Coroutine[Any, Any, None]]


def stored_after(story: Story, faults: LogFaults) -> list[bytes]:
    """Return what is in the log after *story* over a network with *faults*."""
    random = Random(1)
    loop = VirtualLoop.drawing_from(random)

    def clock() -> int:
        return START_NS + round(loop.now_seconds * SECOND_NS)

    log = SimulatedLog(clock, random, faults)

    async def told() -> None:
        await log.begin()
        await story(LogConnection(log))
        for late in log.late:
            await late

    loop.run_until_complete(told())
    return [message.body for message in log.life.messages]


def test_append_that_is_delivered_twice_is_stored_once() -> None:
    """The second delivery expects what its own first one has ended."""

    async def story(connection: LogConnection) -> None:
        appended = await connection.append(SUBJECT, b"d1", "d1", NOTHING_YET)
        assert not appended.duplicate

    assert stored_after(story, LogFaults(deliver_twice=1.0)) == [b"d1"]


def test_late_append_is_refused_when_the_log_has_moved() -> None:
    """What was on its way for seconds must not rest on what is no more."""

    async def story(connection: LogConnection) -> None:
        with pytest.raises(LogUnavailableError):
            await connection.append(SUBJECT, b"late", "late", NOTHING_YET)
        connection.log.faults.end()
        await connection.append(SUBJECT, b"d1", "d1", NOTHING_YET)

    assert stored_after(story, LogFaults(deliver_late=1.0)) == [b"d1"]


def test_late_append_is_stored_when_nothing_has_moved() -> None:
    """Its sender gave up, and must reckon with that."""

    async def story(connection: LogConnection) -> None:
        with pytest.raises(LogUnavailableError):
            await connection.append(SUBJECT, b"late", "late", NOTHING_YET)

    assert stored_after(story, LogFaults(deliver_late=1.0)) == [b"late"]


def test_refusal_may_be_lost() -> None:
    """Who hears nothing does not know whether the log has moved."""

    async def story(connection: LogConnection) -> None:
        await connection.append(SUBJECT, b"d1", "d1", NOTHING_YET)
        with pytest.raises(LogMovedError):
            await connection.append(SUBJECT, b"d2", "d2", NOTHING_YET)
        connection.log.faults.lose_answer = 1.0
        with pytest.raises(LogUnavailableError):
            await connection.append(SUBJECT, b"d2", "d2", NOTHING_YET)

    assert stored_after(story, LogFaults()) == [b"d1"]
