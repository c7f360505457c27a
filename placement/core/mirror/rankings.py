"""Rankings from a mirror with all that the service tells: factors and mounts, too."""

from collections.abc import Sequence

from placement.core.estimate import Duration
from placement.core.graph import contents
from placement.core.mirror.images import RepositoryGraph
from placement.core.mirror.mirror import NOWHERE, Mirror
from placement.core.mirror.sources import Asker, LocalRanking, LocalSource, Sources
from placement.core.oci import ContentKind, Digest, Repository
from placement.core.packed import digest_key
from placement.core.ranking import Answer, Question, Ranking, Source
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region

_BLOBS = frozenset({ContentKind.BLOB, ContentKind.UNKNOWN})


class Rankings:
    """Ranks for one question, from one mirror, at one time."""

    def __init__(
        self, mirror: Mirror, sources: Sources, question: Question, now_ns: int
    ) -> None:
        """Look up who asks; raises RegionUnknownError."""
        self._mirror = mirror
        self._sources = sources
        self._question = question
        self._asker: Asker = sources.asker(question.region, now_ns)

    def answer(self, digest: Digest) -> Answer:
        """Return the sources of a content, best first, and the fallback."""
        key = digest_key(digest)
        found = self._ranked(digest, key)
        home = found.fallback
        duration = Duration(home.p50_ns, home.p90_ns)
        fallback = Source(home.region, self._question.repository, duration, home.phase)
        return Answer(self._ranking(digest, key, found), fallback)

    def ranking(self, digest: Digest) -> Ranking:
        """Return the sources of a content, best first."""
        key = digest_key(digest)
        return self._ranking(digest, key, self._ranked(digest, key))

    def bare(self, digest: Digest) -> Ranking:
        """Return the sources of a content, best first, without factors or mounts."""
        found = self._ranked(digest, digest_key(digest))
        sources = tuple(self._source(each, {}) for each in found.sources)
        return Ranking(digest, sources, (), found.size_bytes)

    @property
    def home(self) -> Source:
        """Return the fallback of no content in particular."""
        nothing = LocalRanking((), 0, self._asker.home, 0, ReplicaPhase.ABSENT)
        return self._source(nothing.fallback, {})

    def _ranked(self, digest: Digest, key: bytes) -> LocalRanking:
        question = self._question
        most = question.source_count_max
        return self._sources.rank(self._asker, question.repository, digest, key, most)

    def _ranking(self, digest: Digest, key: bytes, found: LocalRanking) -> Ranking:
        mirror, owner = self._mirror, self._question.repository
        lacking = [each.region for each in found.sources if not each.complete]
        missing = _missing_bytes(mirror, owner, key, lacking) if lacking else {}
        sources = []
        for each in found.sources:
            factors = {
                "transfer_bytes": float(found.home_bytes),
                **self._asker.grounds[each.region]._asdict(),
                "complete": float(each.complete),
                "missing_at_source_bytes": float(missing.get(each.region, 0)),
                "draining": float(each.draining),
            }
            sources.append(self._source(each, factors))
        mounts = _mounts(mirror, owner, key, self._asker.storage)
        return Ranking(digest, tuple(sources), mounts, found.size_bytes)

    def _source(self, found: LocalSource, factors: dict[str, float]) -> Source:
        duration = Duration(found.p50_ns, found.p90_ns)
        repository = self._question.repository
        return Source(found.region, repository, duration, found.phase, factors)


def _missing_bytes(
    mirror: Mirror, repository: Repository, key: bytes, regions: Sequence[Region]
) -> dict[Region, int]:
    """Return what each of *regions* lacks of an image, all platforms together."""
    graph = RepositoryGraph(
        mirror.placements, mirror.references, mirror.owners[repository]
    )
    parts = []
    for node in contents(graph, key):
        row = graph.row(node)
        mask = mirror.placements.mask(row) if row != NOWHERE else 0
        parts.append((mask, graph.size_bytes(node)))
    return {
        region: sum(
            size for mask, size in parts if not mask >> mirror.region_bit(region) & 1
        )
        for region in regions
    }


def _mounts(
    mirror: Mirror, repository: Repository, key: bytes, storage: Region
) -> tuple[tuple[Region, Repository], ...]:
    """Return the other repositories of *storage* that a blob can be mounted from.

    None while the index of a replica that has just begun is not made yet.
    """
    bit = mirror.region_rows.get(storage)
    if bit is None or mirror.sharers.far_behind:
        return ()
    placements, kind, found = mirror.placements, 0, []
    for row in mirror.sharers.of(key):
        kind = kind or placements.kinds.cells[row]
        owner = mirror.repositories[placements.owners.cells[row]]
        if owner != repository and placements.mask(row) >> bit & 1:
            found.append((storage, owner))
    return tuple(sorted(found)) if ContentKind(kind) in _BLOBS else ()
