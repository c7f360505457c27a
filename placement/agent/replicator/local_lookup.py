"""Where content is, by the local replica of what a service knows."""

from typing import Final

from placement.client.local_answers import LocalAnswers
from placement.core.errors import PlacementError
from placement.core.oci import Digest, Repository
from placement.core.topology import Region

SOURCES_ASKED: Final = 4


class LocalLookup:
    """A Lookup for one region; what it does not know it leaves open."""

    def __init__(self, placements: LocalAnswers, region: Region) -> None:
        """Answer from *placements* for *region*."""
        self._placements = placements
        self._region = region

    def sources(self, repository: Repository, digest: Digest) -> tuple[Region, ...]:
        """Return regions that are known to have it, the best first, then its home."""
        try:
            ranking = self._placements.rank_sources(
                repository, digest, self._region, SOURCES_ASKED
            )
        except PlacementError:
            return ()
        found = [source.region for source in ranking.sources]
        return (*found, ranking.fallback.region)

    def mountable(self, digest: Digest) -> tuple[Repository, ...]:
        """Return repositories of our own registry that are known to have the blob."""
        return self._placements.repositories_with(digest, self._region)
