"""What a replicator looks up, from the local replica."""

from placement.client.local_answers import LocalAnswers
from placement.core.oci import Digest, Repository
from placement.core.topology import Region


class LocalLookup:
    """Where content is, as the local replica knows; never waits."""

    def __init__(self, local: LocalAnswers, region: Region) -> None:
        """Answer for *region*."""
        self._local = local
        self._region = region

    def sources(self, repository: Repository, digest: Digest) -> tuple[Region, ...]:
        """Return regions that may have it, the best first."""
        if self._region not in self._local.topology.regions:
            return ()
        ranking = self._local.rank_sources(repository, digest, self._region)
        return tuple(source.region for source in ranking.sources)

    def mountable(self, digest: Digest) -> tuple[Repository, ...]:
        """Return repositories of our own registry that may have the blob."""
        return self._local.repositories_with(digest, self._region)
