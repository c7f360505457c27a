"""What goes into the spool from within the agent: its own events, and NATS messages."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

import structlog

from placement import tracing
from placement.agent.pauses import Pauses
from placement.agent.reporting import Report
from placement.core.errors import LimitInvalidError
from placement.core.event import Event
from placement.ports import Clock
from placement.spooling import (
    NOTE_BYTES_MAX,
    Note,
    Spool,
    SpoolFullError,
    SpoolUnwritableError,
)
from placement.wire.bundles import encode_bundles

EVENTS: Final = "events"
"""The feed of our own events."""

log = structlog.get_logger(__name__)


def spooled_report(spool: Spool, clock: Clock) -> Report:
    """Return what reports events through *spool*."""

    async def report(events: Sequence[Event]) -> None:
        now_ns = clock()
        traced = tracing.headers()
        bodies = encode_bundles(events)
        notes = [Note(EVENTS, body, now_ns, traced) for body in bodies]
        for note in notes:
            if len(note.body) > NOTE_BYTES_MAX:  # an event alone
                remedy = f"report events of at most {NOTE_BYTES_MAX} bytes"
                raise LimitInvalidError("events", f"{len(note.body)} bytes", remedy)
        if notes:
            await spool.put(notes)

    return report


def spooled_messages(
    spool: Spool, feed: str, clock: Clock, chance: Callable[[], float] = random.random
) -> Callable[[bytes], Coroutine[None, None, None]]:
    """Return what spools messages of *feed* that nobody would send again.

    It does not return before a message is taken, however long the spool is full.
    """

    async def spool_message(body: bytes) -> None:
        if len(body) > NOTE_BYTES_MAX:
            log.error("message_too_large", feed=feed, size_bytes=len(body))
            return
        note = Note(feed, body, clock())
        pauses = Pauses(chance)
        while True:
            try:
                await spool.put([note])
            except (SpoolFullError, SpoolUnwritableError) as error:
                if pauses.count == 0:
                    log.warning("message_waits", feed=feed, reason=error.reason)
                await asyncio.sleep(pauses.next_s())
            else:
                return

    return spool_message
