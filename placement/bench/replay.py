"""The log read, decoded and folded: beside what nats-py's own way of reading gives.

The naive reader fetches single events, decodes each to an object and folds it. Both
read logs that were filled before, without syncing: reading does not depend on that.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from placement.bench.measured import Measured
from placement.bench.naive import fetched, stored
from placement.bench.pulls import ENVELOPE_EVENTS, pulls
from placement.bench.rounds import (
    QUICK_ROUNDS,
    in_turn_async,
    own_core,
    pinned,
    server_core,
)
from placement.bench.settings import BrokerAddress, Settings
from placement.core.fold import fold
from placement.core.state import State
from placement.core.topology import Region
from placement.ports import EventLog
from placement.runtime.replay import fold_log
from placement.wire.columns import Read, decode_block, fastest
from placement.wire.events import Encoded, decode_message, encode_message

REPLAY: Final = "replay"
ROUNDS: Final = 3
"""Of a million events each."""
ENVELOPES: Final = 10_000
MADE: Final = 500
"""So many envelopes are made, and repeated under other ids."""
SINGLES: Final = 1_000_000
NAIVE: Final = 5_000
QUICK_MESSAGES: Final = 40
FILLERS: Final = 64
"""How many messages are on their way while a log is filled."""
RATE: Final = "events/s"


def measure(settings: Settings) -> list[Measured]:
    """Measure the replay of envelopes and of single events, and their parts."""
    return asyncio.run(_measured(settings))


async def _measured(settings: Settings) -> list[Measured]:
    regions = sorted(settings.topology.regions)
    envelope_count = settings.pick(ENVELOPES, QUICK_MESSAGES)
    single_count = settings.pick(SINGLES, QUICK_MESSAGES)
    async with AsyncExitStack() as stack:
        logs = []
        for name in ("envelopes", "singles"):
            with pinned([server_core()]):
                opening = settings.open_log(settings.directory(name), synced=False)
                log, _ = await stack.enter_async_context(opening)
            logs.append(log)
        stack.enter_context(pinned([own_core()]))
        await _fill(logs[0], _envelopes(envelope_count, regions))
        await _fill(logs[1], _singles(single_count, regions))
        envelopes = _Reading(logs[0], envelope_count, ENVELOPE_EVENTS, fastest())
        singles = _Reading(logs[1], single_count, 1, fastest())
        address = settings.broker_address(settings.scratch / "singles")
        naive = _Naive(address, settings.pick(NAIVE, QUICK_MESSAGES))
        found = await in_turn_async(
            {
                "naive": naive.replayed,
                "fetched": naive.fetched,
                "received": envelopes.received,
                "decoded": envelopes.decoded,
                "envelopes": envelopes.replayed,
                "singles": singles.replayed,
            },
            settings.pick(ROUNDS, QUICK_ROUNDS),
        )
    naive_samples, fetch = found["naive"], found["fetched"]
    received = found["received"]
    return [
        naive_samples.measured(REPLAY, "singles_fetched_and_folded", RATE),
        fetch.measured(REPLAY, "singles_fetched_only", RATE),
        found["envelopes"].measured(REPLAY, "envelopes_replayed", RATE, naive_samples),
        found["singles"].measured(REPLAY, "singles_replayed", RATE, fetch),
        received.measured(REPLAY, "envelopes_received", RATE),
        found["decoded"].measured(REPLAY, "envelopes_decoded", RATE, received),
    ]


@dataclass(frozen=True, slots=True)
class _Naive:
    """The first *count* messages of a log, read as nats-py's manual says."""

    address: BrokerAddress
    count: int

    async def fetched(self) -> float:
        """Fetch, and look at nothing."""
        began = time.perf_counter()
        async with fetched(self.address, self.count) as batches:
            async for _ in batches:
                pass
        return self.count / (time.perf_counter() - began)

    async def replayed(self) -> float:
        """Fetch, decode and fold each message."""
        state = State()
        began = time.perf_counter()
        async with fetched(self.address, self.count) as batches:
            async for batch in batches:
                for message in batch:
                    fold(state, decode_message(stored(message)))
        taken = time.perf_counter() - began
        assert state.count("folded") == self.count, "every event is another"
        return self.count / taken


@dataclass(frozen=True, slots=True)
class _Reading:
    """A log of *count* messages of so many events *each*, read as the service does."""

    log: EventLog
    count: int
    each: int
    read: Read

    async def replayed(self) -> float:
        """Fold all of it, as ``placement replay`` does before it hashes the state."""
        began = time.perf_counter()
        _, state = await fold_log(self.log)
        assert state.count("folded") == self.count * self.each, "no event twice"
        return self._rate(began)

    async def received(self) -> float:
        """Read all of it, and look at nothing."""
        began = time.perf_counter()
        async for batch in self.log.read(0):
            if batch and batch[-1].sequence >= self.count:
                break
        return self._rate(began)

    async def decoded(self) -> float:
        """Read all of it into blocks."""
        began = time.perf_counter()
        async for batch in self.log.read(0):
            if batch:
                decode_block(batch, read=self.read)
                if batch[-1].sequence >= self.count:
                    break
        return self._rate(began)

    def _rate(self, began: float) -> float:
        return self.count * self.each / (time.perf_counter() - began)


async def _fill(log: EventLog, messages: Iterator[Encoded]) -> None:
    """Append *messages*, in any order."""

    async def send() -> None:
        for encoded in messages:
            await log.append(*encoded)

    async with asyncio.TaskGroup() as group:
        for _ in range(FILLERS):
            group.create_task(send())


def _envelopes(count: int, regions: list[Region]) -> Iterator[Encoded]:
    """Yield so many envelopes: a few, again and again under other ids."""
    made = []
    for number in range(min(count, MADE)):
        events = pulls(number * ENVELOPE_EVENTS, ENVELOPE_EVENTS, regions)
        made.append(encode_message(list(events)))
    for number in range(count):
        subject, body, message_id = made[number % MADE]
        named = b"bench-%04x" % (number // MADE)
        yield subject, body.replace(b"bench-0000", named), f"{message_id}-{number}"


def _singles(count: int, regions: list[Region]) -> Iterator[Encoded]:
    for event in pulls(0, count, regions):
        yield encode_message([event])
