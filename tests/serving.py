"""The real gRPC server in this process, over a view that a test folds by hand."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.message import Message as ProtoMessage
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from placement.adapters.memory import MemoryEventLog
from placement.api.server import PlacementServer, ServerSettings, build_server
from placement.core.event import Event, Identifier
from placement.core.fold import fold
from placement.core.state import State
from placement.runtime.publisher import Publisher
from placement.runtime.view import View
from placement.v1.event_service_pb2_grpc import EventServiceStub
from placement.v1.operations_service_pb2_grpc import OperationsServiceStub
from placement.v1.placement_service_pb2_grpc import PlacementServiceStub
from placement.v1.replication_service_pb2_grpc import ReplicationServiceStub
from placement.wire.events import decode_message
from tests.builders import LAYER, SECOND_NS, START_NS, TOPOLOGY, UNNAMED, descriptor

Detail = TypeVar("Detail", bound=ProtoMessage)

EPOCH = "memory-1"
LAYER_BYTES = 8_000_000
LAYERS = [
    descriptor("config", 2_000, "application/vnd.oci.image.config.v1+json"),
    descriptor("layer", LAYER_BYTES, LAYER),
]


@dataclass
class Stage:
    """A log, a view and a clock that stands still; the state moves when a test says."""

    now_ns: int = START_NS
    stored: int = 0
    log: MemoryEventLog = field(init=False)
    view: View = field(init=False)

    def __post_init__(self) -> None:
        """Begin with an empty log, of which nothing is folded."""
        self.log = MemoryEventLog(lambda: self.now_ns)
        self.view = View(lambda: self.now_ns)
        self.view.replace(State(), EPOCH, restored=False)

    def server(self, settings: ServerSettings | None = None) -> PlacementServer:
        """Return a server of this stage that is not listening yet."""
        publisher = Publisher(self.log, self.view)
        chosen = settings or ServerSettings()
        return build_server(chosen, self.view, TOPOLOGY, publisher, lambda: self.now_ns)

    async def happen(self, *events: Event) -> str:
        """Store *events* a second apart, fold them, and return the state's token."""
        for event in events:
            self.stored += 1
            self.now_ns += SECOND_NS
            named = event
            if event.event_id == UNNAMED:
                named = replace(event, event_id=Identifier(f"staged-{self.stored}"))
            await Publisher(self.log, self.view).publish([named])
        await self.fold_all()
        return self.view.basis().token

    async def fold_all(self) -> None:
        """Fold what is in the log and tell the view."""
        state = self.view.state
        while stored := await self.log.message(state.sequence + 1):
            fold(state, decode_message(stored))
        self.view.caught_up()


@dataclass
class Service:
    """A stage that is being served, and plain stubs that ask it."""

    stage: Stage
    server: PlacementServer
    target: str
    channel: grpc.aio.Channel

    @property
    def placement(self) -> Any:  # noqa: ANN401 - a stub of an aio channel
        """The stub of PlacementService."""
        return PlacementServiceStub(self.channel)

    @property
    def replication(self) -> Any:  # noqa: ANN401 - a stub of an aio channel
        """The stub of ReplicationService."""
        return ReplicationServiceStub(self.channel)

    @property
    def operations(self) -> Any:  # noqa: ANN401 - a stub of an aio channel
        """The stub of OperationsService."""
        return OperationsServiceStub(self.channel)

    @property
    def events(self) -> Any:  # noqa: ANN401 - a stub of an aio channel
        """The stub of EventService."""
        return EventServiceStub(self.channel)


@asynccontextmanager
async def serving(settings: ServerSettings | None = None) -> AsyncIterator[Service]:
    """Serve a new stage on a free port of this machine."""
    stage = Stage()
    server = stage.server(settings)
    target = f"127.0.0.1:{await server.start()}"
    try:
        async with grpc.aio.insecure_channel(target) as channel:
            yield Service(stage, server, target, channel)
    finally:
        await server.stop(0)


@dataclass(frozen=True)
class Refusal:
    """What a call failed with."""

    code: grpc.StatusCode
    message: str
    info: error_details_pb2.ErrorInfo
    violations: list[error_details_pb2.BadRequest.FieldViolation]
    retry_ms: int | None

    @property
    def field(self) -> str:
        """The one field that was at fault."""
        (violation,) = self.violations
        return violation.field


async def refused(call: Awaitable[Any]) -> Refusal:
    """Return what *call* fails with, every error's ErrorInfo among it."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    error = raised.value
    status: Any = rpc_status.from_call(error)  # type: ignore[arg-type]  # alike enough
    assert status is not None, error
    (info,) = _details(status, error_details_pb2.ErrorInfo)
    bad = _details(status, error_details_pb2.BadRequest)
    retry = _details(status, error_details_pb2.RetryInfo)
    return Refusal(
        error.code(),
        error.details() or "",
        info,
        [violation for each in bad for violation in each.field_violations],
        retry[0].retry_delay.ToMilliseconds() if retry else None,
    )


def _details(status: Any, kind: type[Detail]) -> list[Detail]:  # noqa: ANN401 - google.rpc
    found = []
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    return found
