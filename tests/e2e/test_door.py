"""A door before the real service, which is killed and comes back."""

import asyncio
import json
import shutil
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from placement.client import PlacementClient
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import placement_service_pb2 as pb
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from placement.wire.events import encode_event
from tests.builders import FRA, IAD, LATEST, SYD, WEB, A, event, pushed, replicated
from tests.doors import OpenDoor, open_door
from tests.figures import tell
from tests.real_service import RealService, running
from tests.serving import LAYER_BYTES, LAYERS, refused

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
GO_TOOLS = ("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc")
RANK = pb.RankSourcesRequest(repository=WEB, digest=A, region=SYD)
CALLS = 1_000
PATIENCE_S = 30.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RealService]:
    """The real program, with its own broker."""
    with running(RealService(tmp_path / "service")) as found:
        yield found


@pytest.fixture
async def door(service: RealService) -> AsyncIterator[OpenDoor]:
    """A door before it, which knows an image in two regions."""
    happened = [
        pushed("config", IAD, size_bytes=2_000, at_ns=time.time_ns()),
        pushed("layer", IAD, size_bytes=LAYER_BYTES, at_ns=time.time_ns()),
        pushed("a", IAD, references=LAYERS, tag=LATEST, at_ns=time.time_ns()),
        replicated("a", FRA),
    ]
    protos = []
    for number, one in enumerate(happened):
        proto = encode_event(event(one.region, one.fact, time.time_ns()))
        proto.event_id = f"door-{number}"
        protos.append(proto)
    async with PlacementClient(service.target) as client:
        published = await client.publish_events(protos)
        await client.rank_sources(WEB, A, SYD, token=published.token)
    async with open_door(service.target) as found:
        await found.until(lambda: found.local.holds(WEB, A, FRA))
        yield found


async def test_killed_service_is_outlived_and_found_again(
    service: RealService, door: OpenDoor
) -> None:
    """Rankings and estimates go on and say how old they are; tags wait."""
    before = await door.placement.RankSources(RANK)
    by_digest = pb.EstimateStartsRequest(
        images=[pb.ImageSelector(repository=WEB, reference=A)]
    )
    assert before.basis.state == basis_pb.SERVING_STATE_LIVE
    service.kill()
    await door.until(lambda: not door.local.basis.live)
    await asyncio.sleep(0.5)

    ranked = await door.placement.RankSources(RANK)
    estimated = await door.placement.EstimateStarts(by_digest)
    resolving = pb.ResolveReferenceRequest(repository=WEB, reference=LATEST)
    found = await refused(door.placement.ResolveReference(resolving))

    assert [one.region for one in ranked.sources] == [
        one.region for one in before.sources
    ]
    for answer in (ranked, estimated):
        assert answer.basis.state == basis_pb.SERVING_STATE_STALE
        assert answer.basis.staleness.ToMilliseconds() >= 500
    assert found.info.reason == "STATE_BEHIND"

    service.start()
    await asyncio.to_thread(service.wait_until_serving)
    async with asyncio.timeout(PATIENCE_S):
        await door.local.wait_live(PATIENCE_S)
    after = await door.placement.ResolveReference(resolving)
    assert (after.content.digest, after.basis.state) == (
        A,
        basis_pb.SERVING_STATE_LIVE,
    )


async def test_unary_calls_take_less_than_a_far_service(
    service: RealService, door: OpenDoor
) -> None:
    """Measured one after another, beside the service on the same machine."""
    channel: Any
    took: dict[str, list[float]] = {}
    async with grpc.aio.insecure_channel(service.target) as channel:
        stubs = {"door": door.placement, "service": PlacementServiceStub(channel)}
        for name, stub in stubs.items():
            await stub.RankSources(RANK)
            times = took[name] = []
            for _ in range(CALLS):
                began = time.perf_counter()
                await stub.RankSources(RANK)
                times.append(time.perf_counter() - began)
    milliseconds = {
        f"{name}_p50_ms": statistics.median(times) * 1e3 for name, times in took.items()
    }
    tell("door", **milliseconds)

    assert statistics.median(took["door"]) < 0.05


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_shell_example_asks_the_door(door: OpenDoor) -> None:
    """With the real curl."""
    address = door.http_url.removeprefix("http://")

    output = await ran(EXAMPLES / "ask.sh", address, "acme/web:latest", "syd,fra")

    regions = [one["region"] for one in json.loads(output)["estimates"]]
    assert sorted(regions) == ["fra", "syd"]


async def test_python_example_asks_the_door(door: OpenDoor) -> None:
    """As a program of its own."""
    program = EXAMPLES / "ask.py"

    output = await ran(sys.executable, program, grpc_address(door), WEB, A, "syd,fra")

    assert {line.split()[0] for line in output.splitlines()} == {"fra", "syd"}


@pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in GO_TOOLS),
    reason=f"not all of {', '.join(GO_TOOLS)} are installed",
)
@pytest.mark.timeout(600)  # modules are fetched and built
async def test_go_example_asks_the_door(door: OpenDoor, tmp_path: Path) -> None:
    """From stubs that are generated here."""
    await ran(EXAMPLES / "build_go.sh", tmp_path / "ask")

    program = tmp_path / "ask" / "ask"
    output = await ran(program, grpc_address(door), WEB, A, "syd,fra")

    assert {line.split()[0] for line in output.splitlines()} == {"fra", "syd"}


def grpc_address(door: OpenDoor) -> str:
    """Return where the door is asked over gRPC."""
    return f"127.0.0.1:{door.ports['agent.door.listen']}"


async def ran(*command: object) -> str:
    """Return what a command prints."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()
