"""The door for gRPC: what the replica can answer, and all else passed on."""

import secrets
from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Any, Final

import grpc
import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from placement.agent.door.desk import Desk
from placement.agent.door.service import end, passed_on
from placement.api.answering import Handler, Unregistered, failed
from placement.api.health import Health
from placement.api.listener import ServerSettings, listen
from placement.api.measuring import Behaviour, measured
from placement.api.reading import Context
from placement.api.server import OPTIONS
from placement.api.status import crash_status, status_of
from placement.core.errors import InputError, PlacementError
from placement.runtime.calls import Calls as Counted
from placement.runtime.view import ServingState
from placement.wire.service_answers import SERVICE_NAMES

OURS: Final = "/placement.v1."
STOP_SECONDS_MAX: Final = 1.0

log = structlog.get_logger(__name__)


class GrpcDoor:
    """One gRPC server on this machine; it starts once and stops once."""

    def __init__(self, desk: Desk, counted: Counted | None = None) -> None:
        """Let *desk* answer; calls of methods that *counted* knows are counted."""
        self._health = Health(Replica(desk))
        self._server = grpc.aio.server(options=(*OPTIONS, ("grpc.so_reuseport", 0)))
        self._server.add_generic_rpc_handlers((Calls(desk, counted or Counted()),))
        plain: Any = Unregistered(self._server)
        add_HealthServicer_to_server(self._health, plain)
        health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
        names = (*SERVICE_NAMES, health_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, plain)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; raises InputError naming the key."""
        try:
            bound = listen(self._server, ServerSettings(host, port))
        except InputError as error:
            raise error.within("agent.door") from None
        await self._server.start()
        return bound

    async def stop(self) -> None:
        """Take no new calls, and give those under way a moment."""
        self._health.stop()
        await self._server.stop(STOP_SECONDS_MAX)


class Replica:
    """Whether the replica knows all that the service knew at least once."""

    def __init__(self, desk: Desk) -> None:
        """Look at the replica of *desk*."""
        self._local = desk.local

    @property
    def ready(self) -> bool:
        """Whether its first snapshot is whole, and the service's log was folded."""
        return self._local.basis.state is not ServingState.REBUILDING


class Calls(grpc.GenericRpcHandler):
    """Finds for every call of the contract who answers it."""

    def __init__(self, desk: Desk, counted: Counted) -> None:
        """Let *desk* answer; *counted* knows whose calls are counted."""
        self._desk = desk
        self._counted = dict(counted)
        self._known: dict[str, Handler] = {}

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Return what answers a call; None: it is none of ours."""
        path = str(handler_call_details.method)
        if self._desk.answers(path):
            if path not in self._known:
                self._known[path] = self._answered(path)
            return self._known[path]
        return self._passed_on(path) if path.startswith(OURS) else None

    def _answered(self, path: str) -> Handler:
        desk = self._desk

        async def answer(body: bytes, context: Context) -> bytes:
            metadata = passed_on(context.invocation_metadata() or ())
            remaining_s = context.time_remaining()
            return await desk.answer(path, body, remaining_s, metadata)

        return grpc.unary_unary_rpc_method_handler(self._measured(path, answer))

    def _passed_on(self, path: str) -> Handler:
        service = self._desk.service

        async def answer(requests: Any, context: Context) -> None:  # noqa: ANN401 - an iterator of bytes
            await service.pass_on(path, requests, context)

        return grpc.stream_stream_rpc_method_handler(self._measured(path, answer))

    def _measured(self, path: str, answer: Behaviour) -> Behaviour:
        """Return what answers or refuses, counted where the method is known.

        Anybody may ask for a method of any name; a metric must not take it over.
        """
        behaviour: Behaviour = refusing(path, answer)
        calls = self._counted.get(path)
        return behaviour if calls is None else measured(path, behaviour, calls)


def refusing(path: str, answer: Callable[[Any, Context], Awaitable[Any]]) -> Any:  # noqa: ANN401 - a behaviour
    """Return *answer*, whose failures become statuses as the service's do."""

    async def answered(request: Any, context: Context) -> Any:  # noqa: ANN401 - of its method
        began_ns = perf_counter_ns()
        try:
            return await answer(request, context)
        except grpc.aio.AbortError:
            raise  # it is answered already
        except grpc.aio.AioRpcError as error:
            said = error.details() or ""
            return await end(context, error.code(), said, error.trailing_metadata())
        except PlacementError as error:
            failed(path, error, began_ns)
            await context.abort_with_status(status_of(error))
        except Exception:
            error_id = secrets.token_hex(8)
            log.exception("call_failed", method=path, error_id=error_id)
            await context.abort_with_status(crash_status(error_id))
        raise AssertionError  # abort raises

    return answered
