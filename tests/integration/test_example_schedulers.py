"""docs/examples for schedulers: over real HTTP, and with the service gone."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from placement.client import LocalPlacements, PlacementClient
from placement.v1 import events_pb2
from tests.builders import FRA, IAD, LATEST, SYD, WEB, A, pushed, replicated
from tests.examples import EXAMPLES, example, extender_args, over_http
from tests.link_proxy import LinkProxy
from tests.ports import free_port
from tests.serving import LAYERS, Service, serving

REGISTRY = "registry.example.com"
IMAGE = f"{REGISTRY}/{WEB}:{LATEST}"
NODES = {"node-syd": SYD, "node-fra": FRA, "node-where": None, "node-mars": "mars"}
CONFIGURATION = (
    EXAMPLES.parents[1] / "tools/deploy/kubernetes/scheduler-extender/scheduler.yaml"
)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service that knows an image in two regions."""
    async with serving() as found:
        await found.stage.happen(
            pushed("config", IAD, size_bytes=2_000),
            pushed("layer", IAD, size_bytes=8_000_000),
            pushed("a", IAD, references=LAYERS, tag=LATEST),
            *(replicated(name, FRA) for name in ("config", "layer", "a")),
        )
        yield found


async def scores(http: Any, body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return what the extender answers to *body*."""
    answer = await http.post("/prioritize", content=body)
    assert answer.status_code == 200
    return answer.json()


def served(extender: Any) -> Starlette:  # noqa: ANN401 - of an example
    """Return the application of *extender*, as the program makes it."""
    route = Route("/prioritize", extender.prioritize, methods=["POST"])
    return Starlette(routes=[route])


async def test_extender_scores_nodes_by_the_seconds_to_their_images(
    service: Service,
) -> None:
    """Ten where the image is, less the longer it takes, none where nobody knows."""
    extender = example("kubernetes_extender").Extender(REGISTRY, {"eu-central-1": FRA})
    nodes = {**NODES, "node-mapped": "eu-central-1"}
    async with (
        await LocalPlacements.start(service.target) as extender.local,
        over_http(served(extender)) as http,
    ):
        body = extender_args([IMAGE, "docker.io/library/envoy:v1"], nodes, 4_000)
        found = {one["Host"]: one["Score"] for one in await scores(http, body)}

        assert list(found) == list(nodes)
        assert found["node-fra"] == found["node-mapped"] == 10
        assert 0 < found["node-syd"] < 10
        assert found["node-where"] == found["node-mars"] == 0

        await service.server.stop(0)
        async with asyncio.timeout(10):
            while extender.local.basis.live:
                await extender.local.changed()
        gone = {one["Host"]: one["Score"] for one in await scores(http, body)}

        assert gone == found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"Pod": null, "Nodes": null}',
        b'{"Pod": {"spec": {"containers": [{}]}}, "Nodes": {"items": []}}',
        b'{"Pod": {"spec": {"containers": "x"}}, "Nodes": {"items": [{}]}}',
        b"[" * 200_000,
        extender_args([IMAGE], {"n": "syd"}).replace(
            b"acme/web", b"acme/" + b"x" * 999
        ),
        extender_args([f"{REGISTRY}/nobody/knows:v1"], {"n": "syd"}),
        extender_args(["docker.io/library/envoy:v1"], {"n": "syd"}),
        extender_args([IMAGE], {"n": "mars"}),
    ],
)
async def test_extender_has_no_opinion_of_strange_bodies(
    service: Service, body: bytes
) -> None:
    """An empty list is one that the scheduler can read."""
    extender = example("kubernetes_extender").Extender(REGISTRY, {})
    async with (
        await LocalPlacements.start(service.target) as extender.local,
        over_http(served(extender)) as http,
    ):
        assert await scores(http, body) == []


async def test_extender_answers_in_time_without_a_service() -> None:
    """It has none yet: no opinion, at once, and it goes on looking for one."""
    extender = example("kubernetes_extender").Extender(REGISTRY, {})
    keeping = asyncio.create_task(extender.keep(f"127.0.0.1:{free_port()}"))
    async with over_http(served(extender)) as http:
        body = extender_args([IMAGE], NODES)
        await scores(http, body)
        began_s = time.monotonic()

        assert await scores(http, body) == []

        assert time.monotonic() - began_s < 0.5
    keeping.cancel()


async def test_extender_answers_in_time_when_the_body_does_not_come(
    service: Service,
) -> None:
    """It waits for 80 ms, not for the end."""
    extender = example("kubernetes_extender").Extender(REGISTRY, {})
    async with (
        await LocalPlacements.start(service.target) as extender.local,
        over_http(served(extender)) as http,
    ):
        await scores(http, extender_args([IMAGE], NODES))
        reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
        writer.write(
            b"POST /prioritize HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"
        )
        began_s = time.monotonic()

        head = await reader.readline()

        assert head == b"HTTP/1.1 200 OK\r\n"
        assert 0.07 < time.monotonic() - began_s < 0.5
        writer.close()


def test_scheduler_is_told_what_the_extender_keeps_to() -> None:
    """One verb, 100 ms, and a failure that keeps no pod waiting."""
    text = CONFIGURATION.read_text()

    for line in (
        "apiVersion: kubescheduler.config.k8s.io/v1",
        "kind: KubeSchedulerConfiguration",
        "  - urlPrefix: http://127.0.0.1:8888",
        "    prioritizeVerb: prioritize",
        "    httpTimeout: 100ms",
        "    ignorable: true",
        "    nodeCacheCapable: false",
    ):
        assert line in text.splitlines()
    assert not {"filterVerb", "bindVerb", "preemptVerb"} & set(text.split(":"))
    assert example("kubernetes_extender").DEADLINE_S < 0.1


async def test_machine_goes_where_it_starts_soonest_and_there_is_room(
    service: Service,
) -> None:
    """The region with the image, unless it is full; then the next one."""
    fly = example("fly_placement")
    async with PlacementClient(service.target) as client:
        image = (WEB, LATEST)
        free = await fly.place(client, image, "syd,fra", {"fra": 1, "syd": 5})
        full = await fly.place(client, image, "syd,fra", {"fra": 0, "syd": 5})
        none = await fly.place(client, image, "syd,fra", {"ams": 3})

    assert free[0] == FRA
    assert full[0] == SYD
    assert 0 <= free[1] < full[1]
    assert none is None


async def test_starts_are_told_before_and_after(service: Service) -> None:
    """What is announced is demand, and what came of it scores the estimate."""
    fly = example("fly_placement")
    async with PlacementClient(service.target) as client:
        assert await fly.announce(client, (WEB, LATEST), SYD)
        started = events_pb2.MachineStarted(repository=WEB, digest=A, machine_id="m-1")
        assert await fly.report_start(client, SYD, started, 3.5, 3.0)
        await service.stage.fold_all()

        placed = await client.get_placement(WEB, LATEST)
        why = await client.explain_start("m-1")

    assert SYD in {demand.region for demand in placed.placement.demands}
    assert why.region == SYD
    assert why.image_wait.ToNanoseconds() == 3_500_000_000


async def test_placing_goes_on_without_advice(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a quarter of a second the first candidate with room is taken."""
    fly = example("fly_placement")
    async with (
        LinkProxy(service.target) as link,
        PlacementClient(f"127.0.0.1:{link.port}") as client,
    ):
        await client.get_service_info()
        link.block()
        began_s = time.monotonic()

        placed = await fly.place(client, (WEB, LATEST), "ams,fra", {"fra": 1})

        assert time.monotonic() - began_s < 2
        assert placed == (FRA, None)
        assert "without advice" in capsys.readouterr().err
        link.unblock()


async def test_fly_program_prints_where(service: Service) -> None:
    """From its command line, as a script would run it."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, EXAMPLES / "fly_placement.py"),
        *("--server", service.target, "place", f"{WEB}:{LATEST}"),
        *("--in", "syd,fra", "--room", "fra=1,syd=1"),
        stdout=subprocess.PIPE,
    )
    said, _ = await program.communicate()

    assert json.loads(said)["region"] == FRA
    stored = await service.stage.log.last("placement.events.v1.fra.starts_requested")
    assert stored is not None


@pytest.mark.parametrize(
    "name", ["fly_placement", "kubernetes_extender", "registry_middleware"]
)
def test_example_is_short_and_says_how_it_is_run(name: str) -> None:
    """At most 120 lines, and its help says what it is."""
    program = EXAMPLES / f"{name}.py"

    done = subprocess.run(
        [sys.executable, program, "--help"], capture_output=True, text=True, check=True
    )

    assert len(program.read_text().splitlines()) <= 120
    assert "--server" in done.stdout
    assert f"docs/examples/{name}.py" in " ".join(done.stdout.split())
