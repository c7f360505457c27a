"""Those whose machines pull through routers, and hold what comes against the truth."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from placement.agent.registry.manifests import parse_manifest
from placement.core.errors import InputError
from placement.core.oci import Digest, Repository, Tag, is_digest
from placement.core.topology import Region
from tests.simulator.cluster import Cluster
from tests.simulator.history import Place
from tests.simulator.mouths import Got
from tests.simulator.shelf import Shelf
from tests.simulator.site import Site
from tests.simulator.stock import DIGESTS
from tests.simulator.workload import REPOSITORIES, TAGS
from tests.simulator.world import LostError, World

PAUSE_SECONDS: Final = 3.0
BY_TAG: Final = 0.5
AGAIN: Final = 0.6
"""Of the pulls by tag: so many are of a tag that was pulled there before."""
THERE: Final = 0.7
"""Of the pulls by digest: so many are of an image that some region holds."""
FINAL_PLACES: Final = 2
"""So many images are pulled in each region once nothing is wrong any more."""
ATTEMPTS_MAX: Final = 8
ATTEMPT_SECONDS: Final = 2.0
OK: Final = 200


class Puller:
    """Pulls images by tag and by digest, in all regions."""

    def __init__(
        self,
        world: World,
        shelves: Mapping[Region, Shelf],
        sites: Sequence[Site],
        pull_count: int,
    ) -> None:
        """Pull *pull_count* times, and a few times more once all is mended."""
        self._world = world
        self._shelves = shelves
        self._sites = sites
        self._left = pull_count
        self._tags: list[tuple[Site, Repository, Tag]] = []
        """What was pulled by tag, and where."""
        self.done = False

    async def run(self, cluster: Cluster) -> None:
        """Pull now and then, then everything that must be there."""
        del cluster
        random = self._world.random
        while self._left:
            await asyncio.sleep(random.random() * PAUSE_SECONDS)
            self._left -= 1
            if random.random() < BY_TAG:
                await self._pull(*self._tag())
                continue
            place = Repository(random.choice(REPOSITORIES)), random.choice(DIGESTS)
            whole = self._whole()
            if whole and random.random() < THERE:
                place = random.choice(whole)
            await self._pull(random.choice(self._sites), *place)
        while not self._world.mended:  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(PAUSE_SECONDS)
        for site in self._sites:
            whole = self._whole()
            for place in random.sample(whole, min(FINAL_PLACES, len(whole))):
                await self._require(site, place)
        for pulled in self._tags:
            await self._pull(*pulled)
        self.done = True

    def settled(self, cluster: Cluster) -> bool:
        """Say whether nothing is left to do."""
        del cluster
        return self.done

    def _tag(self) -> tuple[Site, Repository, Tag]:
        """Draw what to pull by tag, and where: often the same, as it may have moved."""
        random = self._world.random
        if self._tags and random.random() < AGAIN:
            return random.choice(self._tags)
        repository = Repository(random.choice(REPOSITORIES))
        drawn = (random.choice(self._sites), repository, random.choice(TAGS))
        if drawn not in self._tags:
            self._tags.append(drawn)
        return drawn

    def _whole(self) -> list[Place]:
        """Return all images that some region holds with all of their parts."""
        shelves = self._shelves.values()
        found = {one for s in shelves for one in s.manifests if s.whole(one)}
        return sorted(found)

    async def _require(self, site: Site, place: Place) -> None:
        """Pull what somebody holds: it comes, however often it has to be tried."""
        for _ in range(ATTEMPTS_MAX):
            if await self._pull(site, *place) or place not in self._whole():
                return
            await asyncio.sleep(ATTEMPT_SECONDS)
        self._world.fail(f"{place} is whole, and {site.name} does not give it")

    async def _pull(
        self, site: Site, repository: Repository, reference: Digest | Tag
    ) -> bool:
        """Say whether an image came with all of its parts."""
        began, known = self._world.loop.now_seconds, site.known(repository, reference)
        asked = [Digest(reference)] if is_digest(reference) else DIGESTS
        for one in asked:
            self._world.history.asked[site.region, (repository, one)] += 1
        path = f"/v2/{repository}/manifests/{reference}"
        got = await self._got(site, path)
        if got is None:
            return False
        digest = Digest(got.headers.get("docker-content-digest", ""))
        self._check(site, (repository, digest), got)
        if is_digest(reference):
            if digest != reference:
                self._world.fail(f"{site.name} gave {digest} for {reference}")
        elif digest not in known | site.known(repository, reference):
            current = {
                one
                for shelf in self._shelves.values()
                for one in shelf.pointed(repository, Tag(reference), began)
            }
            if digest not in current:
                self._world.fail(f"{site.name} gave an old digest for {reference}")
        return await self._parts(site, repository, got)

    async def _parts(self, site: Site, repository: Repository, got: Got) -> bool:
        media_type = got.headers.get("content-type", "")
        try:
            references = parse_manifest(got.body, media_type).references
        except InputError:
            return False
        whole = True
        for one in references:
            if one.media_type == media_type or "manifest" in one.media_type:
                whole &= await self._pull(site, repository, one.digest)
                continue
            self._world.history.asked[site.region, (repository, one.digest)] += 1
            spared = site.spared_count
            part = await self._got(site, f"/v2/{repository}/blobs/{one.digest}")
            if part is not None and site.spared_count > spared:
                # The client verifies it by itself, and comes again if it must.
                part = part if part.is_of(one.digest) else None
            if part is not None:
                self._check(site, (repository, one.digest), part)
            whole &= part is not None
        return whole

    async def _got(self, site: Site, path: str) -> Got | None:
        """Return what came whole, or None."""
        try:
            got = await site.get(path)
        except LostError:
            return None
        return got if got.status == OK and got.is_whole else None

    def _check(self, site: Site, place: Place, got: Got) -> None:
        """Hold what came against its digest."""
        if not got.is_of(place[1]):
            self._world.fail(f"{site.name} gave other bytes than those of {place}")
