"""Answers, written once: domain values to the responses that answer questions.

Endpoints come from the region catalogue alone, never from an event.
"""

from collections.abc import Iterable
from typing import Protocol, cast

from google.protobuf.timestamp_pb2 import Timestamp

from placement.core.arrival import Arrival
from placement.core.estimate import Duration
from placement.core.event import Factor
from placement.core.facts.values import factors_of
from placement.core.lookup import (
    ListedReplica,
    PlacementRecord,
    RegionDemand,
    RegionStanding,
    Resolved,
)
from placement.core.oci import Descriptor, Platform
from placement.core.ranking import Source
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Topology
from placement.v1 import basis_pb2 as basis_pb
from placement.v1 import events_pb2 as events_pb
from placement.v1 import placement_service_pb2 as pb
from placement.wire.as_of import NOTE
from placement.wire.fields import encode_time


class Basis(Protocol):
    """What an answer rests on, as the runtime knows it; times in nanoseconds."""

    @property
    def epoch(self) -> str:
        """Which log."""

    @property
    def sequence(self) -> int:
        """The last message folded."""

    @property
    def store_time_ns(self) -> int:
        """When that message was stored; 0 before the first one."""

    @property
    def state(self) -> int:
        """How far it may be trusted, as in the protobuf enum."""

    @property
    def staleness_ns(self) -> int:
        """How long ago the log was last reached."""

    @property
    def answer_time_ns(self) -> int:
        """What the answer's durations were computed for."""

    @property
    def token(self) -> str:
        """What stands for epoch and sequence in requests."""


def encode_resolved(resolved: Resolved, basis: Basis) -> pb.ResolveReferenceResponse:
    """Return what a reference points to."""
    response = pb.ResolveReferenceResponse(
        content=encode_descriptor(resolved.content), basis=encode_basis(basis)
    )
    pointer = resolved.pointer
    if pointer is not None:
        response.set_region = pointer.region
        response.set_sequence = pointer.sequence
        encode_time(pointer.time_ns, response.set_time)
    return response


def encode_placement(record: PlacementRecord, basis: Basis) -> pb.GetPlacementResponse:
    """Return where content is and who uses it."""
    return pb.GetPlacementResponse(
        placement=pb.Placement(
            repository=record.repository,
            content=encode_descriptor(record.content),
            app=record.app,
            organization=record.organization,
            image_size_bytes=record.image_size_bytes,
            platforms=[_platform(platform) for platform in record.platforms],
            tags=record.tags,
            regions=[_standing(standing) for standing in record.regions],
            demands=[_demand(demand) for demand in record.demands],
        ),
        basis=encode_basis(basis),
    )


def encode_replicas(
    replicas: Iterable[ListedReplica], next_page_token: str, basis: Basis
) -> pb.ListReplicasResponse:
    """Return one page of replicas."""
    return pb.ListReplicasResponse(
        replicas=[_replica(replica) for replica in replicas],
        next_page_token=next_page_token,
        basis=encode_basis(basis),
    )


def encode_basis(basis: Basis) -> basis_pb.Basis:
    """Return what an answer rests on."""
    proto = basis_pb.Basis(
        epoch=basis.epoch,
        sequence=basis.sequence,
        state=cast("basis_pb.ServingState.ValueType", int(basis.state)),
        token=basis.token,
    )
    _set_time(basis.store_time_ns, proto.store_time)
    encode_time(basis.staleness_ns, proto.staleness)
    encode_time(basis.answer_time_ns, proto.answer_time)
    if basis.state == basis_pb.SERVING_STATE_PAST:
        proto.notes.append(NOTE)
    return proto


# What the answers above are made of.


def encode_duration(duration: Duration) -> pb.DurationEstimate:
    """Return an expected duration and its spread."""
    proto = pb.DurationEstimate()
    encode_time(duration.p50_ns, proto.p50)
    encode_time(duration.p90_ns, proto.p90)
    return proto


def encode_factors(factors: Iterable[Factor]) -> list[events_pb.Factor]:
    """Return the numbers that an answer rests on."""
    return [events_pb.Factor(name=each.name, value=each.value) for each in factors]


def encode_source(topology: Topology, source: Source) -> pb.Source:
    """Return a region to pull from; its endpoint is the catalogue's."""
    return pb.Source(
        region=source.region,
        endpoint=topology.endpoint(source.region),
        repository=source.repository,
        expected_duration=encode_duration(source.duration),
        phase=encode_phase(source.phase),
        factors=encode_factors(factors_of(source.factors)),
    )


def encode_phase(phase: ReplicaPhase) -> "pb.ReplicaPhase.ValueType":
    """Return how far content has arrived; ABSENT has the number of UNSPECIFIED."""
    return cast("pb.ReplicaPhase.ValueType", int(phase))


def encode_arrival(arrival: Arrival) -> "pb.Arrival.ValueType":
    """Return whether an image is where it is wanted."""
    return cast("pb.Arrival.ValueType", int(arrival))


def encode_descriptor(content: Descriptor) -> events_pb.Descriptor:
    """Return what some content is."""
    return events_pb.Descriptor(
        media_type=content.media_type,
        digest=content.digest,
        size_bytes=content.size_bytes,
    )


def _platform(platform: Platform) -> events_pb.Platform:
    return events_pb.Platform(
        os=platform.os, architecture=platform.architecture, variant=platform.variant
    )


def _standing(standing: RegionStanding) -> pb.RegionPlacement:
    proto = pb.RegionPlacement(
        region=standing.region,
        phase=encode_phase(standing.phase),
        complete=standing.complete,
        missing_bytes=standing.missing_bytes,
        mountable_bytes=standing.mountable_bytes,
    )
    _set_time(standing.create_time_ns, proto.create_time)
    expected = standing.expectation
    if expected is not None:
        proto.arrival = encode_arrival(expected.arrival)
        proto.source_region = expected.source or ""
        if expected.ready is not None:
            proto.expected_ready.CopyFrom(encode_duration(expected.ready))
    return proto


def _demand(demand: RegionDemand) -> pb.Demand:
    proto = pb.Demand(
        region=demand.region,
        pull_count=demand.pull_count,
        start_count=demand.start_count,
        running_count=demand.running_count,
        app_demand=demand.app_demand,
    )
    _set_time(demand.last_use_time_ns, proto.last_use_time)
    return proto


def _replica(listed: ListedReplica) -> pb.Replica:
    record = listed.record
    proto = pb.Replica(
        repository=listed.repository,
        digest=listed.digest,
        region=record.region,
        phase=encode_phase(record.phase),
        size_bytes=listed.size_bytes,
        held_bytes=record.held_bytes,
    )
    _set_time(record.create_time_ns, proto.create_time)
    _set_time(record.change_time_ns, proto.change_time)
    return proto


def _set_time(time_ns: int, target: Timestamp) -> None:
    """Write a moment; 0 is none, and the field stays absent."""
    if time_ns:
        encode_time(time_ns, target)
