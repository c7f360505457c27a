"""Decisions from a placement service by WatchReplications: no broker is needed."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final

import structlog

from placement.agent.replicator.duties import (
    PRIORITY_LEAST,
    Copy,
    Duty,
    Removal,
    Withdrawal,
)
from placement.client import PlacementClient
from placement.core.errors import InputError
from placement.core.event import EvictionPlanned
from placement.core.topology import Region
from placement.wire.assignment_reading import (
    AllTold,
    AssignedCopy,
    AssignmentClosed,
    Told,
    decode_assignment,
)

HANDED_MAX: Final = 256
"""Duties that wait to be taken; then the service is not listened to."""

log = structlog.get_logger(__name__)


class WatchedDecisions:
    """The open decisions of one region, as a service tells them."""

    def __init__(
        self, client: PlacementClient, region: Region, *, removals: bool
    ) -> None:
        """Ask *client* for what is to be carried out in *region*."""
        self._client = client
        self._region = region
        self._removals = removals
        self._open: dict[str, WatchedDuty] = {}
        """What is in somebody's hands, or waits to come again."""
        self._told: set[str] | None = None
        """What a snapshot has told so far; None: there is none just now."""
        self._ready: asyncio.Queue[WatchedDuty] = asyncio.Queue(HANDED_MAX)

    async def assigned(self) -> AsyncGenerator["WatchedDuty", None]:
        """Yield duties as they come; see ``Decisions``."""
        listening = asyncio.create_task(self._listen())
        try:
            while True:
                ready = asyncio.create_task(self._ready.get())
                await asyncio.wait({listening, ready}, return_when="FIRST_COMPLETED")
                if ready.done():
                    yield ready.result()
                    continue
                ready.cancel()
                await listening  # raises why it ended
                return
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    def forget(self, own_id: str) -> None:
        """Say that nobody has this decision in hand any more."""
        self._open.pop(own_id, None)

    def put_again(self, again: "WatchedDuty", delay_seconds: float) -> None:
        """Hand *again* out after a while, unless it was closed by then."""
        own_id = again.duty.own_id
        self._open[own_id] = again

        def hand_out() -> None:
            if self._open.get(own_id) is not again:
                return
            if self._ready.full():
                self.put_again(again, delay_seconds)
            else:
                self._ready.put_nowait(again)

        asyncio.get_running_loop().call_later(delay_seconds, hand_out)

    async def _listen(self) -> None:
        watch = self._client.watch_replications(
            self._region, include_removals=self._removals
        )
        async with aclosing(watch) as items:
            async for item in items:
                try:
                    told = decode_assignment(item)
                except InputError as error:
                    log.warning("assignment_unreadable", error=str(error))
                    continue
                if told is not None:
                    await self._hear(told)

    async def _hear(self, told: Told) -> None:
        match told:
            case AllTold():
                await self._snapshot(ended=told.ended)
            case AssignmentClosed(replication_id=own_id):
                await self._close(own_id)
            case AssignedCopy() | EvictionPlanned():
                await self._hand_out(duty_of(told))

    async def _snapshot(self, *, ended: bool) -> None:
        """Close what a snapshot, which tells all that is open, did not tell."""
        gone = set(self._open) - (self._told or set()) if ended else set()
        self._told = None if ended else set()
        for own_id in gone:
            await self._close(own_id)

    async def _hand_out(self, duty: Copy | Removal) -> None:
        own_id = duty.own_id
        if self._told is not None:
            self._told.add(own_id)
        if own_id not in self._open:
            self._open[own_id] = handed = WatchedDuty(self, duty)
            await self._ready.put(handed)

    async def _close(self, own_id: str) -> None:
        if self._open.pop(own_id, None) is not None:
            await self._ready.put(WatchedDuty(self, Withdrawal(own_id)))


def duty_of(told: AssignedCopy | EvictionPlanned) -> Copy | Removal:
    """Return what a replicator is to do."""
    if isinstance(told, EvictionPlanned):
        return Removal(
            told.eviction_id,
            told.repository,
            told.digest,
            told.target_region,
            told.expire_time_ns,
            told.reason,
        )
    planned = told.planned
    return Copy(
        planned.subject,
        planned.source_region,
        told.media_type,
        expire_time_ns=planned.expire_time_ns,
        priority=planned.priority or PRIORITY_LEAST,
        attempt=told.attempt + 1,
    )


class WatchedDuty:
    """One duty that a service told."""

    def __init__(self, decisions: WatchedDecisions, duty: Duty) -> None:
        """Keep *duty*, and who told it."""
        self._decisions = decisions
        self._duty = duty

    @property
    def duty(self) -> Duty:
        """What is to be done."""
        return self._duty

    async def done(self) -> None:
        """Say that it needs nothing more: the service will say so too."""
        if not isinstance(self._duty, Withdrawal):
            self._decisions.forget(self._duty.own_id)

    async def again(self, delay_seconds: float) -> None:
        """Let it come again as its next attempt."""
        if not isinstance(self._duty, Withdrawal):
            again = WatchedDuty(self._decisions, self._duty.again())
            self._decisions.put_again(again, delay_seconds)
