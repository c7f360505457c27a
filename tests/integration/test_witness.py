"""Services that compare their states: who errs is found, named, and says so itself.

Figures of a run: ``pytest -rP tests/integration/test_witness.py``.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.client import PlacementClient
from placement.nats_authority.names import FINGERPRINTS
from placement.runtime.replay import replay
from placement.v1 import placement_service_pb2 as pb
from tests.cluster_load import push
from tests.figures import tell
from tests.nats_server import NatsServer, jetstream
from tests.ports import free_port
from tests.real_service import RealService

NOTICED_SECONDS_MAX = 30.0
INTERVAL_SECONDS = 0.5
ERRS = "after_fold_before_advance=err:40"


class Services:
    """Services over one broker, which compare their states twice a second."""

    def __init__(self, nats: NatsServer, directory: Path, stack: ExitStack) -> None:
        """Run none yet."""
        self._nats = nats
        self._directory = directory
        self._stack = stack
        self.running: list[RealService] = []
        self.pages: list[str] = []

    async def start(self, fault_points: str = "") -> None:
        """Run one more."""
        metrics = f"127.0.0.1:{free_port()}"
        service = RealService(
            self._directory / f"s{len(self.running)}",
            ("--nats-url", self._nats.url),
            {
                "PLACEMENT_COMPARE_INTERVAL_SECONDS": str(INTERVAL_SECONDS),
                "PLACEMENT_FAULT_POINTS": fault_points,
                "PLACEMENT_METRICS_LISTEN": metrics,
            },
        )
        self._stack.callback(service.kill)
        service.start()
        await asyncio.to_thread(service.wait_until_serving)
        self.running.append(service)
        self.pages.append(f"http://{metrics}/metrics")

    async def publish(self, seconds: float, *verdicts: str) -> None:
        """Publish for so long, or until each service has come to one of *verdicts*."""
        until, number = time.monotonic() + seconds, 0
        async with PlacementClient(self.running[0].target, timeout_s=10) as client:
            while time.monotonic() < until:
                await client.publish_events([push(f"e{time.monotonic_ns()}")])
                number += 1
                await asyncio.sleep(0.02)
                if verdicts and self._all_say(*verdicts):
                    return

    def _all_say(self, *verdicts: str) -> bool:
        """Say whether every service said that they differ, with one of *verdicts*."""
        return all(
            any(line["wrong"] in verdicts for line in logged(one, "state_diverged"))
            for one in self.running
        )

    async def infos(self) -> list[pb.GetServiceInfoResponse]:
        """Return what each says of itself."""
        found = []
        for service in self.running:
            async with PlacementClient(service.target, timeout_s=10) as client:
                info = await client.get_service_info(include_fingerprint=True)
                found.append(info)
        return found

    async def metric(self, number: int, name: str) -> float:
        """Return one figure of a service."""
        async with httpx.AsyncClient() as client:
            page = (await client.get(self.pages[number])).text
        [line] = [one for one in page.splitlines() if one.startswith(f"{name} ")]
        return float(line.split()[-1])


@pytest.fixture
async def services(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Services]:
    """Yield no services yet; they end with the test."""
    with ExitStack() as stack:
        yield Services(nats, tmp_path, stack)


def logged(service: RealService, event: str) -> list[dict[str, object]]:
    """Return the lines of a service's log about *event*."""
    lines = [json.loads(line) for line in service.output().splitlines()]
    return [line for line in lines if line["event"] == event]


@pytest.mark.long
async def test_service_that_errs_is_found_and_named(
    nats: NatsServer, services: Services
) -> None:
    """One errs in one digest's size. Of two, nobody can say which; of three, all can.

    Folding the log anew gives the fingerprint of those that are right.
    """
    await services.start()
    await services.start(ERRS)
    began = time.monotonic()
    await services.publish(NOTICED_SECONDS_MAX, "undecided")
    noticed_s = time.monotonic() - began
    of_two = await services.infos()
    await services.start()
    await services.publish(NOTICED_SECONDS_MAX, "other_service", "this_service")

    right, wrong, third = await services.infos()
    log = await JetStreamLog.connect(nats.settings)
    undisturbed = await replay(log)
    await log.close()

    tell("a service that errs", noticed_s=noticed_s)
    undecided = pb.DIVERGENCE_VERDICT_UNDECIDED
    assert [info.divergence.verdict for info in of_two] == [undecided] * 2
    assert wrong.divergence.verdict == pb.DIVERGENCE_VERDICT_THIS_SERVICE
    assert wrong.divergence.other_service in {right.service_name, third.service_name}
    for one in (right, third):
        assert one.divergence.verdict == pb.DIVERGENCE_VERDICT_OTHER_SERVICE
        assert one.divergence.other_service == wrong.service_name
        assert one.divergence.fingerprint != one.divergence.other_fingerprint
        assert one.fingerprint == undisturbed.fingerprint
    assert wrong.fingerprint != undisturbed.fingerprint
    assert await services.metric(1, "placement_divergence_found") == 1
    line = logged(services.running[1], "state_diverged")[-1]
    assert line["fingerprint"] != line["other_fingerprint"]
    assert int(str(line["sequence"])) > 0


@pytest.mark.long
async def test_services_that_agree_say_nothing(
    nats: NatsServer, services: Services
) -> None:
    """Two are compared again and again, one of them restarted; garbage is ignored."""
    await services.start()
    await services.start()

    await services.publish(4 * INTERVAL_SECONDS)
    async with jetstream(nats) as manager:
        client = manager._nc  # noqa: SLF001 - it has no other name
        for garbage in (b"", b"{}", b"[" * 10_000, b'{"service": 1}', b"\xff" * 3_000):
            await client.publish(f"{FINGERPRINTS}.PLACEMENT_V1", garbage)
        await client.flush()
    services.running[1].stop()
    services.running[1].start()
    await asyncio.to_thread(services.running[1].wait_until_serving)
    await services.publish(6 * INTERVAL_SECONDS)

    for number, info in enumerate(await services.infos()):
        assert not info.HasField("divergence")
        made = 'placement_comparisons_total{outcome="compared"}'
        assert await services.metric(number, made) > 0
        differed = 'placement_comparisons_total{outcome="divergent"}'
        assert await services.metric(number, differed) == 0
