"""Answers in seconds, written once: pulls, starts, pushes, routes, explanations."""

from collections.abc import Iterable, Sequence
from typing import Final

from placement.core.estimate import Duration
from placement.core.explain import Step
from placement.core.fetch import ContentFetch, Fetch, Supply
from placement.core.images import SelectedImage
from placement.core.lookup import descriptor
from placement.core.network import Network
from placement.core.oci import Repository
from placement.core.pushes import PushTarget
from placement.core.ranking import Source
from placement.core.starts import ImageWait, StartEstimate
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region, Topology
from placement.v1 import placement_service_pb2 as pb
from placement.wire.answers import (
    Basis,
    encode_arrival,
    encode_basis,
    encode_descriptor,
    encode_duration,
    encode_factors,
    encode_phase,
    encode_source,
)
from placement.wire.fields import encode_time
from placement.wire.requests import SOURCE_COUNT_MAX

ROUTE_BYTES: Final = 100_000_000
"""What the expected duration of a listed route is for."""


def encode_plan(
    network: Network,
    image: SelectedImage,
    fetch: Fetch,
    fallback: Source,
    basis: Basis,
) -> pb.PlanPullResponse:
    """Return how a whole image is best pulled."""
    return pb.PlanPullResponse(
        digest=image.digest,
        storage_region=fetch.storage,
        contents=[
            _content(network, image.selection.repository, fetch.storage, content)
            for content in fetch.contents
        ],
        total_bytes=fetch.total_bytes,
        missing_bytes=fetch.missing_bytes,
        mountable_bytes=fetch.mountable_bytes,
        expected_duration=_known(fetch.duration),
        fallback=encode_source(network.topology, fallback),
        basis=encode_basis(basis),
    )


def _content(
    network: Network, repository: Repository, storage: Region, content: ContentFetch
) -> pb.ContentPlan:
    state, topology = network.state, network.topology
    return pb.ContentPlan(
        content=encode_descriptor(
            descriptor(state, state.digest_at(content.content)),
        ),
        present=content.present,
        mounts=[
            pb.Mount(region=storage, repository=owner)
            for owner in sorted(state.repository_at(row) for row in content.mounts)
        ],
        sources=[
            encode_source(topology, _source(repository, supply))
            for supply in content.supplies[:SOURCE_COUNT_MAX]
        ],
    )


def _source(repository: Repository, supply: Supply) -> Source:
    """Return *supply* as a source; one that still receives says how long it will."""
    factors = {}
    if supply.phase < ReplicaPhase.COMPLETE:
        factors["source_ready_seconds"] = supply.ready.p50_ns / 1e9
    return Source(supply.region, repository, supply.duration, supply.phase, factors)


def encode_starts(
    estimates: Iterable[StartEstimate], basis: Basis
) -> pb.EstimateStartsResponse:
    """Return how long a start would wait, by region."""
    return pb.EstimateStartsResponse(
        estimates=[_start(estimate) for estimate in estimates],
        basis=encode_basis(basis),
    )


def _start(estimate: StartEstimate) -> pb.StartEstimate:
    return pb.StartEstimate(
        region=estimate.region,
        storage_region=estimate.storage,
        expected_wait=_known(estimate.wait),
        images=[_image(image) for image in estimate.images],
        missing_bytes=estimate.missing_bytes,
        sample_count=estimate.sample_count,
        reason=estimate.reason,
        factors=encode_factors(estimate.factors),
    )


def _image(image: ImageWait) -> pb.ImageEstimate:
    return pb.ImageEstimate(
        repository=image.repository,
        digest=image.digest,
        phase=encode_phase(image.phase),
        missing_bytes=image.missing_bytes,
        mountable_bytes=image.mountable_bytes,
        source_region=image.source or "",
        arrival=encode_arrival(image.arrival),
    )


def encode_push_targets(
    topology: Topology, targets: Iterable[PushTarget], size_bytes: int, basis: Basis
) -> pb.RankPushTargetsResponse:
    """Return where to push."""
    return pb.RankPushTargetsResponse(
        targets=[
            pb.PushTarget(
                region=target.region,
                endpoint=topology.endpoint(target.region),
                expected_upload=encode_duration(target.upload),
                expected_onward=encode_duration(target.onward),
                reason=target.reason,
                factors=encode_factors(target.factors),
            )
            for target in targets
        ],
        size_bytes=size_bytes,
        basis=encode_basis(basis),
    )


def encode_routes(routes: Sequence[pb.Route], basis: Basis) -> pb.ListRoutesResponse:
    """Return the learned network."""
    return pb.ListRoutesResponse(routes=routes, basis=encode_basis(basis))


def encode_route(network: Network, source: Region, target: Region) -> pb.Route:
    """Return what is known of the way from one region to another."""
    route = network.route(source, target)
    sample_count, below_p50, below_p90 = network.calibration(source, target)
    proto = pb.Route(
        source_region=source,
        target_region=target,
        bytes_per_second=1 / route.seconds_per_byte,
        expected_duration=encode_duration(route.duration(ROUTE_BYTES)),
        transfer_count=network.transfer_count(source, target),
        effective_sample_count=route.effective_samples,
        calibration=pb.Calibration(
            sample_count=sample_count,
            below_p50_count=below_p50,
            below_p90_count=below_p90,
        ),
    )
    encode_time(network.topology.round_trip_ns(source, target), proto.round_trip)
    encode_time(route.duration(0).p50_ns, proto.start_up)
    return proto


def encode_explanation(steps: Iterable[Step], basis: Basis) -> pb.ExplainAnswerResponse:
    """Return why the answers are what they are."""
    return pb.ExplainAnswerResponse(
        steps=[
            pb.ExplanationStep(
                name=step.name, text=step.text, factors=encode_factors(step.factors)
            )
            for step in steps
        ],
        basis=encode_basis(basis),
    )


def _known(duration: Duration | None) -> pb.DurationEstimate | None:
    """Return the duration; None, when something has no source, stays absent."""
    return None if duration is None else encode_duration(duration)
