"""The call that measures the queue: it goes through it, and nobody else can make it."""

import asyncio
from typing import Any

import grpc
import pytest

from placement.api.server import ServerSettings
from placement.api.turns import SERVICE, Turns
from placement.runtime.limits import LimitSettings
from placement.runtime.pressure import Pressure, PressureSettings
from placement.v1 import placement_service_pb2 as pb
from tests.serving import Service, serving

MEASURED = ServerSettings(limits=LimitSettings(pressure=PressureSettings(queue_ms=50)))


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> list[Turns]:
    """What measures, once a server was built."""
    found: list[Turns] = []
    begin = Turns.__init__

    def noted(turns: Turns, *arguments: Any) -> None:  # noqa: ANN401 - of what is built
        begin(turns, *arguments)
        found.append(turns)

    monkeypatch.setattr(Turns, "__init__", noted)
    return found


async def called(service: Service, method: str) -> grpc.aio.AioRpcError:
    """Return what a call of *method* from the network fails with."""
    ask: Any = service.channel.unary_unary(method)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(b"x" * 100_000)
    return raised.value


async def test_network_finds_no_such_method(began: list[Turns]) -> None:
    """Neither by the name it once had, nor by its own: as one that never was."""
    async with serving(MEASURED) as service:
        unknown = await called(service, f"/{SERVICE}/Never")
        for method in (f"/{SERVICE}/Wait", began[0].method):
            error = await called(service, method)

            assert error.code() is grpc.StatusCode.UNIMPLEMENTED
            assert error.details() == unknown.details()


async def test_queue_is_measured_while_calls_come_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the call of our own, over its socket."""
    measured = asyncio.Event()

    def waited(_pressure: Pressure, delay_ns: int, _ahead: int) -> None:
        if delay_ns > 0:
            measured.set()

    monkeypatch.setattr(Pressure, "waited", waited)
    async with serving(MEASURED) as service, asyncio.timeout(20):
        while not measured.is_set():
            await service.placement.GetServiceInfo(pb.GetServiceInfoRequest())
