"""What an answer costs beside an echo: on one core, on two, and while events come in.

The service is the real program. The echo is a process of its own on the same stack; it
parses nothing and passes no interceptor. ``sources_again`` is one question again and
again; ``sources_computed`` asks for a freshness, too, so that each answer is computed.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from placement.bench.callers import Asked, Caller
from placement.bench.contents import REPOSITORY, digest_of, fill
from placement.bench.crowd import CALL_SECONDS_MAX, Crowd, Latencies
from placement.bench.echo import METHOD
from placement.bench.measured import Measured
from placement.bench.rounds import (
    QUICK_ROUNDS,
    ROUNDS,
    Samples,
    in_turn_async,
    own_core,
    pinned,
    server_core,
)
from placement.bench.servers import echoing, serving, serving_by
from placement.bench.settings import Settings
from placement.client import PlacementClient
from placement.client.client import rank_request

RPC: Final = "rpc"
CALLS: Final = 4_000
QUICK_CALLS: Final = 64
LAYERS: Final = 2_000
QUICK_LAYERS: Final = 20
SHARED_CONNECTIONS: Final = 32
"""Enough that each of two servers on one port gets about half of them."""
CROWD_SECONDS: Final = 4.0
QUICK_CROWD_SECONDS: Final = 0.2
SOURCES: Final = "/placement.v1.PlacementService/RankSources"
RATE: Final = "calls/s"


def measure(settings: Settings) -> list[Measured]:
    """Measure calls on one core, on two, and their latency while events come in."""
    return asyncio.run(_measured(settings))


async def _measured(settings: Settings) -> list[Measured]:
    rounds = settings.pick(ROUNDS, QUICK_ROUNDS)
    alone = await _alone(settings, rounds)
    shared = await _shared(settings, rounds)
    return [*alone, *shared, *await _crowded(settings, rounds)]


async def _alone(settings: Settings, rounds: int) -> list[Measured]:
    """Return what one service answers on a core, beside an echo on the same core."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        service = await enter(serving(settings, "alone", [server_core()]))
        echo = await enter(echoing([server_core()]))
        again, computed = await _bodies(settings, service.target)

        def asking(target: str, process: int, method: str, body: bytes) -> Caller:
            asked = Asked(target, method, body)
            count = settings.pick(CALLS, QUICK_CALLS)
            return Caller(asked, count, [process], [own_core()], settings.scratch)

        of_service = service.target, service.process_id, SOURCES
        callers = {
            "echo": asking(echo.target, echo.process_id, METHOD, again),
            "sources_again": asking(*of_service, again),
            "sources_computed": asking(*of_service, computed),
        }
        turns = {name: caller.turn for name, caller in callers.items()}
        rates = await in_turn_async(turns, rounds)
    costs = {name: Samples(tuple(callers[name].costs_us[-rounds:])) for name in callers}
    figures = [
        rates["echo"].measured(RPC, "echo_rate", RATE),
        costs["echo"].measured(RPC, "echo_cost", "us"),
    ]
    for name in ("sources_again", "sources_computed"):
        figures += [
            rates[name].measured(RPC, f"{name}_rate", RATE, rates["echo"]),
            costs[name].measured(RPC, f"{name}_cost", "us", costs["echo"]),
        ]
    return figures


async def _shared(settings: Settings, rounds: int) -> list[Measured]:
    """Return how many times as much two processes on one port answer as one."""
    one, two = [server_core()], [own_core()]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        services = [
            await enter(serving(settings, "lone", one)),
            await enter(serving(settings, "first", one)),
        ]
        first = services[1]
        await enter(serving_by(settings, "second", two, first.data_dir, first.target))
        echoes = [await enter(echoing(one)), await enter(echoing(one))]
        await enter(echoing(two, echoes[1].target))
        bodies = [(await _bodies(settings, each.target))[1] for each in services]
        count = settings.pick(2 * CALLS, QUICK_CALLS)

        def asking(target: str, method: str, body: bytes) -> Caller:
            asked = Asked(target, method, body, SHARED_CONNECTIONS)
            return Caller(asked, count, [], [*one, *two], settings.scratch)

        pairs = zip(services, bodies, strict=True)
        sources = [asking(each.target, SOURCES, body) for each, body in pairs]
        others = [asking(each.target, METHOD, bodies[0]) for each in echoes]

        async def scaling(callers: list[Caller]) -> float:
            lone, both = [await caller.turn() for caller in callers]
            return both / lone

        found = await in_turn_async(
            {"echo": lambda: scaling(others), "sources": lambda: scaling(sources)},
            rounds,
        )
    return [
        found["echo"].measured(RPC, "echo_on_two_over_one", "times"),
        found["sources"].measured(
            RPC, "sources_on_two_over_one", "times", found["echo"]
        ),
    ]


async def _crowded(settings: Settings, rounds: int) -> list[Measured]:
    """Return how long answers take while events come in, beside a time of peace."""
    peace, crowded = Latencies(), Latencies()
    directory = settings.directory("crowd")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        with pinned([own_core()]):
            log, _ = await enter(settings.open_log(directory, synced=False))
        service = await enter(
            serving_by(settings, "crowded", [server_core()], directory)
        )
        layers = settings.pick(LAYERS, QUICK_LAYERS)
        asker = await fill(service.target, settings.topology, layers)
        client = PlacementClient(service.target, timeout_s=CALL_SECONDS_MAX)
        stack.enter_context(pinned([own_core()]))
        crowd = Crowd(
            log,
            await enter(client),
            asker,
            layers,
            sorted(settings.topology.regions),
            settings.pick(CROWD_SECONDS, QUICK_CROWD_SECONDS),
        )
        for _ in range(rounds):
            await crowd.turn(peace, crowded=False)
            await crowd.turn(crowded, crowded=True)
    p50, p99, _ = peace.samples()
    crowded_p50, crowded_p99, folded = crowded.samples()
    return [
        p50.measured(RPC, "p50_in_peace", "ms"),
        p99.measured(RPC, "p99_in_peace", "ms"),
        crowded_p50.measured(RPC, "p50_while_events_come_in", "ms", p50),
        crowded_p99.measured(RPC, "p99_while_events_come_in", "ms", p99),
        folded.measured(RPC, "folded_meanwhile", "events/s"),
    ]


async def _bodies(settings: Settings, target: str) -> tuple[bytes, bytes]:
    """Fill a service, and return a request that may be kept, and one that may not."""
    layers = settings.pick(LAYERS, QUICK_LAYERS)
    asker = await fill(target, settings.topology, layers)
    again = rank_request(REPOSITORY, digest_of(layers // 2), asker)
    computed = rank_request(
        REPOSITORY, digest_of(layers // 2), asker, max_staleness_s=3_600
    )
    return again.SerializeToString(), computed.SerializeToString()
