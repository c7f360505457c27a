"""ReplicationService: what would be copied where, and why."""

from collections.abc import Iterator, Sequence
from itertools import islice

from placement.api.decision_servicer import DecisionAnswers
from placement.api.reading import Context, Pace, Reader
from placement.api.replication_watches import ReplicationWatches
from placement.api.request_servicer import RequestAnswers
from placement.core.copies import Candidate, Image, by_value, tagged_images
from placement.core.deciding.ruling import ruling_in_force
from placement.core.forecast import Forecaster
from placement.core.lookup import known_repository, resolve
from placement.core.network import Network
from placement.core.oci import Digest, Repository, Tag
from placement.core.planning import plan
from placement.core.residency import Residency
from placement.core.state import State
from placement.runtime.publisher import Publisher
from placement.runtime.watch import WatchHub
from placement.v1 import replication_service_pb2 as pb
from placement.wire.preview_requests import PreviewQuery, decode_preview
from placement.wire.requests import IMAGES_PREVIEWED_MAX
from placement.wire.service_answers import encode_preview


class ReplicationServicer(RequestAnswers, DecisionAnswers, ReplicationWatches):
    """Previews copies; its bases store what is asked for, and tell what was decided."""

    def __init__(self, reader: Reader, hub: WatchHub, publisher: Publisher) -> None:
        """Answer from what *reader* gives, let *hub* watch it, store by *publisher*."""
        self._reader = reader
        self._hub = hub
        self._publisher = publisher

    async def PreviewReplications(  # noqa: N802 - gRPC's name
        self, request: pb.PreviewReplicationsRequest, context: Context
    ) -> pb.PreviewReplicationsResponse:
        """Return the copies that would be decided now, best value first."""
        query = decode_preview(request)
        if query.target_region is not None:
            self._reader.topology.known(query.target_region)
        reader, basis = await self._reader.asked(query.consistency, context)
        images = images_of(reader.state, query.repository, query.reference)
        network = reader.network(basis)
        ruling = query.ruling or ruling_in_force(network.state, network.now_ns)
        policy = query.policy or ruling.policy
        candidates = await self._planned(
            network,
            images,
            Forecaster(network.state, policy),
            ruling.guardrails.residency,
        )
        target = query.target_region
        candidates = [one for one in candidates if target in {None, one.target}]
        chosen = within_limits(candidates, query)
        omitted = len(candidates) - len(chosen)
        omitted += await self._count(images)
        return encode_preview(chosen, omitted, policy.name, basis)

    async def _planned(
        self,
        network: Network,
        images: Iterator[Image],
        forecaster: Forecaster,
        residency: Residency,
    ) -> list[Candidate]:
        """Return the copies of the first IMAGES_PREVIEWED_MAX images, best first."""
        pace = Pace()
        found: list[Candidate] = []
        for image in islice(images, IMAGES_PREVIEWED_MAX):
            found += plan(network, [image], forecaster, residency)
            await pace.step()
        return sorted(found, key=by_value)

    async def _count(self, images: Iterator[Image]) -> int:
        """Return how many images there are that were not considered."""
        count, pace = 0, Pace()
        for _ in images:
            count += 1
            await pace.step()
        return count


def images_of(
    state: State, repository: Repository | None, reference: Digest | Tag | None
) -> Iterator[Image]:
    """Return the images to consider: one, those of a repository's tags, or all.

    Raises NameUnknownError, ManifestUnknownError or ContentUnknownError.
    """
    if repository is None:
        return tagged_images(state, (row for _, row in state.named_repositories()))
    owner = known_repository(state, repository)
    if reference is None:
        return tagged_images(state, [owner])
    digest = resolve(state, repository, reference).content.digest
    tags = (tag for tag, pointer in state.tags_in(owner) if pointer.digest == digest)
    return iter([Image(repository, digest, tuple(tags))])


def within_limits(
    candidates: Sequence[Candidate], query: PreviewQuery
) -> list[Candidate]:
    """Return what the request's limits allow: the best first, each that still fits."""
    chosen: list[Candidate] = []
    left_bytes = query.transfer_bytes_max
    for candidate in candidates:
        if len(chosen) == query.replication_count_max:
            break
        if left_bytes is not None:
            if candidate.transfer_bytes > left_bytes:
                continue
            left_bytes -= candidate.transfer_bytes
        chosen.append(candidate)
    return chosen
