"""PlacementService's answers in seconds: pulls, starts, pushes, routes, and why."""

from dataclasses import replace
from typing import Final

from placement.api.reading import Context, Pace, Reader
from placement.core.candidates import parse_candidates
from placement.core.event import Factor, Identifier
from placement.core.explain import explain
from placement.core.fetch import plan_fetch
from placement.core.images import select_image
from placement.core.network import Network
from placement.core.pushes import PushTarget, image_bytes, rank_push_targets
from placement.core.ranking import Question, fallback_source
from placement.core.starts import estimating
from placement.core.topology import CatalogueRegion, Region, Topology, distance_km
from placement.runtime.slices import in_slices
from placement.v1 import placement_service_pb2 as pb
from placement.v1.placement_service_pb2_grpc import PlacementServiceServicer
from placement.wire.estimate_answers import (
    encode_explanation,
    encode_plan,
    encode_push_targets,
    encode_route,
    encode_routes,
    encode_starts,
)
from placement.wire.estimate_requests import (
    Place,
    RouteQuery,
    decode_image,
    decode_push,
    decode_routes,
    decode_starts,
)
from placement.wire.requests import SOURCE_COUNT_DEFAULT

NEAREST_FACTOR: Final = Identifier("coordinates_distance_km")
"""How far a pusher's coordinates are from the region that stands for them."""


class EstimateAnswers(PlacementServiceServicer):
    """The part of PlacementService that answers in seconds; all of it is pure."""

    _reader: Reader

    async def PlanPull(  # noqa: N802 - gRPC's name
        self, request: pb.PlanPullRequest, context: Context
    ) -> pb.PlanPullResponse:
        """Return for each content of an image its sources, and how long all takes."""
        query = decode_image(request)
        self._reader.topology.known(query.region)
        reader, basis = await self._reader.asked(query.consistency, context)
        network = reader.network(basis)
        image = select_image(network.state, query.selection)
        fetch = plan_fetch(network, [(image.owner, image.contents)], query.region)
        repository = query.selection.repository
        question = Question(repository, query.region, SOURCE_COUNT_DEFAULT)
        fallback = fallback_source(network, question, image.digest)
        return encode_plan(network, image, fetch, fallback, basis)

    async def EstimateStarts(  # noqa: N802 - gRPC's name
        self, request: pb.EstimateStartsRequest, context: Context
    ) -> pb.EstimateStartsResponse:
        """Return how long a machine would wait in each candidate, best first."""
        query = decode_starts(request)
        candidates = parse_candidates(self._reader.topology, query.candidates)
        reader, basis = await self._reader.asked(query.consistency, context)
        network = reader.network(basis)
        images = [select_image(network.state, each) for each in query.selections]
        estimates = await in_slices(
            estimating(network, images, candidates, query.spread)
        )
        return encode_starts(estimates[: query.region_count_max], basis)

    async def RankPushTargets(  # noqa: N802 - gRPC's name
        self, request: pb.RankPushTargetsRequest, context: Context
    ) -> pb.RankPushTargetsResponse:
        """Return the regions to push to, best first."""
        query = decode_push(request)
        topology = self._reader.topology
        pusher = region_of(topology, query.pusher)
        reader, basis = await self._reader.asked(query.consistency, context)
        network = reader.network(basis)
        size_bytes = query.size_bytes or await in_slices(
            image_bytes(network, query.repository)
        )
        ranked = rank_push_targets(network, query.repository, pusher, size_bytes)
        targets = ranked[: query.target_count_max]
        if isinstance(query.pusher, Place):
            place = query.pusher
            targets = [from_place(topology, place, pusher, each) for each in targets]
        return encode_push_targets(topology, targets, size_bytes, basis)

    async def ListRoutes(  # noqa: N802 - gRPC's name
        self, request: pb.ListRoutesRequest, context: Context
    ) -> pb.ListRoutesResponse:
        """Return the routes that were observed, or all, by source and target."""
        query = decode_routes(request)
        for region in (query.source, query.target):
            if region is not None:
                self._reader.topology.known(region)
        reader, basis = await self._reader.asked(query.consistency, context)
        network, pace = reader.network(basis), Pace()
        routes = []
        for source, target in pairs(network, query):
            routes.append(encode_route(network, source, target))
            await pace.step()
        return encode_routes(routes, basis)

    async def ExplainAnswer(  # noqa: N802 - gRPC's name
        self, request: pb.ExplainAnswerRequest, context: Context
    ) -> pb.ExplainAnswerResponse:
        """Return the steps from the reference to the expected wait."""
        query = decode_image(request)
        self._reader.topology.known(query.region)
        reader, basis = await self._reader.asked(query.consistency, context)
        network = reader.network(basis)
        image = select_image(network.state, query.selection)
        return encode_explanation(explain(network, image, query.region), basis)


def pairs(network: Network, query: RouteQuery) -> list[tuple[Region, Region]]:
    """Return the region pairs to list, by source and target: REGION_COUNT_MAX²."""
    found = network.observed()
    if query.include_unobserved:
        codes = sorted(network.topology.regions)
        found = [(source, target) for source in codes for target in codes]
    return [
        (source, target)
        for source, target in found
        if query.source in {None, source} and query.target in {None, target}
    ]


def region_of(topology: Topology, pusher: Region | Place) -> Region:
    """Return the pusher's region, or the nearest one; raises RegionUnknownError."""
    if isinstance(pusher, Place):
        return topology.nearest(pusher.latitude, pusher.longitude)
    return topology.known(pusher)


def from_place(
    topology: Topology, place: Place, nearest: Region, target: PushTarget
) -> PushTarget:
    """Return *target* with what its durations take for granted of the pusher."""
    here = CatalogueRegion(Region(""), "", place.latitude, place.longitude)
    kilometres = distance_km(topology.regions[nearest], here)
    return replace(
        target,
        reason=f"{target.reason}; {nearest} is the region nearest to the coordinates",
        factors=(*target.factors, Factor(NEAREST_FACTOR, kilometres)),
    )
