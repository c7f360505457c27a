"""A door before a stage's service: opened, asked, and compared with what is behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
import httpx

from placement.agent.door.door import GRPC_KEY, HTTP_KEY, Door, DoorSettings
from placement.client import LocalPlacements
from placement.v1.event_service_pb2_grpc import EventServiceStub
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from tests.builders import API, FRA, IAD, LATEST, pushed, replicated
from tests.serving import LAYER_BYTES, LAYERS, Service, Stage, serving

PATIENCE_S = 10.0
ANY_PORT = ("127.0.0.1", 0)


@dataclass
class OpenDoor:
    """A door that serves, and who asks it."""

    door: Door
    local: LocalPlacements
    ports: dict[str, int]
    channel: grpc.aio.Channel
    http: httpx.AsyncClient

    @property
    def placement(self) -> Any:  # noqa: ANN401 - a stub of an aio channel
        """The stub of PlacementService."""
        return PlacementServiceStub(self.channel)

    @property
    def events(self) -> Any:  # noqa: ANN401 - a stub of an aio channel
        """The stub of EventService."""
        return EventServiceStub(self.channel)

    @property
    def http_url(self) -> str:
        """Where it is asked in JSON."""
        return f"http://127.0.0.1:{self.ports[HTTP_KEY]}"

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something *holds* of what is known."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                await self.local.changed()

    async def caught_up(self, stage: Stage) -> None:
        """Wait until all that *stage* folded is known."""
        sequence = stage.view.state.sequence
        await self.until(lambda: self.local.basis.sequence >= sequence)


@asynccontextmanager
async def image_in_two_regions() -> AsyncIterator[Service]:
    """Serve a state that knows an image in two regions, and another in one."""
    async with serving() as found:
        await found.stage.happen(
            pushed("config", IAD, size_bytes=2_000),
            pushed("layer", IAD, size_bytes=LAYER_BYTES),
            pushed("a", IAD, references=LAYERS, tag=LATEST),
            replicated("a", FRA),
            pushed("b", IAD, API),
        )
        yield found


@asynccontextmanager
async def open_door(target: str, **options: Any) -> AsyncIterator[OpenDoor]:  # noqa: ANN401 - of LocalPlacements.start
    """Open a door before the service at *target*."""
    async with (
        await LocalPlacements.start(target, **options) as local,
        door_to(local, target) as door,
    ):
        yield door


@asynccontextmanager
async def door_to(local: LocalPlacements, target: str) -> AsyncIterator[OpenDoor]:
    """Open a door that answers from *local*, before the service at *target*."""
    ports: dict[str, int] = {}
    settings = DoorSettings(ANY_PORT, ANY_PORT)
    door = Door(settings, local, target, on_listening=ports.__setitem__)
    running = asyncio.create_task(door.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while len(ports) < len((GRPC_KEY, HTTP_KEY)):
                assert not running.done(), running
                await asyncio.sleep(0.01)
        address = f"127.0.0.1:{ports[GRPC_KEY]}"
        url = f"http://127.0.0.1:{ports[HTTP_KEY]}"
        async with (
            grpc.aio.insecure_channel(address) as channel,
            httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as http,
        ):
            yield OpenDoor(door, local, ports, channel, http)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@asynccontextmanager
async def door_of(service: Service) -> AsyncIterator[OpenDoor]:
    """Open a door before *service*, by the stage's clock."""
    async with open_door(service.target, clock=lambda: service.stage.now_ns) as door:
        yield door
