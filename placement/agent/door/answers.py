"""What the door answers from the replica: message by message as the service.

Requests are read, and answers written, by the same functions as in the service; only
what is in between asks a mirror instead of a state.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from placement import __version__
from placement.agent.door.excerpts import KeptExcerpt
from placement.agent.door.settling import Settling
from placement.api.reading import Pace
from placement.client.feed import LocalBasis
from placement.client.local import LocalPlacements
from placement.core.candidates import parse_candidates
from placement.core.errors import ContentUnknownError, ManifestUnknownError
from placement.core.fold import FOLD_VERSION
from placement.core.images import Selection, select_image
from placement.core.lookup import Resolved
from placement.core.mirror.mirror import NOWHERE
from placement.core.mirror.rankings import Rankings
from placement.core.oci import Descriptor, Digest, Repository, Tag, is_digest
from placement.core.packed import digest_key
from placement.core.ranking import Question
from placement.core.ranking_many import Ranked
from placement.core.starts import best_first, estimate_start
from placement.core.tables.records import TagPointer
from placement.core.topology import Region
from placement.v1 import placement_service_pb2 as pb
from placement.wire.answers import encode_resolved
from placement.wire.estimate_answers import encode_starts
from placement.wire.estimate_requests import decode_starts
from placement.wire.packed import decode_packed, encode_packed
from placement.wire.rank_answers import RankWriter
from placement.wire.requests import (
    RankQuery,
    decode_batch_rank,
    decode_rank,
    decode_reference,
)
from placement.wire.service_answers import ServiceFacts, encode_service_info


class Method(NamedTuple):
    """How one method's requests are read and answered."""

    parse: Callable[[bytes], Any]
    answer: Callable[[Any, Settling], Awaitable[Any]]


