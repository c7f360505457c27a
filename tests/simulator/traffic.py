"""Those who use registries: they push, pull and delete, and machines start."""

import asyncio
from collections.abc import Mapping
from typing import Final

from placement.agent.registry.manifests import Manifest
from placement.core.event import CacheKind, Identifier, MachineStarted
from placement.core.oci import Repository
from placement.core.topology import Region
from tests import builders
from tests.simulator.cluster import Cluster
from tests.simulator.publishers import Publisher
from tests.simulator.pullers import Puller
from tests.simulator.shelf import CLIENT, Shelf
from tests.simulator.site import Site
from tests.simulator.stock import BODIES, DIGESTS, IMAGES, parts_of
from tests.simulator.workload import REPOSITORIES, START_REGIONS, TAGS
from tests.simulator.world import World

PAUSE_SECONDS: Final = 1.6
DELETING: Final = 0.12
PULLING: Final = 0.4


class User:
    """Pushes images to registries, pulls them there, and removes some."""

    def __init__(
        self,
        world: World,
        shelves: Mapping[Region, Shelf],
        sites: list[Site],
        puller: Puller,
        action_count: int,
    ) -> None:
        """Do *action_count* things in all.

        *sites* are told when that is over, and what *puller* does.
        """
        self._puller = puller
        self._world = world
        self._shelves = shelves
        self._sites = sites
        self._left = action_count

    async def run(self, cluster: Cluster) -> None:
        """Act, then let everybody settle."""
        del cluster
        random = self._world.random
        while self._left:
            await asyncio.sleep(random.random() * PAUSE_SECONDS)
            self._left -= 1
            shelf = random.choice(list(self._shelves.values()))
            if shelf.down:
                continue
            if not shelf.manifests or random.random() > PULLING + DELETING:
                await self._push(shelf)
            elif random.random() < DELETING:
                shelf.remove(random.choice(sorted(shelf.manifests)), CLIENT)
            else:
                self._pull(shelf)
        while not self._puller.done:  # noqa: ASYNC110 - virtual time costs nothing
            await asyncio.sleep(PAUSE_SECONDS)
        for site in self._sites:
            site.quiet_seconds = self._world.loop.now_seconds

    def settled(self, cluster: Cluster) -> bool:
        """Say whether nothing is left to do."""
        del cluster
        return not self._left

    async def _push(self, shelf: Shelf) -> None:
        """Push layers, then manifests, then let a tag point to the last of them."""
        random = self._world.random
        repository = random.choice(REPOSITORIES)
        manifests, layers = parts_of(IMAGES[random.choice(list(IMAGES))])
        for layer in layers:
            place = (repository, layer.digest)
            if place not in shelf.layers:
                shelf.store_layer(place, BODIES[layer.digest], CLIENT)
                await asyncio.sleep(random.random() * shelf.seconds_max)
        for manifest in manifests:
            if any(
                not shelf.holds((repository, one.digest)) for one in manifest.references
            ):
                return  # it was removed meanwhile, and the registry refuses
            tag = random.choice(TAGS) if manifest is manifests[-1] else None
            place = (repository, manifest.descriptor.digest)
            shelf.store_manifest(place, manifest, CLIENT, tag)

    def _pull(self, shelf: Shelf) -> None:
        place = self._world.random.choice(sorted(shelf.manifests))
        manifest: Manifest = shelf.manifests[place]
        shelf.pulled(place, CLIENT)
        for one in manifest.references:
            if shelf.holds((place[0], one.digest)):
                shelf.pulled((place[0], one.digest), CLIENT)


class Starter(Publisher):
    """Says where machines start, which had to wait for images of the registries."""

    def make(self, world: World) -> None:
        """Put a start into the outbox."""
        random = world.random
        fact = MachineStarted(
            random.choice(DIGESTS),
            Repository(random.choice(REPOSITORIES)),
            Identifier(f"m{random.randrange(4)}"),
            random.choice([None, *TAGS]),
            image_wait_ns=builders.seconds(random.random() * 10),
            cache=random.choice(list(CacheKind)),
        )
        self.keep(builders.event(random.choice(START_REGIONS), fact))
