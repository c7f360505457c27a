"""Look-ups in packed batches: what they cost the service, and beside Redis.

Each batch asks for BATCH contents at random. ``packed`` is the service alone, asked by
h2load where that is installed; the others are whole look-ups from Python, from digests
as text to the best region, with the service or Redis on the other core. Without
redis-server there is nothing to stand beside, and its figures are left out.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Final

from placement.bench.callers import CONNECTIONS, Asked, Caller
from placement.bench.contents import REPOSITORY, digest_of, fill, holders
from placement.bench.measured import Measured
from placement.bench.redis import RedisConnection, is_installed, running_redis
from placement.bench.rounds import (
    QUICK_ROUNDS,
    ROUNDS,
    Samples,
    in_turn_async,
    own_core,
    pinned,
    server_core,
)
from placement.bench.servers import serving
from placement.bench.settings import Settings
from placement.client import PlacementClient
from placement.client.requests import packed_request
from placement.core.oci import Digest
from placement.core.topology import Region

BATCH: Final = "batch"
DIGESTS_AT_ONCE: Final = 1_000
BATCHES: Final = 200
"""In each turn."""
READABLE_BATCHES: Final = 10
LAYERS: Final = 20_000
SEED: Final = 20261129
PACKED: Final = "/placement.v1.PlacementService/BatchRankSourcesPacked"
CALL_SECONDS_MAX: Final = 30.0
RATE: Final = "look-ups/s"


def measure(settings: Settings) -> list[Measured]:
    """Measure packed and readable batches, and the same look-ups by Redis."""
    return asyncio.run(_measured(settings))


async def _measured(settings: Settings) -> list[Measured]:
    rounds = settings.pick(ROUNDS, QUICK_ROUNDS)
    layers = settings.pick(LAYERS, DIGESTS_AT_ONCE)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        service = await enter(serving(settings, "service", [server_core()]))
        asker = await fill(service.target, settings.topology, layers)
        client = PlacementClient(service.target, timeout_s=CALL_SECONDS_MAX)
        batches = settings.pick(BATCHES, CONNECTIONS)
        asking = _Asking(await enter(client), asker, layers, batches)
        body = packed_request(REPOSITORY, asking.digests(), asker).SerializeToString()
        asked = Asked(service.target, PACKED, body)
        own, count = [own_core()], asking.batches
        caller = Caller(asked, count, [service.process_id], own, settings.scratch)
        turns: dict[str, Callable[[], Awaitable[float]]] = {
            "packed": caller.turn,
            "packed_from_python": asking.packed,
            "readable_from_python": asking.readable,
        }
        if is_installed():
            redis = await enter(running_redis(settings.scratch, [server_core()]))
            asking.redis = redis
            fill_redis(redis, settings, layers)
            turns["redis_from_python"] = asking.redis_members
        stack.enter_context(pinned([own_core()]))
        found = await in_turn_async(turns, rounds)
    cost_us = [each / DIGESTS_AT_ONCE for each in caller.costs_us[-rounds:]]
    packed = Samples(tuple(DIGESTS_AT_ONCE * each for each in found["packed"].values))
    per_core = Samples(tuple(1e6 / each for each in cost_us))
    redis_found = found.get("redis_from_python")
    figures = [
        packed.measured(BATCH, "packed", RATE),
        per_core.measured(BATCH, "packed_per_core", RATE),
        Samples(tuple(cost_us)).measured(BATCH, "packed_cost", "us"),
        found["packed_from_python"].measured(
            BATCH, "packed_from_python", RATE, redis_found
        ),
        found["readable_from_python"].measured(
            BATCH, "readable_from_python", RATE, redis_found
        ),
    ]
    if redis_found is not None:
        figures.append(redis_found.measured(BATCH, "redis_from_python", RATE))
    return figures


@dataclass(slots=True)
class _Asking:
    """Asks for the best region of contents at random, in Python."""

    client: PlacementClient
    asker: Region
    layers: int
    batches: int
    redis: RedisConnection | None = None
    random: Random = field(default_factory=lambda: Random(SEED))  # noqa: S311 - made up

    def digests(self) -> list[Digest]:
        """Return a batch at random."""
        picked = self.random.choices(range(self.layers), k=DIGESTS_AT_ONCE)
        return [digest_of(number) for number in picked]

    async def packed(self) -> float:
        """Return look-ups a second by packed batches."""
        asked = [self.digests() for _ in range(self.batches)]
        began = time.perf_counter()
        for digests in asked:
            found = await self.client.batch_rank_sources_packed(
                REPOSITORY, digests, self.asker
            )
            assert len(found.best()) == DIGESTS_AT_ONCE
        return self._rate(len(asked), began)

    async def readable(self) -> float:
        """Return look-ups a second by batches of messages."""
        asked = [self.digests() for _ in range(min(READABLE_BATCHES, self.batches))]
        began = time.perf_counter()
        for digests in asked:
            found = await self.client.batch_rank_sources(
                REPOSITORY, digests, self.asker
            )
            best = [ranking.sources[0].region for ranking in found.rankings]
            assert len(best) == DIGESTS_AT_ONCE
        return self._rate(len(asked), began)

    async def redis_members(self) -> float:
        """Return look-ups a second by Redis, which says who has it, and no more."""
        assert self.redis is not None, "it is installed"
        asked = [self.digests() for _ in range(self.batches)]
        began = time.perf_counter()
        for digests in asked:
            found = self.redis.members([digest.encode() for digest in digests])
            best = [members[0] for members in found]
            assert len(best) == DIGESTS_AT_ONCE
        return self._rate(len(asked), began)

    def _rate(self, batches: int, began: float) -> float:
        return batches * DIGESTS_AT_ONCE / (time.perf_counter() - began)


def fill_redis(redis: RedisConnection, settings: Settings, layers: int) -> None:
    """Let Redis know which regions have each layer, as the service does."""
    storing = sorted(
        c for c in settings.topology.regions if settings.topology.stores(c)
    )
    for first in range(0, layers, DIGESTS_AT_ONCE):
        numbers = range(first, min(first + DIGESTS_AT_ONCE, layers))
        redis.add(
            {
                digest_of(number).encode(): [
                    region.encode() for region in holders(storing, number)
                ]
                for number in numbers
            }
        )
