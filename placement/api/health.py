"""grpc.health.v1: whether calls may be sent here.

Our own because the servicer of grpcio-health-checking 1.81 forgets the other watchers
of a name when one of them leaves, and then never tells them that the service stops.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Literal, Protocol

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthServicer

from placement.api.reading import Context
from placement.wire.service_answers import SERVICE_NAMES

NAMES: Final = frozenset({"", *SERVICE_NAMES})
"""The whole server, and each service of the contract."""
LOOK_EVERY_S: Final = 0.1

Status = Literal["SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]


class Readiness(Protocol):
    """What is looked at: a view, or a replica."""

    @property
    def ready(self) -> bool:
        """Whether all was known at least once."""


class Health(HealthServicer):
    """SERVING once the log was folded up to its end, until the server stops.

    A log that is out of reach or was replaced changes nothing: answers go on.
    """

    def __init__(self, view: Readiness) -> None:
        """Look at *view* to tell."""
        self._view = view
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Say NOT_SERVING from now on, and let go of all that watch."""
        self._stopping.set()

    def status(self, name: str) -> Status:
        """Return the status of a service; SERVICE_UNKNOWN for no service of ours."""
        if name not in NAMES:
            return "SERVICE_UNKNOWN"
        ready = self._view.ready and not self._stopping.is_set()
        return "SERVING" if ready else "NOT_SERVING"

    async def Check(  # noqa: N802 - gRPC's name
        self, request: pb.HealthCheckRequest, context: Context
    ) -> pb.HealthCheckResponse:
        """Return the status now; aborts with NOT_FOUND for no service of ours."""
        status = self.status(request.service)
        if status == "SERVICE_UNKNOWN":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return pb.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802 - gRPC's name
        self, request: pb.HealthCheckRequest, context: Context
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """Yield the status, and again whenever it changes, until the server stops."""
        del context
        last: Status | None = None
        while True:
            status = self.status(request.service)
            if status != last:
                yield pb.HealthCheckResponse(status=status)
                last = status
            if self._stopping.is_set():
                return
            await self._look_again()

    async def _look_again(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._stopping.wait()
        except TimeoutError:
            return
