"""The client's questions in seconds: pulls, starts, pushes, routes, explanations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

from placement.client.calls import call
from placement.client.freshness import Question, asked
from placement.core import oci
from placement.v1 import events_pb2 as events_pb
from placement.v1 import placement_service_pb2 as pb

if TYPE_CHECKING:  # the name exists for type checkers alone
    from placement.v1.placement_service_pb2_grpc import PlacementServiceAsyncStub

Image = tuple[str, str, str] | pb.ImageSelector
"""Repository, reference and platform, such as ``linux/arm64``; empty: the largest."""


class EstimateCalls:
    """The part of PlacementClient that asks in seconds."""

    _placement: "PlacementServiceAsyncStub"
    _timeout_s: float

    async def plan_pull(
        self,
        repository: str,
        reference: str,
        region: str,
        platform: str = "",
        **freshness: Unpack[Question],
    ) -> pb.PlanPullResponse:
        """Return how a whole image is best pulled, and how long that takes."""
        request = pb.PlanPullRequest(
            repository=repository,
            reference=reference,
            platform=parse_platform(platform),
            region=region,
            **asked(**freshness),
        )
        return await call(self._placement.PlanPull, request, self._timeout_s)

    async def estimate_starts(
        self,
        images: Sequence[Image],
        candidates: str = "",
        machine_count: int = 0,
        request_id: str = "",
        max_region_count: int = 0,
        **freshness: Unpack[Question],
    ) -> pb.EstimateStartsResponse:
        """Return how long a machine would wait in each candidate, best first.

        Raises InputError for a platform that is not os/architecture.
        """
        request = pb.EstimateStartsRequest(
            images=[
                image_selector(image, f"images[{position}]")
                for position, image in enumerate(images)
            ],
            candidates=candidates,
            machine_count=machine_count,
            request_id=request_id,
            max_region_count=max_region_count,
            **asked(**freshness),
        )
        return await call(self._placement.EstimateStarts, request, self._timeout_s)

    async def rank_push_targets(
        self,
        repository: str,
        region: str = "",
        *,
        coordinates: tuple[float, float] | None = None,
        size_bytes: int = 0,
        max_target_count: int = 0,
        **freshness: Unpack[Question],
    ) -> pb.RankPushTargetsResponse:
        """Return the regions to push to, best first.

        Give the pusher's region or its coordinates, in degrees north and east.
        """
        request = pb.RankPushTargetsRequest(
            repository=repository,
            region=region,
            size_bytes=size_bytes,
            max_target_count=max_target_count,
            **asked(**freshness),
        )
        if coordinates is not None:
            latitude, longitude = coordinates
            place = pb.Coordinates(latitude=latitude, longitude=longitude)
            request.coordinates.CopyFrom(place)
        return await call(self._placement.RankPushTargets, request, self._timeout_s)

    async def list_routes(
        self,
        source_region: str = "",
        target_region: str = "",
        *,
        include_unobserved: bool = False,
        **freshness: Unpack[Question],
    ) -> pb.ListRoutesResponse:
        """Return the routes that transfers were observed on, or all that fit."""
        request = pb.ListRoutesRequest(
            source_region=source_region,
            target_region=target_region,
            include_unobserved=include_unobserved,
            **asked(**freshness),
        )
        return await call(self._placement.ListRoutes, request, self._timeout_s)

    async def explain_answer(
        self,
        repository: str,
        reference: str,
        region: str,
        platform: str = "",
        **freshness: Unpack[Question],
    ) -> pb.ExplainAnswerResponse:
        """Return the steps from the reference to the expected wait."""
        request = pb.ExplainAnswerRequest(
            repository=repository,
            reference=reference,
            region=region,
            platform=parse_platform(platform),
            **asked(**freshness),
        )
        return await call(self._placement.ExplainAnswer, request, self._timeout_s)


def parse_platform(text: str, field: str = "platform") -> events_pb.Platform | None:
    """Return ``os/architecture[/variant]`` as a platform; None for an empty text.

    Raises InputError, naming *field*.
    """
    found = oci.parse_platform(text, field)
    if found is None:
        return None
    return events_pb.Platform(
        os=found.os, architecture=found.architecture, variant=found.variant
    )


def image_selector(image: Image, field: str) -> pb.ImageSelector:
    """Return *image* as a request holds it; raises InputError, naming *field*."""
    if isinstance(image, pb.ImageSelector):
        return image
    repository, reference, text = image
    platform = parse_platform(text, f"{field}.platform")
    return pb.ImageSelector(
        repository=repository, reference=reference, platform=platform
    )
