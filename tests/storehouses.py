"""Histories of small registries, for tests of what may leave a storage region.

A ``History`` folds facts into a state, each a message of its own, and has a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from placement.core.deciding.eviction import Removal
from placement.core.event import (
    ContentEvicted,
    ContentPinned,
    ContentPushed,
    ContentReplicated,
    ContentUnpinned,
    Event,
    EvictionCancelled,
    EvictionPlanned,
    Identifier,
    MachineStarted,
    MachineStopped,
    Operation,
    ReplicationCompleted,
    ReplicationPlanned,
    ReplicationSubject,
    TimeNs,
)
from placement.core.fold import fold
from placement.core.network import Network
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables.table import Row
from placement.core.topology import Region
from tests.builders import (
    AMD64,
    API,
    ARM64,
    DAY_NS,
    HOUR_NS,
    IAD,
    INDEX,
    MANIFEST,
    SECOND_NS,
    START_NS,
    TOPOLOGY,
    WEB,
    descriptor,
    event,
    message,
)

BASE: Final = descriptor("base", 1_000)
"""A layer that most images share."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as tests push it: every descriptor, and what refers to what."""

    repository: Repository
    root: Descriptor
    references: tuple[tuple[Descriptor, tuple[Descriptor, ...]], ...]
    """Each manifest or index, before those that refer to it."""
    tag: Tag | None = None

    @property
    def digest(self) -> Digest:
        """The digest of the image itself."""
        return self.root.digest

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """Every content that refers to nothing, each once."""
        manifests = {manifest for manifest, _ in self.references}
        below = (one for _, references in self.references for one in references)
        return tuple(one for one in dict.fromkeys(below) if one not in manifests)


def image(name: str, repository: Repository = WEB, tag: str | None = None) -> Picture:
    """Return an image of the shared base and a layer of its own."""
    root = descriptor(name, 10, MANIFEST)
    own = descriptor(f"{name}-layer", 100)
    named = Tag(tag) if tag else None
    return Picture(repository, root, ((root, (BASE, own)),), named)


def index(name: str, *platforms: Picture, tag: str | None = None) -> Picture:
    """Return an index of images of one repository, one for each platform."""
    root = descriptor(name, 20, INDEX)
    kinds = (AMD64, ARM64)
    children = tuple(
        Descriptor(one.digest, MANIFEST, 10, kind)
        for one, kind in zip(platforms, kinds, strict=False)
    )
    below = tuple(pair for one in platforms for pair in one.references)
    named = Tag(tag) if tag else None
    return Picture(platforms[0].repository, root, (*below, (root, children)), named)


V1, V2, V3, V4 = (image(f"v{n}", tag=f"v{n}") for n in range(1, 5))
"""Versions of one app, by age."""
ON_AMD64, ON_ARM64 = image("on-amd64"), image("on-arm64")
MULTI: Final = index("multi", ON_AMD64, ON_ARM64, tag="multi-1")
OTHER: Final = image("other", API, "v1")
PICTURES: Final = (V1, V2, V3, V4, MULTI, ON_AMD64, OTHER)


@dataclass
class History:
    """A state with its clock; every method folds facts and lets a second pass."""

    state: State = field(default_factory=State)
    now_ns: int = START_NS
    _copies: dict[tuple[Digest, Region], ReplicationSubject] = field(
        default_factory=dict
    )

    def tell(self, *events: Event) -> "History":
        """Fold *events*, one message each."""
        for one in events:
            self.now_ns += SECOND_NS
            stored = message(self.state.sequence + 1, one, store_time_ns=self.now_ns)
            fold(self.state, stored)
        return self

    def wait(self, days: float) -> "History":
        """Let time pass."""
        self.now_ns += round(days * DAY_NS)
        return self

    @property
    def network(self) -> Network:
        """Everything as it is now."""
        return Network(self.state, TOPOLOGY, self.now_ns)

    def placement(self, picture: Picture) -> Row:
        """Return the row of an image."""
        return self.state.find_placement(picture.repository, picture.digest)

    def push(self, picture: Picture, *regions: Region) -> "History":
        """Push an image whole, with its tag; to home if nothing else is said."""
        owner = picture.repository
        for region in regions or (IAD,):
            for layer in picture.layers:
                self.tell(event(region, ContentPushed(layer, owner)))
            for manifest, references in picture.references:
                tag = picture.tag if manifest == picture.root else None
                fact = ContentPushed(manifest, owner, tag, references)
                self.tell(event(region, fact))
        return self

    def copy(self, picture: Picture, source: Region, target: Region) -> "History":
        """Decide on a copy, carry it out, and report it."""
        self.plan_copy(picture, source, target)
        return self.arrive(picture, target)

    def plan_copy(self, picture: Picture, source: Region, target: Region) -> "History":
        """Decide on a copy."""
        trigger = self.state.sequence + 1
        subject = ReplicationSubject(
            Identifier(f"copy-{trigger}"), picture.repository, picture.digest, target
        )
        self._copies[picture.digest, target] = subject
        planned = ReplicationPlanned(subject, source, trigger_sequence=trigger)
        return self.tell(event(target, planned))

    def arrive(self, picture: Picture, target: Region) -> "History":
        """Report that a decided copy is there."""
        for manifest, references in picture.references:
            every = (manifest, *references)
            fact = ContentReplicated(every, picture.repository, references=references)
            self.tell(event(target, fact))
        subject = self._copies[picture.digest, target]
        return self.tell(event(target, ReplicationCompleted(subject)))

    def start(self, picture: Picture, region: Region, machine: str = "m1") -> "History":
        """Let a machine start."""
        named = Identifier(machine)
        fact = MachineStarted(picture.digest, picture.repository, named)
        return self.tell(event(region, fact))

    def stop(self, region: Region, machine: str = "m1") -> "History":
        """Let a machine stop."""
        return self.tell(event(region, MachineStopped(Identifier(machine))))

    def pin(self, picture: Picture, *regions: Region, days: float = 0) -> "History":
        """Pin an image; for *days*, or for good."""
        until = TimeNs(self.now_ns + round(days * DAY_NS)) if days else None
        operation = Operation(expire_time_ns=until)
        fact = ContentPinned(
            picture.repository, picture.digest, tuple(regions), operation
        )
        return self.tell(event(IAD, fact))

    def unpin(self, picture: Picture, *regions: Region) -> "History":
        """Unpin an image."""
        fact = ContentUnpinned(picture.repository, picture.digest, tuple(regions))
        return self.tell(event(IAD, fact))

    def plan_removal(self, removal: Removal, hours: float = 0) -> Identifier:
        """Decide on a removal, to be made within *hours*, and return its id."""
        named = Identifier(f"removal-{self.state.sequence + 1}")
        fact = EvictionPlanned(
            named,
            removal.image.repository,
            removal.image.digest,
            removal.region,
            reclaimed_bytes=removal.reclaimed_bytes,
            trigger_sequence=self.state.sequence + 1,
            expire_time_ns=TimeNs(self.now_ns + round(hours * HOUR_NS))
            if hours
            else None,
        )
        self.tell(event(removal.region, fact))
        return named

    def call_off(self, named: Identifier, region: Region) -> "History":
        """Call off a removal."""
        return self.tell(event(region, EvictionCancelled(named, region)))

    def remove(
        self,
        region: Region,
        repository: Repository,
        digests: Iterable[Digest],
        decided: Identifier | None = None,
    ) -> "History":
        """Report that contents left a repository's region."""
        fact = ContentEvicted(repository, tuple(digests), eviction_id=decided)
        return self.tell(event(region, fact))
