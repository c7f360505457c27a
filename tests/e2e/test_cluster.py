"""Several services over a cluster of three brokers, any of which may go away.

Figures of a run: ``pytest -rP tests/e2e/test_cluster.py``.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.client import PlacementClient
from placement.runtime.replay import replay
from tests.cluster_load import ClusterLoad
from tests.figures import tell
from tests.nats_cluster import SIZE, NatsCluster, running_cluster
from tests.nats_server import DEBIAN_SERVER, newest_server
from tests.real_service import RealService

LONG = bool(os.environ.get("PLACEMENT_LONG"))
SERVICE_COUNT = 3 if LONG else 2
LEADER_KILLS = 5 if LONG else 1
SETTLED_SECONDS = 1.0
GAP_SECONDS_MAX = {"newest": 15.0, "debian": 30.0}
"""Debian's brokers may say for a while that JetStream is unavailable: see F5."""
BROKERS = ["newest", "debian"] if LONG else ["newest"]


@pytest.fixture
async def cluster(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[NatsCluster]:
    """Run three brokers, of the newest release or the one of Debian."""
    newest = getattr(request, "param", "newest") == "newest"
    binary = newest_server() if newest else DEBIAN_SERVER
    if not binary.exists():
        pytest.skip(f"{binary} is not installed: apt-get install nats-server")
    release = "newest" if newest else "debian"
    made = NatsCluster(binary, tmp_path / "nats", release=release)
    async with running_cluster(made) as running:
        yield running


@asynccontextmanager
async def services_on(
    url: str, directory: Path, count: int = SERVICE_COUNT
) -> AsyncIterator[list[RealService]]:
    """Run *count* services over the cluster at *url*; its stream has three copies."""
    settings = {"PLACEMENT_NATS__REPLICAS": str(SIZE)}
    services = [
        RealService(directory / f"s{number}", ("--nats-url", url), dict(settings))
        for number in range(count)
    ]
    with ExitStack() as stack:
        for service in services:
            stack.callback(service.kill)
            service.start()
        for service in services:
            await asyncio.to_thread(service.wait_until_serving)
        yield services


async def kill_leaders(cluster: NatsCluster, load: ClusterLoad, count: int) -> None:
    """Kill the stream's leader *count* times; each comes back to a whole cluster."""
    for _ in range(count):
        await asyncio.sleep(SETTLED_SECONDS)
        leader = cluster.servers[await cluster.leader(whole=True)]
        leader.kill()
        await load.folded()
        await asyncio.to_thread(leader.start)
        await cluster.leader(whole=True)
        await load.folded()


async def restart_brokers(cluster: NatsCluster, load: ClusterLoad) -> None:
    """Restart one broker after the other in good order, as for an upgrade."""
    for server in cluster.servers:
        await cluster.leader(whole=True)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await load.folded()


async def restart_services(load: ClusterLoad) -> None:
    """Restart one service after the other in good order, as for an upgrade."""
    for service in load.services:
        await asyncio.to_thread(service.stop)
        service.start()
        await asyncio.to_thread(service.wait_until_serving)
        await load.folded()


async def all_is_there(load: ClusterLoad, cluster: NatsCluster) -> None:
    """Assert that every service folded what was acknowledged, and nothing else."""
    await load.folded()
    urls = tuple(server.url for server in cluster.servers)
    log = await JetStreamLog.connect(JetStreamSettings(servers=urls, replicas=SIZE))
    undisturbed = await replay(log)
    await log.close()
    for service in load.services:
        async with PlacementClient(service.target, timeout_s=20) as client:
            info = await client.get_service_info(include_fingerprint=True)
        assert info.counts.folded_count == len(set(load.acknowledged))
        assert info.counts.set_aside_count == 0
        assert info.basis.sequence == undisturbed.sequence
        assert info.fingerprint == undisturbed.fingerprint
        assert "epoch_broken" not in service.output()
    assert load.faults == []
    assert all(len(seen.epochs - {""}) == 1 for seen in load.seen)


@pytest.mark.timeout(900 if LONG else 180)
@pytest.mark.parametrize("cluster", BROKERS, indirect=True)
async def test_leader_kills_lose_no_acknowledged_event(
    cluster: NatsCluster, tmp_path: Path
) -> None:
    """The stream's leader is killed under load; the long test also rolls everything."""
    urls = tuple(server.url for server in cluster.servers)
    async with services_on(cluster.url, tmp_path) as services:
        load = ClusterLoad(services, urls)
        async with asyncio.TaskGroup() as tasks:
            await load.begin(tasks)
            await kill_leaders(cluster, load, LEADER_KILLS)
            killed_gap_s = load.gap_s
            for seen in load.seen:
                seen.gap_s = 0.0
            if LONG:
                await restart_brokers(cluster, load)
            brokers_gap_s = load.gap_s
            for seen in load.seen:
                seen.gap_s = 0.0
            if LONG:
                await restart_services(load)
            load.over.set()
        await all_is_there(load, cluster)

    tell(
        "leader kills",
        kills=LEADER_KILLS,
        services=len(services),
        acknowledged=len(set(load.acknowledged)),
        queries=load.query_count,
        failed_queries=len(load.failures),
        slowest_query_s=load.slowest_s,
        gap_s_max=killed_gap_s,
        gap_s_max_rolling_brokers=brokers_gap_s,
        gap_s_max_rolling_services=load.gap_s,
    )
    assert max(killed_gap_s, brokers_gap_s) <= GAP_SECONDS_MAX[cluster.release]
