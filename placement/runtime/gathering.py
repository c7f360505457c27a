"""Single events of many callers on their way into the log, gathered into batches.

A message costs the log about as much with a hundred events as with one. While one is
being stored, the events that come for the same region wait, and then go together: under
load the batches grow, and who is alone waits for nobody.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from placement.core.event import Event
from placement.core.event_keys import scoped_id
from placement.core.topology import Region
from placement.ports import LogUnavailableError
from placement.wire.events import Encoded, encoded_batches

KNOWN_IDS_MAX: Final = 1 << 16
"""So many gathered events are known until they are folded; of more, the newest."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Where the message is stored that holds an event."""

    epoch: str
    sequence: int
    mark: str
    """Tells the message from any other there; see ``tokens``."""
    duplicate: bool
    """Whether the log held the event already."""


Store = Callable[[list[Event], Encoded], Awaitable[Stored]]
"""Stores events of one region as one message."""


@dataclass(slots=True)
class _Lane:
    """The events of one region: those that wait, and all that are not yet stored."""

    waiting: list[Event] = field(default_factory=list)
    pending: dict[str, asyncio.Future[Stored]] = field(default_factory=dict)

    def expect(self, event: Event) -> asyncio.Future[Stored]:
        """Return what will say where *event* is stored."""
        stored: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self.pending[event.event_id] = stored
        return stored

    def settle(self, batch: list[Event], stored: Stored) -> None:
        """Say of each event of *batch* that it is stored."""
        for event in batch:
            self.pending.pop(event.event_id).set_result(stored)

    def fail(self, batch: list[Event], error: Exception) -> None:
        """Say of each event of *batch* that it may not be stored."""
        for event in batch:
            failed = self.pending.pop(event.event_id)
            failed.set_exception(error)
            failed.exception()  # nobody may be left who waits for it


class Gathering:
    """Stores events one message at a time for each region, all together that wait."""

    def __init__(self, store: Store, folded: Callable[[], int]) -> None:
        """Hand what was gathered to *store*; *folded* says how far the fold is."""
        self._store = store
        self._folded = folded
        self._lanes: dict[Region, _Lane] = {}
        self._known: OrderedDict[str, Stored] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def put(self, event: Event, encoded: Encoded) -> Stored:
        """Store *event*, alone as it is *encoded* or with others; return where it is.

        If another caller is storing it just now it is stored once: here, a duplicate.
        Raises what *store* raises, and LogUnavailableError when storing was broken off:
        then it may be stored.
        """
        lane = self._lanes.get(event.region)
        if lane is None:
            return await self._put_alone(event, encoded)
        stored = lane.pending.get(event.event_id)
        if stored is not None:
            return replace(await asyncio.shield(stored), duplicate=True)
        lane.waiting.append(event)
        return await asyncio.shield(lane.expect(event))

    def known(self, event: Event) -> Stored | None:
        """Return where an event was stored with others; None: nothing is known."""
        return self._known.get(scoped_id(event))

    def forget(self, event: Event) -> None:
        """Know nothing of an event any longer."""
        self._known.pop(scoped_id(event), None)

    async def _put_alone(self, event: Event, encoded: Encoded) -> Stored:
        """Store *event* at once; let those go together that come meanwhile."""
        lane = self._lanes[event.region] = _Lane()
        lane.expect(event)
        try:
            return await self._carry(lane, [event], encoded)
        finally:
            if lane.waiting:
                task = asyncio.create_task(self._drain(event.region, lane))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                del self._lanes[event.region]

    async def _drain(self, region: Region, lane: _Lane) -> None:
        """Store what waits until nothing does."""
        try:
            while lane.waiting:
                batch, encoded = next(encoded_batches(lane.waiting))
                del lane.waiting[: len(batch)]
                with suppress(Exception):  # those who wait are told
                    await self._carry(lane, batch, encoded)
        finally:
            del self._lanes[region]
            lane.fail(lane.waiting, _broken_off())

    async def _carry(self, lane: _Lane, batch: list[Event], encoded: Encoded) -> Stored:
        """Store *batch* and tell all who wait for it."""
        try:
            stored = await self._store(batch, encoded)
        except Exception as error:
            lane.fail(batch, error)
            raise
        except BaseException:  # this task is to end; the others' events may be stored
            lane.fail(batch, _broken_off())
            raise
        lane.settle(batch, stored)
        if len(batch) > 1:
            self._remember(batch, stored)
        return stored

    def _remember(self, batch: list[Event], stored: Stored) -> None:
        """Know where *batch* is: the log itself knows it as a whole only."""
        for event in batch:
            self._known[scoped_id(event)] = stored
        while self._known:
            oldest = next(iter(self._known.values()))
            if oldest.sequence > self._folded() and len(self._known) <= KNOWN_IDS_MAX:
                return
            self._known.popitem(last=False)


def _broken_off() -> LogUnavailableError:
    message = "storing was broken off: publish the event again"
    return LogUnavailableError(message)
