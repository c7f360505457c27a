"""A made-up history of apps for benchmarks: pushed, started, copied; always alike."""

from collections.abc import Iterator
from random import Random
from typing import Final

from placement.core.event import (
    ContentPushed,
    ContentReplicated,
    Document,
    Event,
    Fact,
    Identifier,
    MachineStarted,
    Name,
    PolicyChanged,
    ReplicationCompleted,
    ReplicationSubject,
)
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.topology import Region, Topology

SEED: Final = 20261124
VERSIONS: Final = 4
"""Of each app, pushed and started before anything is measured."""
POLICY: Final = """
holdout_fraction = 0
[limits]
region_copies_in_flight = 0
backfill_copies_in_flight = 0
"""
"""Nothing is withheld or put off: the most work that a push can make."""
REGIONS_PER_APP: Final = 4
LAYERS: Final = 8
LAYER_BYTES: Final = 60_000_000
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"


class History:
    """Apps with versions that start in regions of their own; the same for ever."""

    def __init__(self, topology: Topology, apps: int) -> None:
        """Draw where each of so many apps runs."""
        random = Random(SEED)  # noqa: S311 - a made-up history, not a secret
        regions = sorted(topology.regions)
        stores = sorted(filter(topology.stores, regions))
        count = min(REGIONS_PER_APP, len(regions))
        self.apps = apps
        self.topology = topology
        self._pushed: dict[Digest, tuple[int, int]] = {}
        self.homes = [random.choice(stores) for _ in range(apps)]
        self.runs = [random.sample(regions, count) for _ in range(apps)]

    def before(self) -> Iterator[Event]:
        """Yield the policy, and the versions that are learned from.

        Each was copied to where it runs, as a planner would have had it.
        """
        policy = PolicyChanged(Name("bench"), Document(POLICY))
        yield _event("policy", self.homes[0], policy)
        for version in range(VERSIONS):
            for app in range(self.apps):
                yield from self.push(app, version)
                for region in self.runs[app]:
                    yield self._copy(app, version, region)
                    yield self.start(app, version, region)

    def turn(self, number: int) -> tuple[int, int]:
        """Return which app is pushed next, and which version of it."""
        return number % self.apps, VERSIONS + number // self.apps

    def push(self, app: int, version: int) -> Iterator[Event]:
        """Yield the push of a version: a new layer, and a manifest of several."""
        home, (manifest, *layers) = self.homes[app], _image(app, version)
        self._pushed |= {one.digest: (app, version) for one in (manifest, layers[0])}
        yield _event(f"l-{app}-{version}", home, ContentPushed(layers[0], _name(app)))
        tag = Tag(f"v{version}")
        fact = ContentPushed(manifest, _name(app), tag, tuple(layers))
        yield _event(f"m-{app}-{version}", home, fact)

    def done(self, subject: ReplicationSubject) -> Iterator[Event]:
        """Yield what a replicator reports of a decided copy: it is there."""
        own_id, target = subject.replication_id, subject.target_region
        arrived = _arrived(*self._pushed[subject.digest])
        yield _event(f"{own_id}-arrived", target, arrived)
        yield _event(f"{own_id}-done", target, ReplicationCompleted(subject))

    def _copy(self, app: int, version: int, region: Region) -> Event:
        """Return the arrival of a version where a region's starts pull from."""
        target = self.topology.serving_order(region)[0]
        name = f"c-{app}-{version}-{region}"
        return _event(name, target, _arrived(app, version))

    def start(self, app: int, version: int, region: Region) -> Event:
        """Return the first start of a version in a region."""
        machine = Identifier(f"machine-{app}-{region}")
        fact = MachineStarted(_digest("m", app, version), _name(app), machine)
        return _event(f"s-{app}-{version}-{region}", region, fact)


def _image(app: int, version: int) -> list[Descriptor]:
    """Return the manifest of a version, and its layers, of which the first is new."""
    content = Descriptor(_digest("m", app, version), MANIFEST, 5_000)
    return [content, *(_layer(app, version if n == 0 else 0, n) for n in range(LAYERS))]


def _arrived(app: int, version: int) -> ContentReplicated:
    return ContentReplicated(tuple(_image(app, version)), _name(app))


def _name(app: int) -> Repository:
    return Repository(f"team-{app % 20}/app-{app}")


def _digest(kind: str, app: int, version: int, place: int = 0) -> Digest:
    return Digest(f"sha256:{ord(kind):02x}{app:08x}{version:08x}{place:08x}{0:038x}")


def _layer(app: int, version: int, place: int) -> Descriptor:
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    return Descriptor(_digest("l", app, version, place), kind, LAYER_BYTES)


def _event(name: str, region: Region, fact: Fact) -> Event:
    return Event(Identifier(name), region, fact)
