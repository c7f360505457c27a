"""A new service that begins from a peer's checkpoint, beside one that folds the log.

The log holds twenty events of each digest, in messages of many, in a broker of its own.
Each contestant is a real process with an empty directory; its time is from its start
until it is LIVE, and in the end it has the fingerprint of the others.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count, product
from pathlib import Path
from typing import Final

from placement.bench.measured import Measured, quantile
from placement.bench.rounds import Samples, own_core, pinned, server_core
from placement.bench.settings import Service, Settings
from placement.client import PlacementClient
from placement.core.event import (
    ClientKind,
    ContentPulled,
    ContentPushed,
    DurationNs,
    Event,
    Identifier,
    Name,
)
from placement.core.oci import Descriptor, Digest, Repository
from placement.core.topology import Region
from placement.ports import EventLog, LogUnavailableError
from placement.wire.events import Encoded, encode_message

SUITE: Final = "bootstrap"
DIGESTS: Final = 100_000
QUICK_DIGESTS: Final = 2_000
EVENTS_EACH: Final = 20
MESSAGE_EVENTS: Final = 512
GROUP_DIGESTS: Final = 32_768
"""Of so many the rounds of events are made at once: all is never in memory."""
ROUNDS: Final = 3
"""Of a bootstrap; the log is folded twice, which takes long."""
FILLERS: Final = 16
RETRY_SECONDS: Final = 0.5
START_SECONDS_MAX: Final = 3_600.0
CALL_SECONDS_MAX: Final = 900.0
CALLS: Final = 3_000
QUICK_CALLS: Final = 50
LAYER: Final = Name("application/vnd.oci.image.layer.v1.tar+gzip")
_MEGABYTE: Final = 1e6
_MS: Final = 1e3
_SLOWLY: Final = {"PLACEMENT_BOOTSTRAP__BYTES_PER_SECOND": str(4 * 1024**2)}
"""So that a stream lasts while calls are measured beside it."""
_QUIET: Final = {"PLACEMENT_PLANNER__ENABLED": "false"}
"""Nobody ticks: all end at the same message."""
_UNWATCHED: Final = {"PLACEMENT_WATCHDOG_SECONDS": "0"}
"""A fingerprint of a million digests takes longer than a loop may stand still."""


@dataclass
class _Found:
    """Seconds to LIVE, fingerprints, and milliseconds of calls."""

    replay: list[float] = field(default_factory=list)
    bootstrap: list[float] = field(default_factory=list)
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
        filled = await _fill(settings, log, digests)
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
    replay, soon = Samples(tuple(found.replay)), Samples(tuple(found.bootstrap))
    return [
        replay.measured(SUITE, "live_by_replay", "s"),
        soon.measured(SUITE, "live_by_bootstrap", "s", replay),
        Measured(SUITE, "times_sooner", replay.median / soon.median, "times"),
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
        seconds: list[float],
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
            seconds.append(time.perf_counter() - began)
            told = (directory / "service.log").read_text()
            if peer is not None and "bootstrap_adopted" not in told:
                message = f"it did not begin from its peer: {told[-2000:]}"
                raise RuntimeError(message)
            yield service


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
    async with runs.service("taker", [], giver):
        pass


async def _asked(
    client: PlacementClient, region: Region, calls: int, taken: list[float]
) -> None:
    for number in range(calls):
        began = time.perf_counter()
        await client.rank_sources(_repository(number), _digest(number), region)
        taken.append(_MS * (time.perf_counter() - began))


async def _fill(settings: Settings, log: EventLog, digests: int) -> int:
    """Store all events, many at a time, and return how many there are."""
    regions = [
        r for r in sorted(settings.topology.regions) if settings.topology.stores(r)
    ]
    messages = _messages(digests, regions)

    async def send() -> None:
        for encoded in messages:
            while True:
                try:
                    await log.append(*encoded)
                except LogUnavailableError:
                    await asyncio.sleep(RETRY_SECONDS)  # it is stored once, by its id
                else:
                    break

    async with asyncio.TaskGroup() as group:
        for _ in range(FILLERS):
            group.create_task(send())
    return digests * EVENTS_EACH


def _messages(digests: int, regions: list[Region]) -> Iterator[Encoded]:
    """Yield each digest's push and its pulls, round by round, under ids of their own.

    The pulls are from two regions in turn, and are made once for each: their ids alone
    change from round to round.
    """
    for group in range(0, digests, GROUP_DIGESTS):
        ends = min(group + GROUP_DIGESTS, digests)
        runs = [
            range(first, min(first + MESSAGE_EVENTS, ends))
            for first in range(group, ends, MESSAGE_EVENTS)
        ]
        for run in runs:
            yield encode_message([_push(number, regions) for number in run])
        made: dict[tuple[int, int], Encoded] = {}
        for number, run in product(range(EVENTS_EACH - 1), runs):
            place = (number % 2, run.start)
            if place not in made:
                pulls = [_pull(each, place[0], regions) for each in run]
                made[place] = encode_message(pulls)
            subject, body, message_id = made[place]
            named = body.replace(b"round-00", b"round-%02d" % (number + 1))
            yield subject, named, f"{message_id}-{number}"


def _push(number: int, regions: list[Region]) -> Event:
    size = 1_000_000 + number
    fact = ContentPushed(Descriptor(_digest(number), LAYER, size), _repository(number))
    return Event(Identifier(f"push-{number:08x}"), regions[0], fact)


def _pull(number: int, side: int, regions: list[Region]) -> Event:
    fact = ContentPulled(
        _digest(number),
        _repository(number),
        client_region=regions[(number + side) % len(regions)],
        source_region=regions[0],
        transferred_bytes=1_000_000 + number,
        pull_duration_ns=DurationNs(200_000_000 + number),
        client_kind=ClientKind.RUNTIME,
        media_type=LAYER,
        size_bytes=1_000_000 + number,
    )
    return Event(Identifier(f"round-00-{number:08x}"), regions[0], fact)


def _digest(number: int) -> Digest:
    return Digest(f"sha256:{sha256(number.to_bytes(8, 'big')).hexdigest()}")


def _repository(number: int) -> Repository:
    return Repository(f"acme/app-{number // 100}")
