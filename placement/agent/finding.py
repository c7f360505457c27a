"""Which digest a tag has now: asked of the region's registry, else of the service."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from placement.agent.registry.client import Registry
from placement.client import PlacementCallError, PlacementClient
from placement.core.errors import InputError, PlacementError
from placement.core.oci import Digest, Repository, Tag, parse_digest

ANSWER_SECONDS_MAX: Final = 2.0
REST_SECONDS: Final = 5.0
"""Whoever failed to answer is not asked again so soon: others wait in line behind."""

Ask = Callable[[Repository, Tag], Awaitable[Digest | None]]


class Finder:
    """Finds the digests of tags; None: there is none, or nobody answers in time."""

    def __init__(self, ask: Ask, clock_s: Callable[[], float]) -> None:
        """Find by *ask*; *clock_s* goes on steadily, in seconds."""
        self._ask = ask
        self._clock_s = clock_s
        self._rests_until_s = float("-inf")

    async def __call__(self, repository: Repository, tag: Tag) -> Digest | None:
        """Return the digest that *tag* has now. Raises nothing."""
        if self._clock_s() < self._rests_until_s:
            return None
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await self._ask(repository, tag)
        except (PlacementError, TimeoutError):
            self._rests_until_s = self._clock_s() + REST_SECONDS
            return None


def asking_registry(registry: Registry) -> Ask:
    """Return what asks *registry* by a HEAD, which is no pull of ours."""

    async def ask(repository: Repository, tag: Tag) -> Digest | None:
        try:
            found = await registry.find_manifest(repository, tag)
        except InputError:  # it names no digest
            return None
        return found.digest if found is not None else None

    return ask


def asking_service(client: PlacementClient) -> Ask:
    """Return what asks the service, which knows tags from their pushes."""

    async def ask(repository: Repository, tag: Tag) -> Digest | None:
        try:
            answer = await client.resolve_reference(repository, tag)
        except PlacementCallError as error:
            if error.code.name == "NOT_FOUND":
                return None
            raise
        return parse_digest(answer.content.digest, "digest")

    return ask
