"""grpc.health.v1: whether calls may be sent here.

Our own because the servicer of grpcio-health-checking 1.81 forgets the other watchers
of a name when one of them leaves, and then never tells them that the service stops.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final, Literal, Protocol

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthServicer

from placement.api.admission import CallerLimitError
from placement.api.clients import peer_address
from placement.api.reading import Context
from placement.api.status import status_of
from placement.runtime.pressure import Pressure
from placement.wire.service_answers import SERVICE_NAMES

NAMES: Final = frozenset({"", *SERVICE_NAMES})
"""The whole server, and each service of the contract."""
LOOK_EVERY_S: Final = 0.1
WATCHES_MAX: Final = 2_048
"""So many may watch at once,"""
ADDRESS_WATCHES_MAX: Final = 64
"""and so many of them from one address."""
RETRY_MS: Final = 1_000
"""Whoever finds no place is told to come again after so long."""

Status = Literal["SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]


class Readiness(Protocol):
    """What is looked at: a view, or a replica."""

    @property
    def ready(self) -> bool:
        """Whether all was known at least once."""


class Health(HealthServicer):
    """SERVING once the log was folded up to its end, until the server stops.

    A log that is out of reach or was replaced changes nothing: answers go on. Anybody
    may ask, so that costs little: all that watch share one timer, and are few.
    """

    def __init__(self, view: Readiness, pressure: Pressure | None = None) -> None:
        """Look at *view* to tell, and count in *pressure* whoever calls."""
        self._view = view
        self._pressure = pressure
        self._stopping = False
        self._seen = False
        """Whether it was ready when last looked at."""
        self._changed = asyncio.Event()
        """Set, and replaced, whenever that changes."""
        self._timer: asyncio.TimerHandle | None = None
        self._watching: Counter[str] = Counter()
        """By address."""
        self._watches = 0

    def stop(self) -> None:
        """Say NOT_SERVING from now on, and let go of all that watch."""
        self._stopping = True
        self._wake()
        if self._timer is not None:
            self._timer.cancel()

    def status(self, name: str) -> Status:
        """Return the status of a service; SERVICE_UNKNOWN for no service of ours."""
        if name not in NAMES:
            return "SERVICE_UNKNOWN"
        ready = self._view.ready and not self._stopping
        return "SERVING" if ready else "NOT_SERVING"

    async def Check(  # noqa: N802 - gRPC's name
        self, request: pb.HealthCheckRequest, context: Context
    ) -> pb.HealthCheckResponse:
        """Return the status now; aborts with NOT_FOUND for no service of ours."""
        self._count()
        status = self.status(request.service)
        if status == "SERVICE_UNKNOWN":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return pb.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802 - gRPC's name
        self, request: pb.HealthCheckRequest, context: Context
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """Yield the status, and again whenever it changes, until the server stops."""
        self._count()
        address = peer_address(context)
        try:
            self._sit_down(address)
        except CallerLimitError as error:
            await context.abort_with_status(status_of(error))
        try:
            last: Status | None = None
            while True:
                self._look()
                changed, stopping = self._changed, self._stopping
                status = self.status(request.service)
                if status != last:
                    yield pb.HealthCheckResponse(status=status)
                    last = status
                if stopping:
                    return
                await changed.wait()
        finally:
            self._watches -= 1
            self._watching[address] -= 1
            if not self._watching[address]:
                del self._watching[address]

    def _count(self) -> None:
        if self._pressure is not None:
            self._pressure.entered += 1

    def _sit_down(self, address: str) -> None:
        """Take a place for one that watches; raises CallerLimitError if none is left.

        The places of an address are fewer, so that one alone cannot take all.
        """
        taken = self._watching[address] >= ADDRESS_WATCHES_MAX
        if taken or self._watches >= WATCHES_MAX:
            if self._pressure is not None:
                self._pressure.refused["watches"] += 1
            raise CallerLimitError("health_watches", RETRY_MS)
        self._watches += 1
        self._watching[address] += 1
        if self._timer is None:
            self._look_again()

    def _look(self) -> None:
        if self._seen != self._view.ready:
            self._seen = not self._seen
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _look_again(self) -> None:
        """Look now, and every tenth of a second for as long as anybody watches."""
        self._timer = None
        self._look()
        if self._watches and not self._stopping:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LOOK_EVERY_S, self._look_again)
