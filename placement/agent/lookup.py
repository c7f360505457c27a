"""What the agent's parts look up: from memory, or from who knows best."""

from placement.agent.registry.client import Registry
from placement.agent.starts.sightings import Find
from placement.client import PlacementClient
from placement.client.local_answers import LocalAnswers
from placement.core.oci import Digest, Repository, Tag, parse_digest
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


def tags_of(registry: Registry | None, client: PlacementClient) -> Find:
    """Return who is asked for the digests of tags: the registry, else the service."""

    async def at_registry(repository: Repository, tag: Tag) -> Digest | None:
        assert registry is not None, "there is one"
        found = await registry.find_manifest(repository, tag)
        return found.digest if found is not None else None

    async def at_service(repository: Repository, tag: Tag) -> Digest | None:
        answer = await client.resolve_reference(repository, tag)
        return parse_digest(answer.content.digest)

    return at_service if registry is None else at_registry
