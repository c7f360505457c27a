"""What an inventory asks for besides its registry: beliefs, and where it stopped."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Final

from placement.agent.inventory.known import Held
from placement.agent.inventory.position import Position, PositionFile
from placement.core.errors import PlacementError
from placement.core.oci import Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region
from tests.simulator.cluster import Cluster
from tests.simulator.history import Place
from tests.simulator.replica import Service
from tests.simulator.world import LostError

CALL_SECONDS_MAX: Final = 8.0
WHOLE: Final = (ReplicaPhase.COMPLETE, ReplicaPhase.VERIFIED)


class UnheardError(PlacementError):
    """The service did not answer."""

    reason = "SERVICE_UNREACHABLE"


class AskedKnown:
    """What some replica of the service believes to be in a region."""

    def __init__(self, cluster: Cluster, region: Region) -> None:
        """Ask any of the *cluster*."""
        self._cluster = cluster
        self._region = region

    async def replicas(self, repository: str = "") -> AsyncGenerator[Held, None]:
        """Yield what the replica believes to be there."""

        async def handler(service: Service) -> list[Held]:
            state = service.view.state
            return [
                Held(name, digest, state.size_bytes(state.find_digest(digest)))
                for name, digest in present(state, self._region)
                if repository in {"", name}
            ]

        try:
            found = await self._cluster.any_replica().ask(handler, CALL_SECONDS_MAX)
        except LostError as error:
            raise UnheardError(str(error)) from error
        for held in found:
            yield held

    async def tags(self, repository: Repository, digest: Digest) -> tuple[Tag, ...]:
        """Return the tags that the region set and that still point to *digest*."""

        async def handler(service: Service) -> tuple[Tag, ...]:
            state = service.view.state
            row = state.find_repository(repository)
            there = () if row < 0 else state.tags_in(row)
            return tuple(
                tag
                for tag, at in there
                if at.digest == digest and at.region == self._region
            )

        try:
            return await self._cluster.any_replica().ask(handler, CALL_SECONDS_MAX)
        except LostError as error:
            raise UnheardError(str(error)) from error


def present(state: State, region: Region) -> list[Place]:
    """Return all that *state* believes to be whole in *region*, in order."""
    row, found = state.regions.find(region.encode()), []
    if row < 0:
        return []
    for key, owner in state.repositories.rows():
        for placement in state.indexes.placements_in(owner):
            if state.phase(placement, row) in WHOLE:
                digest = state.digest_at(state.content_of(placement))
                found.append((Repository(key.decode()), digest))
    return sorted(found)


class KeptPosition(PositionFile):
    """A scan's position, on a disk that outlives the agent."""

    def __init__(self, region: Region) -> None:
        """Hold none yet."""
        super().__init__(None, region)

    async def keep(self, position: Position) -> None:
        """Keep *position* without a thread."""
        await asyncio.sleep(0)
        self.write(replace(position))
