"""ReplicationService: what would be copied where, and why."""

from placement.api.decision_servicer import DecisionAnswers
from placement.api.reading import Context, Reader
from placement.api.replication_watches import ReplicationWatches
from placement.api.request_servicer import RequestAnswers
from placement.core.deciding.ruling import ruling_in_force
from placement.core.forecast import Forecaster
from placement.core.planning import images_of, planning, within_limits
from placement.runtime.publisher import Publisher
from placement.runtime.slices import in_slices
from placement.runtime.watch import WatchHub
from placement.v1 import replication_service_pb2 as pb
from placement.wire.preview_requests import decode_preview
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
        candidates, unseen = await in_slices(
            planning(
                network,
                images,
                Forecaster(network.state, policy),
                ruling.guardrails.residency,
                IMAGES_PREVIEWED_MAX,
            )
        )
        target = query.target_region
        candidates = [one for one in candidates if target in {None, one.target}]
        chosen = within_limits(
            candidates, query.replication_count_max, query.transfer_bytes_max
        )
        omitted = len(candidates) - len(chosen) + unseen
        return encode_preview(chosen, omitted, policy.name, basis)
