"""Rankings as responses: what is asked most often, hence written the cheapest way.

Building a source out of its dozen small messages takes ten times as long as filling in
one that is there. So a writer keeps one, fills it in, and appends copies of it.
"""

from collections.abc import Sequence
from typing import Final

from placement.core.event import Factor
from placement.core.facts.values import factors_of
from placement.core.ranking import FACTORS, Answer, Ranking, Source
from placement.core.topology import Topology
from placement.v1 import placement_service_pb2 as pb
from placement.wire.answers import Basis, encode_basis, encode_factors, encode_phase

_SECOND_NS: Final = 1_000_000_000


class _Form:
    """A source that is filled in again and again; its factors' names stay."""

    def __init__(self, topology: Topology, factors: Sequence[Factor]) -> None:
        """Begin with what stays; endpoints come from the catalogue alone."""
        self._topology = topology
        self._source = pb.Source(factors=encode_factors(factors))
        self._factors = list(self._source.factors)
        self._p50 = self._source.expected_duration.p50
        self._p90 = self._source.expected_duration.p90
        self._p50.SetInParent()
        self._p90.SetInParent()

    def filled(self, source: Source) -> pb.Source:
        """Return *source*, which is to be copied before the next one is filled in."""
        proto, (p50_ns, p90_ns) = self._source, source.duration
        proto.region = source.region
        proto.endpoint = self._topology.endpoint(source.region)
        proto.repository = source.repository
        proto.phase = encode_phase(source.phase)
        self._p50.seconds, self._p50.nanos = divmod(p50_ns, _SECOND_NS)
        self._p90.seconds, self._p90.nanos = divmod(p90_ns, _SECOND_NS)
        for factor, value in zip(self._factors, source.factors.values(), strict=True):
            factor.value = value
        return proto


class RankWriter:
    """Writes the answers of one catalogue."""

    def __init__(self, topology: Topology) -> None:
        """Prepare the forms."""
        self._ranked = _Form(topology, factors_of(dict.fromkeys(FACTORS, 0.0)))
        self._plain = _Form(topology, ())

    def rank(self, answer: Answer, basis: Basis) -> pb.RankSourcesResponse:
        """Return the sources of one content."""
        ranking = answer.ranking
        response = pb.RankSourcesResponse(
            fallback=self._plain.filled(answer.fallback),
            size_bytes=ranking.size_bytes,
            basis=encode_basis(basis),
        )
        self._write(ranking, response)
        return response

    def ranking(self, ranking: Ranking) -> pb.SourceRanking:
        """Return the sources of one of several contents."""
        proto = pb.SourceRanking(digest=ranking.digest, size_bytes=ranking.size_bytes)
        self._write(ranking, proto)
        return proto

    def _write(
        self, ranking: Ranking, target: pb.RankSourcesResponse | pb.SourceRanking
    ) -> None:
        for source in ranking.sources:
            target.sources.append(self._ranked.filled(source))
        for region, repository in ranking.mounts:
            target.mounts.add(region=region, repository=repository)

    def batch(
        self, rankings: Sequence[pb.SourceRanking], fallback: Source, basis: Basis
    ) -> pb.BatchRankSourcesResponse:
        """Return the sources of several contents."""
        return pb.BatchRankSourcesResponse(
            rankings=rankings,
            fallback=self._plain.filled(fallback),
            basis=encode_basis(basis),
        )
