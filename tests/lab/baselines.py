"""What there is without us: origin, two pull-through caches, and a local copy.

The far region pulls two versions of an image, each from a client that has nothing. The
caches are empty before the first version and keep it for the second.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.lab.clients import Clients, Place
from tests.lab.images import Version, made
from tests.lab.network import (
    CACHE_PORT,
    REGISTRY_PORT,
    SINGLE_FETCH_PORT,
    Network,
    quiet,
)
from tests.lab.places import IAD, SYD, Plan
from tests.lab.registries import Registries
from tests.lab.rows import Row, row_of

SCENARIO: Final = "without us"
ORIGIN: Final = "origin"
LOCAL: Final = "local copy"
FIRST_SEED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the image: at which port of which region; *times* in a row."""

    name: str
    region: str
    port: int
    times: int = 1


WAYS: Final = (
    Way(ORIGIN, IAD, REGISTRY_PORT),
    Way("cache 2.8.2", SYD, CACHE_PORT, times=2),
    Way("fair cache", SYD, SINGLE_FETCH_PORT, times=2),
    Way(LOCAL, SYD, REGISTRY_PORT),
)


class Baselines:
    """Pulls by every way, and tells each as a row."""

    def __init__(
        self, network: Network, registries: Registries, clients: Clients, folder: Path
    ) -> None:
        """Keep the parts; nothing runs yet."""
        self._network = network
        self._registries = registries
        self._clients = clients
        self._folder = folder

    async def run(self, plan: Plan, say: Callable[[str], None]) -> AsyncIterator[Row]:
        """Start what is needed, and yield a row for each pull."""
        for region in (IAD, SYD):
            await self._registries.registry(region)
        if plan.complete:
            await self._registries.cache(SYD, IAD)
            await self._registries.single_fetch(SYD, IAD)
        plain = [way for way in WAYS if way.port == REGISTRY_PORT]
        number = 0
        for kind in plan.images:
            for client, compares in plan.pullers(kind):
                number += 1
                repository = f"baseline/{kind}-{number}"
                say(f"{SCENARIO}: {kind} by {client}")
                ways = WAYS if compares else plain
                for version in made(
                    self._folder, kind, repository, FIRST_SEED + number
                ):
                    async for row in self._version(version, client, ways):
                        yield row

    async def _version(
        self, version: Version, client: str, ways: Sequence[Way]
    ) -> AsyncIterator[Row]:
        image = f"{version.repository}:{version.tag}"
        for region in (IAD, SYD):
            here = f"{self._network.host(region)}:{REGISTRY_PORT}"
            await self._clients.push(region, here, version.layout, image)
        for way in ways:
            address = f"{self._network.reached(way.region, SYD)}:{way.port}"
            for time in range(way.times):
                await quiet(self._network, SYD)
                place, wanted = Place(address), version.by_digest
                pulled = await self._clients.pull(client, SYD, place, wanted)
                route = way.name
                if way.times > 1:
                    route += ", again" if time else ", first"
                yield row_of(
                    SCENARIO, version, route, pulled, client=client, region=SYD
                )
