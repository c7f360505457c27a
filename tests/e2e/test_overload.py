"""The real program and more callers than it can answer, each side on a core of its own.

The machine may be busy with other work, so what counts are ratios within one run, and
the best of some turns of each kind. Figures: ``pytest -rP tests/e2e/test_overload.py``.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from placement.bench.contents import REPOSITORY, digest_of, fill
from placement.config import Config, load_topology
from placement.v1 import placement_service_pb2 as pb
from tests.closed_callers import Found, closed_loop
from tests.figures import tell
from tests.real_service import RealService, running
from tests.strategies import LONG

pytestmark = [pytest.mark.timeout(1_800 if LONG else 300), pytest.mark.alone]
LAYERS = 1_000
DIGESTS = 100
"""Of one call: some milliseconds of work, so that asking costs less than answering."""
METHOD = "/placement.v1.PlacementService/BatchRankSources"
SECONDS = 8.0 if LONG else 1.5
TURNS = 5 if LONG else 1
ALONE = (2, 4, 8) if LONG else (2, 4)
"""One caller never saturates a server, which rests between answer and next question."""
GROWTH = 1.02
"""A fiftieth more is growth; less is chance."""
ALONE_TURNS = 2 if LONG else 1
GOODPUT_SHARE, P99_TIMES = 0.9, 2.0
CROWD_MIN = 1 if LONG else 12
"""In the gate turns are short and others run beside: enough ask to be refused then."""


@dataclass
class Checks:
    """How often health was told, and how slowly."""

    count: int = 0
    slowest_s: float = 0.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RealService]:
    """A service on the machine's first core."""
    first = min(os.sched_getaffinity(0))
    found = RealService(tmp_path, prefix=("taskset", "-c", str(first)), sheds=True)
    with running(found):
        yield found


@pytest.fixture
def ask(service: RealService) -> Callable[[int], Found]:
    """Lets so many callers ask for a while, on the machine's last core."""
    asker = asyncio.run(fill(service.target, load_topology(Config()), LAYERS))
    body = pb.BatchRankSourcesRequest(
        repository=REPOSITORY,
        digests=map(digest_of, range(DIGESTS)),
        region=asker,
    ).SerializeToString()
    last = max(os.sched_getaffinity(0))

    def turn(callers: int) -> Found:
        prefix = ("taskset", "-c", str(last))
        return closed_loop(service.target, METHOD, body, callers, SECONDS, prefix)

    return turn


def best(turns: list[Found]) -> tuple[float, float]:
    """Return the goodput and the p99 of the turn that was disturbed least."""
    return (
        max(turn.per_second for turn in turns),
        min(turn.quantile_ms(0.99) for turn in turns),
    )


@pytest.mark.long
def test_three_times_too_many_callers_are_answered_as_fast(
    ask: Callable[[int], Found], service: RealService
) -> None:
    """90 % of the peak's goodput, and those who are let in wait twice as long at most.

    Health is told all the while. Saturation is the smallest number of
    callers at which more of them bring no more.
    """
    alone = {
        callers: max(ask(callers).per_second for _ in range(ALONE_TURNS))
        for callers in ALONE
    }
    peak = max(alone.values())
    saturating = next(n for n, rate in alone.items() if rate * GROWTH >= peak)
    enough: list[Found] = []
    thrice: list[Found] = []
    for _ in range(TURNS):  # in turn, so that both have the same neighbours
        enough.append(ask(saturating))
        crowd = partial(ask, max(3 * saturating, CROWD_MIN))
        found, checks = checked_meanwhile(service.target, crowd)
        thrice.append(found)

    goodput, p99_ms = best(enough)
    crowded, crowded_p99_ms = best(thrice)
    refused = sum(each.refused.get("OVERLOADED", 0) for each in thrice)
    tell(
        "overload",
        saturating_callers=saturating,
        per_second=goodput,
        p99_ms=p99_ms,
        crowded_goodput_share=crowded / max(goodput, peak),
        crowded_p99_times=crowded_p99_ms / p99_ms,
        refused_a_second=refused / TURNS / SECONDS,
        health_checks=checks.count,
        slowest_check_s=checks.slowest_s,
    )
    assert refused > 0
    assert all(set(found.refused) <= {"OVERLOADED"} for found in thrice)
    assert checks.count > 0
    assert crowded > 0
    if LONG:  # what others do beside would decide in the gate
        assert crowded >= GOODPUT_SHARE * max(goodput, peak)
        assert crowded_p99_ms <= P99_TIMES * p99_ms
    assert "OVERLOADED" not in service.output()  # they are counted, not logged


def checked_meanwhile(target: str, crowd: Callable[[], Found]) -> tuple[Found, Checks]:
    """Run *crowd*, and ask for the service's health all the while: none may fail."""

    async def check() -> tuple[Found, Checks]:
        asking = asyncio.create_task(asyncio.to_thread(crowd))
        checks = Checks()
        async with grpc.aio.insecure_channel(target) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while not asking.done():
                began_s = monotonic()
                request = health_pb2.HealthCheckRequest()
                answer = await stub.Check(request, timeout=5)  # type: ignore[attr-defined]  # its stubs lack it
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
                checks.count += 1
                checks.slowest_s = max(checks.slowest_s, monotonic() - began_s)
                await asyncio.sleep(0.05)
        return asking.result(), checks

    return asyncio.run(check())
