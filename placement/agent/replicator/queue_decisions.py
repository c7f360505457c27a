"""Decisions from the log itself, taken as a work queue: no service is needed."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Protocol

import structlog

from placement.agent.replicator.duties import (
    PRIORITY_LEAST,
    Copy,
    Duty,
    Removal,
    Withdrawal,
)
from placement.core.event import (
    Event,
    EvictionCancelled,
    EvictionPlanned,
    ReplicationCancelled,
    ReplicationExpired,
    ReplicationPlanned,
    SetAside,
)
from placement.core.facts.values import ReplicationTrigger
from placement.core.topology import Region
from placement.ports import Message
from placement.wire.events import decode_items

log = structlog.get_logger(__name__)


class Held(Protocol):
    """One message in our hands; it comes again until it is settled."""

    message: Message
    attempt: int

    async def done(self) -> None:
        """Say that it is done."""

    async def again(self, delay_seconds: float) -> None:
        """Let it come again, not before *delay_seconds*."""


class Queue(Protocol):
    """A durable queue of messages, such as ``adapters.jetstream.work_queue``."""

    def held(self) -> AsyncGenerator[Held, None]:
        """Yield messages for ever; raises PlacementError when there are none now."""


class QueueDecisions:
    """The duties in the messages of a queue: a message is done when all of them are."""

    def __init__(self, queue: Queue, region: Region) -> None:
        """Take from *queue* what is for *region*."""
        self._queue = queue
        self._region = region

    async def assigned(self) -> AsyncGenerator["QueuedDuty", None]:
        """Yield duties as they come; see ``Decisions``."""
        async with aclosing(self._queue.held()) as messages:
            async for held in messages:
                duties = list(self._duties(held))
                if not duties:
                    await held.done()
                    continue
                shared = _Shared(held, len(duties))
                for duty in duties:
                    yield QueuedDuty(duty, shared)

    def _duties(self, held: Held) -> Iterator[Duty]:
        for item in decode_items(held.message):
            if isinstance(item, SetAside):
                log.warning("decision_unreadable", reason=item.reason)
                continue
            duty = duty_of(item.event, held.attempt, held.message.trace)
            if isinstance(duty, Copy) and duty.subject.target_region != self._region:
                continue
            if isinstance(duty, Removal) and duty.target_region != self._region:
                continue
            if duty is not None:
                yield duty


def duty_of(event: Event, attempt: int, trace: str = "") -> Duty | None:
    """Return what *event* asks of a replicator; None: nothing."""
    match event.fact:
        case ReplicationPlanned() as fact:
            return Copy(
                fact.subject,
                fact.source_region,
                is_blob=fact.trigger is ReplicationTrigger.FIRST_LAYER,
                expire_time_ns=fact.expire_time_ns,
                priority=fact.priority or PRIORITY_LEAST,
                attempt=attempt,
                trace=trace,
            )
        case EvictionPlanned() as fact:
            return Removal(
                fact.eviction_id,
                fact.repository,
                fact.digest,
                fact.target_region,
                fact.expire_time_ns,
                fact.reason,
                attempt,
            )
        case (
            ReplicationCancelled(subject=subject) | ReplicationExpired(subject=subject)
        ):
            return Withdrawal(subject.replication_id)
        case EvictionCancelled(eviction_id=own_id):
            return Withdrawal(own_id)
        case _:
            return None


class _Shared:
    """A message and how many of its duties are not settled."""

    def __init__(self, held: Held, open_count: int) -> None:
        self._held = held
        self._open_count = open_count
        self._delay_seconds: float | None = None

    async def settle(self, delay_seconds: float | None) -> None:
        """Settle one duty; the message comes again if any of them is to."""
        self._open_count -= 1
        if delay_seconds is not None:
            known = self._delay_seconds
            soonest = delay_seconds if known is None else min(known, delay_seconds)
            self._delay_seconds = soonest
        if self._open_count:
            return
        if self._delay_seconds is None:
            await self._held.done()
        else:
            await self._held.again(self._delay_seconds)


class QueuedDuty:
    """One duty of a message."""

    def __init__(self, duty: Duty, shared: _Shared) -> None:
        """Keep *duty*, and the message that it came in."""
        self._duty = duty
        self._shared = shared
        self._settled = False

    @property
    def duty(self) -> Duty:
        """What is to be done."""
        return self._duty

    async def done(self) -> None:
        """Say that it needs nothing more."""
        await self._settle(None)

    async def again(self, delay_seconds: float) -> None:
        """Let it come again, with whatever else came in its message."""
        await self._settle(delay_seconds)

    async def _settle(self, delay_seconds: float | None) -> None:
        if not self._settled:
            self._settled = True
            await self._shared.settle(delay_seconds)
