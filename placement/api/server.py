"""The gRPC server: its services, its limits, its beginning and its end."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import grpc
import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import (
    add_ServerReflectionServicer_to_server,
)

from placement.api.admission import Admission
from placement.api.answering import Answering, Guard, Kept, Unregistered
from placement.api.authority.caller import Denials
from placement.api.authority.gate import Gate, OneTls
from placement.api.certificates import Certificates
from placement.api.contents import NewContents
from placement.api.event_servicer import EventServicer
from placement.api.health import Health
from placement.api.kept_answers import KeptAnswers
from placement.api.listener import (
    ServerSettings,
    check_settings,
    listen,
    open_certificates,
)
from placement.api.operations_servicer import OperationsServicer
from placement.api.past_reading import PastReading
from placement.api.placement_servicer import PlacementServicer
from placement.api.reading import Reader
from placement.api.reflecting import GuardedReflection
from placement.api.replication_servicer import ReplicationServicer
from placement.api.report_servicer import ReportServicer
from placement.api.seeing import KeptForOthers, SeeingReader
from placement.api.turns import Turns
from placement.core.topology import Topology
from placement.ports import Clock
from placement.runtime.calls import Calls
from placement.runtime.evidence import ReadMessage
from placement.runtime.past import Past
from placement.runtime.pressure import Pressure, PressureSettings
from placement.runtime.publisher import Publisher
from placement.runtime.slices import expect_callers
from placement.runtime.view import View
from placement.runtime.watch import WatchHub
from placement.v1 import (
    event_service_pb2_grpc,
    operations_service_pb2_grpc,
    placement_service_pb2_grpc,
    replication_service_pb2_grpc,
    report_service_pb2_grpc,
)
from placement.wire.requests import REQUEST_BYTES_MAX
from placement.wire.service_answers import SERVICE_NAMES

__all__ = ["PlacementServer", "ServerSettings", "build_server", "new_pressure"]

METADATA_BYTES_MAX: Final = 8 * 1024
CONCURRENT_CALLS_MAX: Final = 256
"""On one connection; further ones wait in the client."""
KEEPALIVE_MS: Final = 60_000
"""A connection without a word for so long is asked whether it is still there."""
KEEPALIVE_TIMEOUT_MS: Final = 20_000
CLIENT_PING_MS_MIN: Final = 10_000
"""Clients that ask more often than this are sent away."""

OPTIONS: Final[Sequence[tuple[str, int]]] = (
    ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.max_concurrent_streams", CONCURRENT_CALLS_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", CLIENT_PING_MS_MIN),
)

RANK_SOURCES: Final = "/placement.v1.PlacementService/RankSources"

log = structlog.get_logger(__name__)


class PlacementServer:
    """One server; it starts once and stops once."""

    def __init__(
        self,
        settings: ServerSettings,
        reader: Reader,
        publisher: Publisher,
        clock: Clock,
        pressure: Pressure,
    ) -> None:
        """Answer from *reader*, store with *publisher*, let in by *pressure*."""
        self._settings = settings
        self._reader = reader
        self._publisher = publisher
        self._clock = clock
        self.pressure = pressure
        """What is measured of the queue of calls, and how many came."""
        self.calls = Calls()
        """How the calls of each method went."""
        self._turns = Turns(pressure, time.perf_counter_ns)
        self._hub = WatchHub(reader.view, settings.watch)
        self.denials = Denials(reader.topology)
        """What callers were denied."""
        self.certificates: Certificates | None = None
        """What it listens with, once it does; None without TLS."""
        self._looking: asyncio.Task[None] | None = None
        self._health: Health | None = None
        self._server: grpc.aio.Server | None = None

    @property
    def watch_count(self) -> int:
        """How many watches are open."""
        return self._hub.open_count

    @property
    def snapshot_count(self) -> int:
        """How many of them are told a snapshot."""
        return self._hub.snapshot_count

    @property
    def stored(self) -> ReadMessage:
        """Return what reads a message of the log that the answers rest on."""
        return self._publisher.stored

    @property
    def past(self) -> Past | None:
        """Return what answers about the past are made from, if there are any."""
        return self._settings.past

    async def start(self) -> int:
        """Listen, and return the port; raises InputError naming the setting."""
        assert self._server is None, "a server starts once"
        # Unless all agree, a port that is taken is an error and no lottery.
        sharing = ("grpc.so_reuseport", int(self._settings.reuse_port))
        options = (*OPTIONS, sharing)
        server = grpc.aio.server(options=options)
        self._health = Health(self._reader.view, self.pressure)
        self.certificates = open_certificates(self._settings, self._clock)
        self._add_services(server, self._health)
        port = listen(server, self._settings, self.certificates)
        if self.pressure.enabled:
            self._turns.listen(server)
        self._server = server
        await server.start()
        expect_callers(lambda: self.pressure.entered)
        if self.certificates is not None:
            looking = self.certificates.run(self._settings.look_interval_s)
            self._looking = asyncio.create_task(looking)
        if self.pressure.enabled:
            self._turns.start()
        log.info("server_started", host=self._settings.host, port=port)
        return port

    def certificate_expiry(self) -> Mapping[str, int]:
        """Return when certificates in use run out, in Unix seconds, by their use."""
        return {} if self.certificates is None else self.certificates.expiry()

    def certificate_reloads(self) -> Mapping[str, int]:
        """Return how often new certificates were taken up, or could not be."""
        return {} if self.certificates is None else self.certificates.outcomes

    def _add_services(self, server: grpc.aio.Server, health: Health) -> None:
        answers: Kept = KeptAnswers(self._reader)
        if self._settings.trust_domain:
            answers = KeptForOthers(answers)
        kept = {RANK_SOURCES: answers}
        clock, limits = time.perf_counter_ns, self._settings.limits
        contents = NewContents(limits, clock, self.pressure.refused)
        admission = Admission(
            self.pressure, limits, clock, contents=contents, gates=self._gates()
        )
        if self._settings.past is not None:
            self._reader.past = PastReading(self._settings.past, admission.charge)
        every = self._settings.sample_every
        answering: Any = Answering(server, every, kept, (admission,), self.calls)
        placement_service_pb2_grpc.add_PlacementServiceServicer_to_server(
            PlacementServicer(self._reader, self._hub, self._settings.exchange),
            answering,
        )
        replication_service_pb2_grpc.add_ReplicationServiceServicer_to_server(
            ReplicationServicer(self._reader, self._hub, self._publisher), answering
        )
        event_service_pb2_grpc.add_EventServiceServicer_to_server(
            EventServicer(self._reader, self._publisher, self._clock, contents),
            answering,
        )
        operations_service_pb2_grpc.add_OperationsServiceServicer_to_server(
            OperationsServicer(
                self._reader,
                self._publisher,
                self._clock,
                self._settings.exchange.sharing,
            ),
            answering,
        )
        report_service_pb2_grpc.add_ReportServiceServicer_to_server(
            ReportServicer(self._reader, self._settings.prices), answering
        )
        plain: Any = Unregistered(server)
        add_HealthServicer_to_server(health, plain)
        if self._settings.reflection:
            health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            names = (*SERVICE_NAMES, health_name, reflection.SERVICE_NAME)
            add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]  # no stub
                GuardedReflection(names, (admission,)), plain
            )

    def _gates(self) -> list[Guard]:
        """Return who asks callers who they are; health is for anybody."""
        if self._settings.trust_domain:
            return [Gate(self._settings.trust_domain, self.denials)]
        return [] if self.certificates is None else [OneTls(self.denials)]

    async def stop(self, grace_s: float) -> None:
        """Say NOT_SERVING, take no new calls, and give those under way *grace_s*."""
        if self._server is None or self._health is None:
            return
        expect_callers(None)
        self._health.stop()
        self._hub.stop()
        if self._looking is not None:
            self._looking.cancel()
        await self._turns.stop()
        await self._server.stop(grace_s)
        log.info("server_stopped", grace_s=grace_s)


def new_pressure(settings: PressureSettings) -> Pressure:
    """Return what is measured of a server's queue, before anything was."""
    return Pressure(settings, clock_ns=time.perf_counter_ns, chance=random.random)


def build_server(  # noqa: PLR0913 - what a server depends on
    settings: ServerSettings,
    view: View,
    topology: Topology,
    publisher: Publisher,
    clock: Clock,
    *,
    pressure: Pressure | None = None,
) -> PlacementServer:
    """Return a server that is not listening yet.

    Raises InputError naming the setting that may not be as it is.
    """
    check_settings(settings)
    if pressure is None:
        pressure = new_pressure(settings.limits.pressure)
    kind = SeeingReader if settings.trust_domain else Reader
    reader = kind(view, topology, settings.default_deadline_ms / 1_000)
    return PlacementServer(settings, reader, publisher, clock, pressure)
