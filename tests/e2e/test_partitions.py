"""Links that break without saying so: between service and broker, and between brokers.

No answer marked LIVE may lack what was stored longer ago than the bar of freshness, and
after the link heals everything is there again.
Figures of a run: ``pytest -rP tests/e2e/test_partitions.py``.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from placement.adapters.jetstream.log import JetStreamLog
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.client import PlacementCallError, PlacementClient
from placement.core.errors import PlacementError
from tests.cluster_load import LIVE, push
from tests.figures import tell
from tests.link_proxy import LinkProxy
from tests.nats_cluster import SIZE, NatsCluster, running_cluster
from tests.nats_server import NatsServer, newest_server
from tests.ports import free_port
from tests.real_service import POLL_SECONDS, RealService

LONG = bool(os.environ.get("PLACEMENT_LONG"))
FRESH_SECONDS: Final = 5.0
"""What was stored longer ago must be in an answer that is marked LIVE."""
BROKEN_SECONDS: Final = 8.0
ALONE_SECONDS: Final = 16.0
"""The others need up to 9 s to elect another leader, and 5 s of age make it wrong."""
CONVERGED_SECONDS_MAX: Final = 10.0
STORE_PAUSE_SECONDS: Final = 0.1
SUBJECT: Final = "placement.events.v1.iad.content_pushed"


@dataclass
class Truth:
    """What was acknowledged past the service, and when; and what it said of itself."""

    service: RealService
    settings: JetStreamSettings
    stored: list[tuple[float, int]] = field(default_factory=list)
    """When which sequence was acknowledged, in order."""
    wrong: list[str] = field(default_factory=list)
    live_count: int = 0
    states: set[int] = field(default_factory=set)
    oldest_live_s: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def store(self) -> None:
        """Store one event after the other, each until it is acknowledged."""
        log = JetStreamLog(self.settings)
        number = 0
        try:
            while not self.over.is_set():
                event = push(f"truth-{number}")
                body = event.SerializeToString()
                try:
                    done = await log.append(SUBJECT, body, event.event_id)
                except PlacementError:
                    continue
                finally:
                    await asyncio.sleep(STORE_PAUSE_SECONDS)
                self.stored.append((time.monotonic(), done.sequence))
                number += 1
        finally:
            await log.close()

    async def judge(self) -> None:
        """Ask the service all the time, and hold LIVE answers against the truth."""
        async with PlacementClient(self.service.target, timeout_s=5) as client:
            while not self.over.is_set():
                asked = time.monotonic()
                with suppress(PlacementCallError):
                    basis = (await client.get_service_info()).basis
                    self.states.add(basis.state)
                    if basis.state == LIVE:
                        self._hold(asked, basis.sequence)
                await asyncio.sleep(POLL_SECONDS)

    def _hold(self, asked: float, sequence: int) -> None:
        self.live_count += 1
        lacking = [at for at, stored in self.stored if stored > sequence and at < asked]
        if lacking:
            age_s = asked - lacking[0]
            self.oldest_live_s = max(self.oldest_live_s, age_s)
            if age_s > FRESH_SECONDS:
                self.wrong.append(f"LIVE at {sequence}, without what is {age_s:.1f} s")

    async def converged(self) -> float:
        """Return after how long the service is LIVE with all that was stored by now."""
        began = time.monotonic()
        async with PlacementClient(self.service.target, timeout_s=5) as client:
            while True:
                wanted = self.stored[-1] if self.stored else (0.0, 0)
                basis = (await client.get_service_info()).basis
                fresh = wanted[0] > began  # stored after the link had healed
                if fresh and basis.state == LIVE and basis.sequence >= wanted[1]:
                    return time.monotonic() - began
                assert time.monotonic() - began < 3 * CONVERGED_SECONDS_MAX, basis
                await asyncio.sleep(POLL_SECONDS)


async def broken_for_a_while(
    truth: Truth,
    damage: Callable[[], None],
    heal: Callable[[], None],
    seconds: float = BROKEN_SECONDS,
) -> float:
    """Return how long it took after *heal* until all was well again."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(truth.store())
        tasks.create_task(truth.judge())
        await truth.converged()
        damage()
        await asyncio.sleep(seconds)
        heal()
        took_s = await truth.converged()
        truth.over.set()
    return took_s


@asynccontextmanager
async def linked_service(
    directory: Path,
) -> AsyncIterator[tuple[Truth, LinkProxy]]:
    """Run one broker, and a service that reaches it through a link."""
    server = NatsServer(newest_server(), directory / "nats")
    async with AsyncExitStack() as stack:
        stack.callback(server.kill)
        server.start()
        link = await stack.enter_async_context(LinkProxy(f"127.0.0.1:{server.port}"))
        url = f"nats://127.0.0.1:{link.port}"
        service = RealService(directory / "service", ("--nats-url", url))
        stack.callback(service.kill)
        service.start()
        await asyncio.to_thread(service.wait_until_serving)
        yield Truth(service, server.settings), link


def slow(link: LinkProxy) -> None:
    """Let everything take half a second each way, at a modem's pace."""
    for way in (link.there, link.back):
        way.delay_s, way.rate = 0.5, 3_000


