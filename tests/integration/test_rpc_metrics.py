"""Every call of the contract is counted by its method, how it ended and how long."""

import asyncio
from contextlib import suppress

import grpc
from prometheus_client import CollectorRegistry

from placement.telemetry.calls import CODES, register_calls
from placement.v1 import placement_service_pb2 as pb
from placement.wire.service_answers import SERVICE_NAMES
from tests.builders import IAD, LATEST, WEB, A, pushed
from tests.serving import Service, serving

NAME = "placement_rpc_seconds"


def told(service: Service) -> CollectorRegistry:
    """Return a registry that tells of the calls of *service*."""
    registry = CollectorRegistry()
    register_calls(registry, service.server.calls)
    return registry


def counted(service: Service, method: str, code: str) -> float:
    """Return how many calls of a method of PlacementService ended so."""
    labels = {"method": f"PlacementService/{method}", "code": code}
    return told(service).get_sample_value(f"{NAME}_count", labels) or 0.0


def streamed(service: Service, figure: str) -> float:
    """Return a figure of watches."""
    labels = {"method": "PlacementService/WatchPlacements"}
    return told(service).get_sample_value(f"placement_rpc_{figure}", labels) or 0.0


def test_codes_are_those_of_grpc() -> None:
    """Each by its number, so that none is told under another's name."""
    assert {code.name: code.value[0] for code in grpc.StatusCode} == {
        name: number for number, name in enumerate(CODES)
    }


async def test_calls_are_counted_by_how_they_ended() -> None:
    """Answered, refused for what is unknown, and not even read: each once."""
    async with serving() as service:
        await service.stage.happen(pushed("a", IAD, tag=LATEST))
        stub = service.placement
        rank = pb.RankSourcesRequest(repository=WEB, digest=A, region=IAD)
        for _ in range(3):
            await stub.RankSources(rank)
        with suppress(grpc.aio.AioRpcError):
            await stub.GetPlacement(pb.GetPlacementRequest(repository="no/such"))
        with suppress(grpc.aio.AioRpcError):
            await stub.RankSources(pb.RankSourcesRequest(repository="NO"))
        async with asyncio.timeout(10):  # a call is counted after it was answered
            while not counted(service, "RankSources", "INVALID_ARGUMENT"):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)

        assert counted(service, "RankSources", "OK") == 3
        assert counted(service, "RankSources", "INVALID_ARGUMENT") == 1
        refused = ("NOT_FOUND", "INVALID_ARGUMENT")
        assert sum(counted(service, "GetPlacement", code) for code in refused) == 1
        assert counted(service, "GetPlacement", "OK") == 0


async def test_stream_is_open_until_its_caller_leaves() -> None:
    """Then it ends as cancelled, and its messages stay counted."""
    async with serving() as service:
        await service.stage.happen(pushed("a", IAD, tag=LATEST))
        call = service.placement.WatchPlacements(pb.WatchPlacementsRequest())
        await call.read()

        assert streamed(service, "streams_open") == 1
        async with asyncio.timeout(10):
            while not streamed(service, "stream_messages_total"):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        call.cancel()
        async with asyncio.timeout(10):
            while not counted(service, "WatchPlacements", "CANCELLED"):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
        assert streamed(service, "streams_open") == 0


async def test_every_method_has_its_series_before_it_is_called() -> None:
    """All of the contract's services, so that a rate begins at zero."""
    async with serving() as service:
        samples = [
            sample.labels["method"]
            for family in told(service).collect()
            for sample in family.samples
            if sample.name == f"{NAME}_count" and sample.labels["code"] == "OK"
        ]

    services = {name.rpartition(".")[2] for name in SERVICE_NAMES}
    assert {method.partition("/")[0] for method in samples} == services
    assert len(samples) == len(set(samples)) > 25
