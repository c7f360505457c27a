"""Simulated registries behind the product's own client of them, over a bad network.

Each method answers, and fails, as the real client says that a registry does. What is
asked for in a process that is dead has no effect.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Self, TypeVar

import httpx

from placement.agent.registry.client import Registry
from placement.agent.registry.errors import (
    ContentDamagedError,
    NotThereError,
    RegistryError,
    RegistryUnreachableError,
)
from placement.agent.registry.listing import Page
from placement.agent.registry.manifests import Manifest, digest_of
from placement.agent.registry.reading import Opened
from placement.agent.registry.relaying import Relayed
from placement.agent.registry.settings import RegistrySettings
from placement.core.oci import Descriptor, Digest, Repository, Tag, is_digest
from placement.core.topology import Region
from tests.simulator.history import Evicted, Place
from tests.simulator.process import require_alive
from tests.simulator.relays import answered, bare
from tests.simulator.shelf import OWN, Shelf
from tests.simulator.stock import CHUNK_BYTES

HTTP: Final = httpx.AsyncClient(
    transport=httpx.MockTransport(lambda _: httpx.Response(500))
)
"""Asked by nobody."""
NameType = TypeVar("NameType", bound=str)

PAGE_COUNT: Final = 2
"""Names on a page: few, so that there are several."""


class SimulatedRegistry(Registry):
    """One region's registry, as an agent reaches it."""

    def __init__(self, shelves: Mapping[Region, Shelf], region: Region) -> None:
        """Ask for what the shelf of *region* holds, by our own name."""
        shelf = shelves[region]
        address = f"http://registry.{shelf.region}"
        super().__init__(RegistrySettings(region=shelf.region, url=address), HTTP)
        self._shelf = shelf
        self._shelves = shelves

    async def _travel(self) -> None:
        """Take the way to the registry; raises RegistryUnreachableError."""
        shelf, random = self._shelf, self._shelf.world.random
        require_alive()
        await asyncio.sleep(random.random() * shelf.seconds_max)
        require_alive()
        if shelf.down:
            message = f"the registry of {shelf.region} is down"
            raise RegistryUnreachableError(message)
        if shelf.failing and random.random() < shelf.failing:
            message = f"the registry of {shelf.region} answered 500"
            raise RegistryError(message)

    async def _answer(self) -> None:
        """Take the way back, on which an answer may be lost."""
        if self._shelf.failing:
            await self._travel()

    # What a router asks, for others.

    def passing(self, authorization: str | None) -> Self:
        """Return itself: nobody has to log in."""
        del authorization
        return self

    async def relay(self, relayed: Relayed) -> httpx.Response:
        """Return the answer to somebody else's request."""
        try:
            await self._travel()
            response = answered(self._shelf, relayed, self._pieces)
            await self._answer()
        except RegistryUnreachableError:
            raise
        except RegistryError:
            return bare(relayed, 500)
        return response

    # Listing.

    async def reachable(self) -> None:
        """Return if the registry is up."""
        await self._travel()

    async def repositories(self, after: str = "", count: int = 100) -> Page[Repository]:
        """Return a page of those that anything was ever pushed to."""
        del count
        await self._travel()
        shelf = self._shelf
        names = {place[0] for place in (*shelf.manifests, *shelf.layers)}
        return _page(sorted(names), after)

    async def tags(
        self, repository: Repository, after: str = "", count: int = 100
    ) -> Page[Tag]:
        """Return a page of the tags of *repository*."""
        del count
        await self._travel()
        return _page(
            sorted(tag for owner, tag in self._shelf.tags if owner == repository), after
        )

    # Reading.

    async def find_manifest(
        self, repository: Repository, reference: Digest | Tag
    ) -> Descriptor | None:
        """Return what a HEAD says of a manifest."""
        await self._travel()
        manifest = self._manifest_at(repository, reference)
        return None if manifest is None else manifest.descriptor

    async def manifest(
        self, repository: Repository, reference: Digest | Tag
    ) -> Manifest:
        """Return a manifest, which somebody fetches with that."""
        await self._travel()
        manifest = self._manifest_at(repository, reference)
        if manifest is None:
            message = f"{repository} has no manifest {reference}"
            raise NotThereError(message)
        self._shelf.pulled((repository, manifest.descriptor.digest), OWN)
        await self._answer()
        return manifest

    def _manifest_at(
        self, repository: Repository, reference: Digest | Tag
    ) -> Manifest | None:
        digest = Digest(reference)
        if not is_digest(reference):
            found = self._shelf.tags.get((repository, Tag(reference)))
            if found is None:
                return None
            digest = found
        return self._shelf.manifests.get((repository, digest))

    async def find_blob(self, repository: Repository, digest: Digest) -> int | None:
        """Return a layer's size."""
        await self._travel()
        body = self._shelf.layers.get((repository, digest))
        return None if body is None else len(body)

    @asynccontextmanager
    async def open_blob(
        self, repository: Repository, digest: Digest, start: int = 0
    ) -> AsyncIterator[Opened]:
        """Give a layer's bytes, in pieces; any of them may be the last."""
        await self._travel()
        place = (repository, digest)
        body = self._shelf.layers.get(place)
        if body is None:
            message = f"{repository} has no blob {digest}"
            raise NotThereError(message)
        self._shelf.pulled(place, OWN)
        body = self._shelf.sent(place, body)
        yield Opened(self._pieces(body[start:]), start, len(body))

    async def _pieces(self, body: bytes) -> AsyncIterator[bytes]:
        for begin in range(0, len(body), CHUNK_BYTES):
            await self._travel()
            yield body[begin : begin + CHUNK_BYTES]

    # Writing.

    async def mount(
        self, repository: Repository, digest: Digest, origin: Repository
    ) -> str:
        """Lend a layer from another repository, or begin an upload."""
        await self._travel()
        body = self._shelf.layers.get((origin, digest))
        if body is None:
            return f"upload-{repository}"
        self._shelf.store_layer((repository, digest), body, OWN)
        await self._answer()
        return ""

    async def begin_upload(self, repository: Repository) -> str:
        """Return where to send a body."""
        await self._travel()
        return f"upload-{repository}"

    async def finish_upload(
        self,
        repository: Repository,
        address: str,
        blob: Descriptor,
        chunks: AsyncIterator[bytes],
    ) -> None:
        """Take a whole body; one that breaks off is void."""
        del address
        await self._travel()
        body = b"".join([chunk async for chunk in chunks])
        require_alive()
        if self._shelf.verifies and digest_of(body) != blob.digest:
            message = f"DIGEST_INVALID: these are not the bytes of {blob.digest}"
            raise ContentDamagedError(message)
        if len(body) != blob.size_bytes:
            message = f"{len(body)} bytes came of {blob.size_bytes}"
            raise RegistryError(message)
        self._shelf.store_layer((repository, blob.digest), body, OWN)
        await self._answer()

    async def cancel_upload(self, repository: Repository, address: str) -> None:
        """Forget nothing: what was not finished was never there."""
        del repository, address
        await self._travel()

    async def put_manifest(
        self, repository: Repository, reference: Digest | Tag, manifest: Manifest
    ) -> None:
        """Keep a manifest, if all that it refers to is here."""
        await self._travel()
        tag = None if is_digest(reference) else Tag(reference)
        for one in manifest.references:
            if not self._shelf.holds((repository, one.digest)):
                message = f"MANIFEST_BLOB_UNKNOWN: {one.digest}"
                error = RegistryError(message)
                error.retryable = False
                raise error
        place = (repository, manifest.descriptor.digest)
        self._shelf.store_manifest(place, manifest, OWN, tag)
        await self._answer()

    async def delete_manifest(self, repository: Repository, digest: Digest) -> bool:
        """Remove a manifest with all of its tags."""
        return await self._deleted_at((repository, digest))

    async def delete_blob(self, repository: Repository, digest: Digest) -> bool:
        """Remove a layer from one repository."""
        return await self._deleted_at((repository, digest))

    async def _deleted_at(self, place: Place) -> bool:
        await self._travel()
        shelf = self._shelf
        others = [one for one in self._shelves.values() if one is not shelf]
        elsewhere = tuple(one.region for one in others if one.whole(place))
        if shelf.holds(place):
            evicted = Evicted(shelf.region, place, elsewhere, shelf.whole(place))
            shelf.world.history.evicted.append(evicted)
            shelf.world.note(f"{place} leaves {shelf.region}, still in {elsewhere}")
        there = shelf.remove(place, OWN)
        await self._answer()
        return there

    async def collect(self) -> bool:
        """Do what an operator's command to collect garbage does."""
        try:
            await self._travel()
        except RegistryError:
            return False
        self._shelf.collect()
        return True


def _page(names: list[NameType], after: str) -> Page[NameType]:
    rest = [name for name in names if name > after]
    page = tuple(rest[:PAGE_COUNT])
    return Page(page, page[-1] if len(rest) > PAGE_COUNT else None)