def fast(link: LinkProxy) -> None:
    """Let the link be as it was."""
    for way in (link.there, link.back):
        way.delay_s, way.rate = 0.0, 0


DAMAGES: Final[dict[str, tuple[Callable[[LinkProxy], None], bool]]] = {
    "cut": (LinkProxy.block, True),
    "deaf": (lambda link: link.back.block(), True),
    "mute": (lambda link: link.there.block(), True),
    "slow": (slow, False),
}
"""How a link breaks, and whether the service must notice."""
SHORT: Final = ("deaf",)


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", list(DAMAGES) if LONG else SHORT)
async def test_service_without_its_broker_claims_nothing(
    tmp_path: Path, kind: str
) -> None:
    """Nothing comes, or nothing goes, or late; connections stay as if all were well."""
    damage, noticed = DAMAGES[kind]
    async with linked_service(tmp_path) as (truth, link):

        def heal() -> None:
            fast(link)
            link.unblock()

        took_s = await broken_for_a_while(truth, lambda: damage(link), heal)

    tell(
        "broken links",
        kind=kind,
        live_answers=truth.live_count,
        wrong_live_answers=len(truth.wrong),
        oldest_live_s=truth.oldest_live_s,
        converged_s=took_s,
    )
    assert truth.wrong == []
    assert truth.live_count > 0
    assert not noticed or truth.states - {LIVE}
    assert took_s <= CONVERGED_SECONDS_MAX


class Routes:
    """A link for each direction in which one broker may dial another."""

    def __init__(self) -> None:
        """Have none; a cluster makes them as it is laid out."""
        self.links: dict[tuple[int, int], LinkProxy] = {}
        self._ports: dict[tuple[int, int], int] = {}

    def dialled(self, server: int, other: int, port: int) -> int:
        """Return where *server* dials *other*, which listens at *port*."""
        listens = self._ports[server, other] = free_port()
        address = f"127.0.0.1:{port}"
        self.links[server, other] = LinkProxy(address, port=listens)
        return listens

    def isolate(self, alone: int, *, deaf: bool = False) -> None:
        """Let server *alone* reach no other; *deaf*: what it says is heard."""
        for (server, other), link in self.links.items():
            if server == alone:
                link.back.block()
                if not deaf:
                    link.there.block()
            if other == alone:
                link.there.block()
                if not deaf:
                    link.back.block()

    def heal(self) -> None:
        """Let all reach all."""
        for link in self.links.values():
            link.unblock()


@asynccontextmanager
async def linked_cluster(
    directory: Path,
) -> AsyncIterator[tuple[NatsCluster, Routes]]:
    """Run three brokers that reach each other through links only."""
    routes = Routes()
    cluster = NatsCluster(newest_server(), directory / "nats", routes.dialled)
    async with AsyncExitStack() as stack:
        for link in routes.links.values():
            await stack.enter_async_context(link)
        await stack.enter_async_context(running_cluster(cluster))
        yield cluster, routes


@pytest.mark.long
@pytest.mark.timeout(180)
@pytest.mark.parametrize("knows_all", [True, False])
@pytest.mark.parametrize("deaf", [False, True])
async def test_leader_that_is_cut_off_is_not_believed(
    tmp_path: Path, *, deaf: bool, knows_all: bool
) -> None:
    """It goes on answering while the others have another leader and store more.

    A service that knows all servers goes over to the others.
    """
    async with linked_cluster(tmp_path) as (cluster, routes), AsyncExitStack() as stack:
        settings = JetStreamSettings(
            servers=tuple(server.url for server in cluster.servers), replicas=SIZE
        )
        log = await JetStreamLog.connect(settings)
        await log.close()
        alone = await cluster.leader(whole=True)
        others = [s.url for n, s in enumerate(cluster.servers) if n != alone]
        mine = cluster.servers[alone].url
        known = ",".join([mine, *others]) if knows_all else mine
        service = RealService(
            tmp_path / "service",
            ("--nats-url", known),
            {"PLACEMENT_NATS__REPLICAS": str(SIZE)},
        )
        stack.callback(service.kill)
        service.start()
        await asyncio.to_thread(service.wait_until_serving)
        truth = Truth(service, JetStreamSettings(servers=tuple(others), replicas=SIZE))
        stored_before = 0

        def damage() -> None:
            nonlocal stored_before
            stored_before = len(truth.stored)
            routes.isolate(alone, deaf=deaf)

        took_s = await broken_for_a_while(truth, damage, routes.heal, ALONE_SECONDS)

    tell(
        "partitions of the cluster",
        deaf=deaf,
        knows_all=knows_all,
        stored=len(truth.stored),
        live_answers=truth.live_count,
        wrong_live_answers=len(truth.wrong),
        oldest_live_s=truth.oldest_live_s,
        converged_s=took_s,
    )
    assert truth.wrong == []
    assert len(truth.stored) > stored_before
    assert "epoch_broken" not in service.output()
    assert took_s <= CONVERGED_SECONDS_MAX
