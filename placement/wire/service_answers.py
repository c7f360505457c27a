"""What the service says of itself, of published events, and of copies it would make."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from google.protobuf.descriptor import ServiceDescriptor

from placement.core.copies import Candidate
from placement.core.errors import InputError
from placement.core.event import Event, RegionState
from placement.core.topology import Region, Topology
from placement.v1 import event_service_pb2 as event_pb
from placement.v1 import events_pb2 as events_pb
from placement.v1 import operations_service_pb2 as operations_pb
from placement.v1 import placement_service_pb2 as pb
from placement.v1 import replication_service_pb2 as replication_pb
from placement.v1 import report_service_pb2 as report_pb
from placement.wire.answers import (
    Basis,
    encode_basis,
    encode_duration,
    encode_factors,
)
from placement.wire.fields import IDENTIFIER_LENGTH_MAX, encode_time
from placement.wire.requests import LIMITS

SERVICES: Final[tuple[ServiceDescriptor, ...]] = tuple(
    service
    for module in (pb, replication_pb, operations_pb, report_pb, event_pb)
    for service in module.DESCRIPTOR.services_by_name.values()
)

SERVICE_NAMES: Final = tuple(str(service.full_name) for service in SERVICES)
"""Every service of the contract, such as ``placement.v1.PlacementService``."""

CAPABILITIES: Final = tuple(
    f"{service.name}.{method.name}"
    for service in SERVICES
    for method in service.methods
)
"""Every RPC of the contract, such as ``PlacementService.RankSources``."""


class Differing(Protocol):
    """A comparison with another service that differed, as the runtime notes it."""

    @property
    def sequence(self) -> int:
        """The last message folded by both."""

    @property
    def fingerprint(self) -> str:
        """Of this service's share."""

    @property
    def other_service(self) -> str:
        """Who differs."""

    @property
    def other_fingerprint(self) -> str:
        """Of its share."""

    @property
    def verdict(self) -> int:
        """A DivergenceVerdict."""


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What the service knows of itself."""

    version: str
    fold_version: int
    pending_message_count: int | None
    """None when the log is out of reach."""
    counts: Mapping[str, int]
    """By the fold's own names: folded, duplicate, set_aside, late."""
    region_states: Mapping[Region, RegionState]
    fingerprint: str
    bootstrap: tuple[str, int, int] | None = None
    """From whom a checkpoint is taken over, and how many bytes of how many."""
    service_name: str = ""
    divergence: Differing | None = None


def encode_service_info(
    facts: ServiceFacts, topology: Topology, basis: Basis
) -> pb.GetServiceInfoResponse:
    """Return what this service is, what it accepts and how far it is."""
    bootstrap = None
    if facts.bootstrap is not None:
        peer, received, total = facts.bootstrap
        bootstrap = pb.Bootstrap(peer=peer, received_bytes=received, total_bytes=total)
    counts = {f"{name}_count": count for name, count in facts.counts.items()}
    return pb.GetServiceInfoResponse(
        service_name=facts.service_name,
        divergence=_divergence(facts.divergence),
        version=facts.version,
        fold_version=facts.fold_version,
        pending_message_count=facts.pending_message_count,
        counts=pb.FoldCounts(**counts),
        capabilities=CAPABILITIES,
        limits=[pb.Limit(name=name, value=LIMITS[name]) for name in sorted(LIMITS)],
        regions=[
            _region(topology, code, facts.region_states[code])
            for code in sorted(topology.regions)
        ],
        home_region=topology.home,
        fingerprint=facts.fingerprint,
        basis=encode_basis(basis),
        region_aliases=[
            pb.RegionAlias(name=name, regions=topology.aliases[name])
            for name in sorted(topology.aliases)
        ],
        bootstrap=bootstrap,
    )


def _divergence(found: Differing | None) -> pb.StateDivergence | None:
    if found is None:
        return None
    verdict = cast("pb.DivergenceVerdict.ValueType", int(found.verdict))
    return pb.StateDivergence(
        sequence=found.sequence,
        fingerprint=found.fingerprint,
        other_service=found.other_service,
        other_fingerprint=found.other_fingerprint,
        verdict=verdict,
    )


def _region(topology: Topology, code: Region, state: RegionState) -> pb.RegionInfo:
    region = topology.regions[code]
    return pb.RegionInfo(
        code=code,
        name=region.name,
        latitude=region.latitude,
        longitude=region.longitude,
        stores=region.stores,
        endpoint=region.endpoint,
        serving_order=topology.serving_order(code),
        state=cast("events_pb.RegionState.ValueType", int(state)),
        area=region.area,
        egress_bytes_per_second=region.egress_bytes_per_second,
    )


def encode_published(
    request: event_pb.PublishEventsRequest,
    decoded: Sequence[Event | InputError],
    results: Iterable[tuple[int, str]],
    token: str,
) -> event_pb.PublishEventsResponse:
    """Return what became of each event: of the valid ones the outcome and a token."""
    left = iter(results)
    return event_pb.PublishEventsResponse(
        results=[
            _rejected(proto.event_id, item)
            if isinstance(item, InputError)
            else _result(proto.event_id, *next(left))
            for proto, item in zip(request.events, decoded, strict=True)
        ],
        token=token,
    )


def _result(event_id: str, outcome: int, token: str) -> event_pb.PublishResult:
    code = cast("event_pb.PublishOutcome.ValueType", int(outcome))
    return event_pb.PublishResult(event_id=event_id, outcome=code, token=token)


def _rejected(event_id: str, error: InputError) -> event_pb.PublishResult:
    return event_pb.PublishResult(
        event_id=event_id[:IDENTIFIER_LENGTH_MAX],
        outcome=event_pb.PUBLISH_OUTCOME_REJECTED,
        reason=error.reason,
        field=error.field,
        message=str(error),
    )


def encode_preview(
    candidates: Iterable[Candidate], omitted_count: int, policy: str, basis: Basis
) -> replication_pb.PreviewReplicationsResponse:
    """Return the copies that would be decided now."""
    return replication_pb.PreviewReplicationsResponse(
        replications=[_replication(candidate) for candidate in candidates],
        omitted_count=omitted_count,
        policy=policy,
        basis=encode_basis(basis),
    )


def _replication(candidate: Candidate) -> replication_pb.Replication:
    image = candidate.image
    proto = replication_pb.Replication(
        repository=image.repository,
        digest=image.digest,
        source_region=candidate.source,
        target_region=candidate.target,
        start_regions=candidate.start_regions,
        transfer_bytes=candidate.transfer_bytes,
        expected_duration=encode_duration(candidate.duration),
        reason=candidate.reason,
        explanation=candidate.explanation,
        factors=encode_factors(candidate.factors),
        tags=image.tags,
    )
    encode_time(candidate.saved_ns, proto.saved_duration)
    return proto
