"""A new service that begins from a peer's checkpoint, beside one that folds the log.

The log holds twenty events of each digest, in messages of many, in a broker of its own.
Each contestant is a real process with an empty directory; its time is from its start
until it is LIVE, and in the end it has the fingerprint of the others.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

from placement.bench.measured import Measured, quantile
from placement.bench.rounds import Samples, own_core, pinned, server_core
from placement.bench.settings import Service, Settings
from placement.bench.told_often import digest_of, fill, repository_of
from placement.client import PlacementClient
from placement.core.topology import Region

SUITE: Final = "bootstrap"
DIGESTS: Final = 100_000
QUICK_DIGESTS: Final = 2_000
ROUNDS: Final = 3
"""Of a bootstrap; the log is folded twice, which takes long."""
START_SECONDS_MAX: Final = 3_600.0
CALL_SECONDS_MAX: Final = 900.0
CALLS: Final = 3_000
QUICK_CALLS: Final = 50
_MEGABYTE: Final = 1e6
_MS: Final = 1e3
_SLOWLY: Final = {"PLACEMENT_BOOTSTRAP__BYTES_PER_SECOND": str(4 * 1024**2)}
"""So that a stream lasts while calls are measured beside it."""
_QUIET: Final = {"PLACEMENT_PLANNER__ENABLED": "false"}
"""Nobody ticks: all end at the same message."""
_UNWATCHED: Final = {"PLACEMENT_WATCHDOG_SECONDS": "0"}
"""A fingerprint of a million digests takes longer than a loop may stand still."""


@dataclass
class _Times:
    """How long services took to be LIVE, by the clock and of their processors."""

    clock: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def add(self, began: float, service: Service) -> None:
        """Note that *service*, which was started when it *began*, is LIVE."""
        self.clock.append(time.perf_counter() - began)
        self.processor.append(_processor_seconds(service.process_id))

    def told(self, way: str, beside: "_Times | None" = None) -> list[Measured]:
        """Return both as figures."""
        other = beside or _Times()
        return [
            Samples(tuple(own)).measured(
                SUITE, f"{kind}_by_{way}", "s", Samples(tuple(their)) if their else None
            )
            for kind, own, their in (
                ("live", self.clock, other.clock),
                ("processor", self.processor, other.processor),
            )
        ]


@dataclass
class _Found:
    """Seconds to LIVE, fingerprints, and milliseconds of calls."""

    replay: _Times = field(default_factory=_Times)
    bootstrap: _Times = field(default_factory=_Times)
    fingerprints: set[str] = field(default_factory=set)
    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)


def measure(settings: Settings) -> list[Measured]:
    """Measure both ways to be LIVE, and what a reader costs its peer's callers."""
    return asyncio.run(_measured(settings))


async def _measured(settings: Settings) -> list[Measured]:
    digests = settings.digests or settings.pick(DIGESTS, QUICK_DIGESTS)
    found = _Found()
    directory = settings.directory("log")
    async with AsyncExitStack() as stack:
        log, _ = await stack.enter_async_context(
            settings.open_log(directory, synced=False)
        )
        filled = await fill(log, settings.topology, digests)
        runs = _Runs(settings, directory)
        peer = await stack.enter_async_context(runs.service("replay", found.replay))
        found.fingerprints.add(await _fingerprint(peer))
        for _ in range(settings.pick(ROUNDS, 1)):
            async with runs.service("new", found.bootstrap, peer) as new:
                found.fingerprints.add(await _fingerprint(new))
                size = (new.data_dir / "checkpoint.sqlite").stat().st_size
        slow = runs.service("replay", found.replay, settings=_SLOWLY)
        giver = await stack.enter_async_context(slow)
        found.fingerprints.add(await _fingerprint(giver))
        await _calls(settings, runs, giver, found)
    if len(found.fingerprints) != 1:
        message = f"not one state, but {found.fingerprints}"
        raise RuntimeError(message)
    sooner = median(found.replay.clock) / median(found.bootstrap.clock)
    return [
        *found.replay.told("replay"),
        *found.bootstrap.told("bootstrap", found.replay),
        Measured(SUITE, "times_sooner", sooner, "times"),
        _p99("call_p99_alone", found.alone),
        _p99("call_p99_beside_a_reader", found.beside, found.alone),
        Measured(SUITE, "checkpoint", size / _MEGABYTE, "MB"),
        Measured(SUITE, "digests", digests, "digests"),
        Measured(SUITE, "events", filled, "events"),
    ]


def _p99(
    metric: str, taken: list[float], beside: list[float] | None = None
) -> Measured:
    ceiling = None if beside is None else quantile(beside, 0.99)
    return Measured(SUITE, metric, quantile(taken, 0.99), "ms", ceiling)


@dataclass
class _Runs:
    """Starts services on one log, each with an empty directory."""

    settings: Settings
    log: Path
    numbers: Iterator[int] = field(default_factory=count)

    @asynccontextmanager
    async def service(
        self,
        name: str,
        times: _Times,
        peer: Service | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Service]:
        """Run one until the block ends; add how long it took to be LIVE."""
        address = self.settings.broker_address(self.log)
        arguments = ["--nats-url", address.url]
        if peer is not None:
            arguments += ["--bootstrap-from", peer.target]
        user = {
            "PLACEMENT_NATS__USER": address.user,
            "PLACEMENT_NATS__PASSWORD": address.password,
            "PLACEMENT_NATS__STREAM": address.stream,
        }
        directory = self.settings.directory(f"{name}-{next(self.numbers)}")
        began = time.perf_counter()
        async with self.settings.run_service(
            directory,
            arguments=arguments,
            settings=user | _QUIET | _UNWATCHED | dict(settings or {}),
            cores=[server_core()],
            start_seconds=START_SECONDS_MAX,
        ) as service:
            times.add(began, service)
            told = (directory / "service.log").read_text()
            if peer is not None and "bootstrap_adopted" not in told:
                message = f"it did not begin from its peer: {told[-2000:]}"
                raise RuntimeError(message)
            yield service


def _processor_seconds(process_id: int) -> float:
    """Return for how long a process has used processors, in seconds."""
    told = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


async def _fingerprint(service: Service) -> str:
    async with PlacementClient(service.target, timeout_s=CALL_SECONDS_MAX) as client:
        info = await client.get_service_info(include_fingerprint=True)
        return info.fingerprint


async def _calls(
    settings: Settings, runs: _Runs, giver: Service, found: _Found
) -> None:
    """Measure calls to *giver*, alone and while another service begins from it."""
    calls = settings.pick(CALLS, QUICK_CALLS)
    region = min(settings.topology.regions)
    patient = PlacementClient(giver.target, timeout_s=CALL_SECONDS_MAX)
    with pinned([own_core()]):
        async with patient as client:
            await _asked(client, region, calls, [])
            await _asked(client, region, calls, found.alone)
            taking = asyncio.create_task(_taken(runs, giver))
            while not taking.done():
                await _asked(client, region, QUICK_CALLS, found.beside)
            await taking


async def _taken(runs: _Runs, giver: Service) -> None:
    async with runs.service("taker", _Times(), giver):
        pass


async def _asked(
    client: PlacementClient, region: Region, calls: int, taken: list[float]
) -> None:
    for number in range(calls):
        began = time.perf_counter()
        await client.rank_sources(repository_of(number), digest_of(number), region)
        taken.append(_MS * (time.perf_counter() - began))