class DoorAnswers:
    """The methods of PlacementService that a replica can answer."""

    def __init__(self, local: LocalPlacements) -> None:
        """Answer from *local*."""
        self._local = local
        self._writer = RankWriter(local.topology)
        self._written = local.topology
        self._excerpt = KeptExcerpt()
        self.methods: Final[dict[str, Method]] = {
            "RankSources": Method(pb.RankSourcesRequest.FromString, self.rank),
            "BatchRankSources": Method(
                pb.BatchRankSourcesRequest.FromString, self.rank_batch
            ),
            "BatchRankSourcesPacked": Method(
                pb.BatchRankSourcesPackedRequest.FromString, self.rank_packed
            ),
            "ResolveReference": Method(
                pb.ResolveReferenceRequest.FromString, self.resolve
            ),
            "EstimateStarts": Method(
                pb.EstimateStartsRequest.FromString, self.estimate
            ),
            "GetServiceInfo": Method(pb.GetServiceInfoRequest.FromString, self.info),
        }

    async def rank(
        self, request: pb.RankSourcesRequest, settling: Settling
    ) -> pb.RankSourcesResponse:
        """Return the sources of one content, best first, and the fallback."""
        query = decode_rank(request)
        rankings, basis = await self._rankings(query, settling)
        return self._write().rank(rankings.answer(query.digests[0]), basis)

    async def rank_batch(
        self, request: pb.BatchRankSourcesRequest, settling: Settling
    ) -> pb.BatchRankSourcesResponse:
        """Return the sources of several contents, in the order of the request."""
        query = decode_batch_rank(request)
        rankings, basis = await self._rankings(query, settling)
        writer, pace, found = self._write(), Pace(), []
        for digest in query.digests:
            found.append(writer.ranking(rankings.ranking(digest)))
            await pace.step()
        return writer.batch(found, rankings.home, basis)

    async def rank_packed(
        self, request: pb.BatchRankSourcesPackedRequest, settling: Settling
    ) -> pb.BatchRankSourcesPackedResponse:
        """Return the sources of thousands of contents, in the order of the request."""
        query = decode_packed(request)
        local, most = self._local, query.source_count_max
        topology = local.topology
        topology.known(query.region)
        basis = await settling.settled(query.consistency)
        question = Question(query.repository, query.region, most)
        rankings = Rankings(local.mirror, local.sources, question, basis.answer_time_ns)
        regions: list[Region] = []
        ranked, pace = Ranked(regions, len(query.keys), most), Pace()
        for position in range(len(query.keys)):
            ranked.put_ranking(position, rankings.bare(query.digest(position)))
            await pace.step()
        parts = [ranked.sources()]
        return encode_packed(topology, regions, parts, rankings.home, basis)

    async def resolve(
        self, request: pb.ResolveReferenceRequest, settling: Settling
    ) -> pb.ResolveReferenceResponse:
        """Return what a tag points to, who set it and when; media types are unknown."""
        query = decode_reference(request)
        basis = await settling.settled(query.consistency)
        found = self._resolved(query.repository, query.reference, settling, basis)
        return encode_resolved(found, basis)

    async def estimate(
        self, request: pb.EstimateStartsRequest, settling: Settling
    ) -> pb.EstimateStartsResponse:
        """Return how long a machine would wait in each candidate, best first.

        But for what is decided and has not begun to move, which is not watched.
        """
        query = decode_starts(request)
        local = self._local
        candidates = parse_candidates(local.topology, query.candidates)
        basis = await settling.settled(query.consistency)
        excerpt, network = self._excerpt.now(local, basis)
        images = []
        for asked in query.selections:
            found = self._resolved(asked.repository, asked.reference, settling, basis)
            digest = found.content.digest
            excerpt.add_image(asked.repository, digest_key(digest))
            meant = Selection(asked.repository, digest, asked.platform)
            images.append(select_image(excerpt.state, meant))
        pace, waits = Pace(), []
        for region in candidates:
            waits.append(estimate_start(network, images, region))
            await pace.step()
        estimates = best_first(network, waits, query.spread)
        return encode_starts(estimates[: query.region_count_max], basis)

    async def info(
        self, request: pb.GetServiceInfoRequest, settling: Settling
    ) -> pb.GetServiceInfoResponse:
        """Return what the service is; alone, what is known of it, without counts."""
        del request  # a replica has no fingerprint
        settling.leave_to_service()
        local = self._local
        basis = local.basis
        state, topology = local.mirror.state, local.topology
        facts = ServiceFacts(
            version=__version__,
            fold_version=FOLD_VERSION,
            pending_message_count=None,
            counts={},
            region_states={
                code: state.region_state(code, basis.answer_time_ns)
                for code in topology.regions
            },
            fingerprint="",
        )
        return encode_service_info(facts, topology, basis)

    async def _rankings(
        self, query: RankQuery, settling: Settling
    ) -> tuple[Rankings, LocalBasis]:
        local = self._local
        local.topology.known(query.region)
        basis = await settling.settled(query.consistency)
        question = Question(query.repository, query.region, query.source_count_max)
        now_ns = basis.answer_time_ns
        return Rankings(local.mirror, local.sources, question, now_ns), basis

    def _resolved(
        self,
        repository: Repository,
        reference: Digest | Tag,
        settling: Settling,
        basis: LocalBasis,
    ) -> Resolved:
        """Return what a reference points to; raises as ``lookup.resolve`` does."""
        mirror = self._local.mirror
        if is_digest(reference):
            digest = Digest(reference)
            if mirror.find(repository, digest_key(digest)) == NOWHERE:
                settling.deny(basis)
                raise ContentUnknownError(repository, digest)
            return Resolved(self._descriptor(repository, digest, settling), None)
        settling.trust(basis)
        found = mirror.tag(repository, Tag(reference))
        if found is None:
            raise ManifestUnknownError(repository, reference)
        pointer = TagPointer(
            digest=found.digest,
            region=found.region,
            time_ns=found.time_ns,
            sequence=found.sequence,
        )
        return Resolved(self._descriptor(repository, found.digest, settling), pointer)

    def _descriptor(
        self, repository: Repository, digest: Digest, settling: Settling
    ) -> Descriptor:
        """Return what a digest is; of what no region has, the service knows more."""
        mirror, key = self._local.mirror, digest_key(digest)
        row = mirror.find(repository, key)
        if row == NOWHERE and not mirror.sharers.far_behind:
            row = next(mirror.sharers.of(key), NOWHERE)
        if row == NOWHERE:
            settling.leave_to_service()
            return Descriptor(digest)
        return Descriptor(digest, "", mirror.placements.sizes.cells[row])

    def _write(self) -> RankWriter:
        """Return what writes rankings by the catalogue as it is now."""
        if self._written is not self._local.topology:
            self._written = self._local.topology
            self._writer = RankWriter(self._written)
        return self._writer
