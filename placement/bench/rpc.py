"""What an answer costs beside an echo: on one core, on two, and while events come in.

The service is the real program. The echo is a process of its own on the same stack; it
parses nothing and passes no interceptor. ``sources_again`` is one question again and
again; ``sources_computed`` asks for a freshness, too, so that each answer is computed.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
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
from placement.bench.servers import Server, echoing, serving, serving_by
from placement.bench.settings import Service, Settings
from placement.client import PlacementClient
from placement.client.requests import rank_request

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
    one = [server_core()]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        alone = _Alone(
            settings,
            await enter(serving(settings, "alone", one)),
            await enter(echoing(one)),
        )
        figures = await alone.costs(rounds) + await alone.shared(rounds)
    return figures + await _crowded(settings, rounds)


@dataclass(frozen=True, slots=True)
class _Alone:
    """One service and one echo, on one core."""

    settings: Settings
    service: Service
    echo: Server

    async def costs(self, rounds: int) -> list[Measured]:
        """Return what the service answers, beside the echo."""
        settings = self.settings
        again, computed = await _bodies(settings, self.service.target)

        def asking(server: Service | Server, method: str, body: bytes) -> Caller:
            asked = Asked(server.target, method, body)
            count = settings.pick(CALLS, QUICK_CALLS)
            own, processes = [own_core()], [server.process_id]
            return Caller(asked, count, processes, own, settings.scratch)

        callers = {
            "echo": asking(self.echo, METHOD, again),
            "sources_again": asking(self.service, SOURCES, again),
            "sources_computed": asking(self.service, SOURCES, computed),
        }
        turns = {name: caller.turn for name, caller in callers.items()}
        rates = await in_turn_async(turns, rounds)
        costs = {
            name: Samples(tuple(caller.costs_us[-rounds:]))
            for name, caller in callers.items()
        }
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

    async def shared(self, rounds: int) -> list[Measured]:
        """Return how many times as much two processes on one port answer as one."""
        settings, one, two = self.settings, [server_core()], [own_core()]
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            first = await enter(serving(settings, "first", one))
            by = first.data_dir, first.target
            await enter(serving_by(settings, "second", two, *by))
            echo = await enter(echoing(one))
            await enter(echoing(two, echo.target))
            _, body = await _bodies(settings, first.target)

            def asking(server: Service | Server, method: str) -> Caller:
                asked = Asked(server.target, method, body, SHARED_CONNECTIONS)
                count = settings.pick(2 * CALLS, QUICK_CALLS)
                return Caller(asked, count, [], [*one, *two], settings.scratch)

            async def scaling(lone: Caller, both: Caller) -> float:
                rate = await lone.turn()
                return await both.turn() / rate

            echoes = asking(self.echo, METHOD), asking(echo, METHOD)
            services = asking(self.service, SOURCES), asking(first, SOURCES)
            found = await in_turn_async(
                {
                    "echo": lambda: scaling(*echoes),
                    "sources": lambda: scaling(*services),
                },
                rounds,
            )
        name = "on_two_over_one"
        return [
            found["echo"].measured(RPC, f"echo_{name}", "times"),
            found["sources"].measured(RPC, f"sources_{name}", "times", found["echo"]),
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
