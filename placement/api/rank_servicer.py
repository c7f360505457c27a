"""PlacementService's answers to what is asked most: from where to pull."""

from typing import Final

from placement.api.reading import Context, Pace, Reader
from placement.core.ranking import (
    Question,
    fallback_source,
    rank_and_fall_back,
    rank_sources,
)
from placement.core.ranking_many import RankMany
from placement.v1 import placement_service_pb2 as pb
from placement.v1.placement_service_pb2_grpc import PlacementServiceServicer
from placement.wire.packed import decode_packed, encode_packed
from placement.wire.rank_answers import RankWriter
from placement.wire.requests import RankQuery, decode_batch_rank, decode_rank

RANKED_AT_ONCE: Final = 1_024
"""Contents that are ranked by columns before others may run: about a millisecond."""


class RankAnswers(PlacementServiceServicer):
    """The part of PlacementService that ranks sources."""

    _reader: Reader
    _writer: RankWriter

    async def RankSources(  # noqa: N802 - gRPC's name
        self, request: pb.RankSourcesRequest, context: Context
    ) -> pb.RankSourcesResponse:
        """Return the sources of one content, best first, and the fallback."""
        query = decode_rank(request)
        self._reader.topology.known(query.region)
        reader, basis = await self._reader.asked(query.consistency, context)
        network = reader.network(basis)
        question, digest = _question(query), query.digests[0]
        answer = rank_and_fall_back(network, question, digest)
        return self._writer.rank(answer, basis)

    async def BatchRankSources(  # noqa: N802 - gRPC's name
        self, request: pb.BatchRankSourcesRequest, context: Context
    ) -> pb.BatchRankSourcesResponse:
        """Return the sources of several contents, in the order of the request."""
        query = decode_batch_rank(request)
        self._reader.topology.known(query.region)
        reader, basis = await self._reader.asked(query.consistency, context)
        network = reader.network(basis)
        question, pace = _question(query), Pace()
        rankings = []
        for digest in query.digests:
            ranking = rank_sources(network, question, digest)
            rankings.append(self._writer.ranking(ranking))
            await pace.step()
        fallback = fallback_source(network, question, None)
        return self._writer.batch(rankings, fallback, basis)

    async def BatchRankSourcesPacked(  # noqa: N802 - gRPC's name
        self, request: pb.BatchRankSourcesPackedRequest, context: Context
    ) -> pb.BatchRankSourcesPackedResponse:
        """Return the sources of thousands of contents, in the order of the request."""
        query = decode_packed(request)
        topology = self._reader.topology
        topology.known(query.region)
        reader, basis = await self._reader.asked(query.consistency, context)
        network = reader.network(basis)
        question = Question(query.repository, query.region, query.source_count_max)
        many, parts, pace = RankMany(network, question), [], Pace()
        for first in range(0, len(query.keys), RANKED_AT_ONCE):
            ranked = many.rank(query.keys[first : first + RANKED_AT_ONCE])
            for position in ranked.undecided:
                digest = query.digest(first + position)
                ranked.put_ranking(position, rank_sources(network, question, digest))
                await pace.step()
            parts.append(ranked.sources())
            await pace.step()
        fallback = fallback_source(network, question, None)
        return encode_packed(topology, many.regions, parts, fallback, basis)


def _question(query: RankQuery) -> Question:
    return Question(query.repository, query.region, query.source_count_max)
