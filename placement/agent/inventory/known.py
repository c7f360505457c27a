"""What is believed to be in a region: what a scan did not see of that is looked for."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, Protocol

from placement.client import PlacementCallError, PlacementClient
from placement.core.errors import (
    ContentUnknownError,
    ManifestUnknownError,
    NameUnknownError,
)
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region
from placement.wire.json import plain

PAGE_COUNT: Final = 1_000
WHOLE: Final = frozenset({"REPLICA_PHASE_COMPLETE", "REPLICA_PHASE_VERIFIED"})
"""What is still on its way is not there yet, and that is no news."""
UNHEARD_OF: Final = frozenset(
    {
        NameUnknownError.reason,
        ContentUnknownError.reason,
        ManifestUnknownError.reason,
    }
)
"""Nobody ever told of it: nothing is believed of it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A replica that is believed to be whole; *size_bytes* is 0 when not known."""

    repository: Repository
    digest: Digest
    size_bytes: int = 0


class Known(Protocol):
    """What is believed to be in the region of an inventory."""

    def replicas(self, repository: str = "") -> AsyncGenerator[Held, None]:
        """Yield what is in *repository*, or in all, each repository's in one run.

        Raises PlacementError when that cannot be told.
        """

    async def tags(self, repository: Repository, digest: Digest) -> tuple[Tag, ...]:
        """Return the tags that the region set and that still point to *digest*.

        Raises PlacementError when that cannot be told.
        """


class ServiceKnown:
    """As a service tells it, page by page."""

    def __init__(self, client: PlacementClient, region: Region) -> None:
        """Ask by *client*, which is entered."""
        self._client = client
        self._region = region

    async def replicas(self, repository: str = "") -> AsyncGenerator[Held, None]:
        """Yield what the service believes to be there."""
        listed = self._client.list_replicas(self._region, repository, PAGE_COUNT)
        try:
            async for proto in listed:
                replica = plain(proto)
                if replica["phase"] in WHOLE:
                    yield Held(
                        Repository(replica["repository"]),
                        Digest(replica["digest"]),
                        int(replica["size_bytes"]),
                    )
        except PlacementCallError as error:
            if error.reason not in UNHEARD_OF:
                raise

    async def tags(self, repository: Repository, digest: Digest) -> tuple[Tag, ...]:
        """Return what the service believes to point to *digest*, by this region."""
        found = []
        try:
            asked = await self._client.get_placement(repository, digest)
            for name in plain(asked)["placement"]["tags"]:
                resolved = plain(await self._client.resolve_reference(repository, name))
                same = resolved["content"]["digest"] == digest
                if same and resolved["set_region"] == self._region:
                    found.append(Tag(name))
        except PlacementCallError as error:
            if error.reason not in UNHEARD_OF:
                raise
        return tuple(found)
