"""The past that a log of our own tells: real pushes, sizes, layers and starts.

An image is a pushed manifest or index, at the region of its first push; an index stands
for itself and its first image. Where nobody reports machine starts, pulls of image
manifests stand in, and the past says so. Starts of images whose push the log does not
hold, and what happened in regions that the catalogue does not have, are left out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from placement.core.counts import HOUR_NS
from placement.core.event import (
    AppWithdrawn,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    InventoryTaken,
    MachineStarted,
    Recorded,
    SetAside,
    TagMoved,
)
from placement.core.folds.demand import NO_DEMAND
from placement.core.graph import is_attestation
from placement.core.oci import (
    ContentKind,
    Descriptor,
    Digest,
    Repository,
    Tag,
    content_kind,
)
from placement.core.topology import Region, Topology
from placement.simulation.past import (
    PULLS_INSTEAD,
    STARTS_REPORTED,
    Part,
    Past,
    Removal,
    Start,
    Version,
)

UPLOAD_NS: Final = HOUR_NS
"""Layers that were pushed longer before their manifest are not of its upload."""
DEPTH_MAX: Final = 4
_IMAGES: Final = {ContentKind.MANIFEST, ContentKind.INDEX}
_Key = tuple[Repository, Digest]


@dataclass(frozen=True, slots=True)
class _Used:
    """A start, or what stands in for one."""

    time_ns: int
    key: _Key
    region: Region


@dataclass(slots=True)
class _Told:
    """What a log tells, as far as it has been read; times are the earliest."""

    pushes: dict[_Key, tuple[int, Region]] = field(default_factory=dict)
    """First pushes, of layers too."""
    tags: dict[_Key, Tag] = field(default_factory=dict)
    kinds: dict[Digest, ContentKind] = field(default_factory=dict)
    sizes: dict[Digest, int] = field(default_factory=dict)
    references: dict[Digest, tuple[Descriptor, ...]] = field(default_factory=dict)
    starts: dict[str, _Used] = field(default_factory=dict)
    """By the event's id: a repeat is not a second start."""
    pulls: dict[str, _Used] = field(default_factory=dict)
    removals: dict[str, Removal] = field(default_factory=dict)
    attached: set[_Key] = field(default_factory=set)
    """Signatures and the like: about an image instead of being one."""

    def read(self, recorded: Recorded) -> None:
        """Take in one fact; most kinds tell nothing of this."""
        event, fact = recorded.event, recorded.event.fact
        match fact:
            case ContentPushed():
                self._pushed(recorded, fact)
            case MachineStarted():
                key = (fact.repository, fact.digest)
                used = _Used(recorded.time_ns, key, event.region)
                self.starts.setdefault(event.event_id, used)
            case ContentPulled() if fact.client_kind not in NO_DEMAND:
                self._pulled(recorded, fact)
            case AppWithdrawn():
                gone = Removal(recorded.time_ns, fact.repository, event.region)
                self.removals.setdefault(event.event_id, gone)
            case TagMoved() if fact.digest is not None:
                self.tags.setdefault((fact.repository, fact.digest), fact.tag)
            case InventoryTaken():
                for content in fact.contents:
                    self._described(content.content, content.references)
            case ContentReplicated():
                for descriptor in fact.contents:
                    self._described(descriptor, ())
            case _:
                pass

    def _pushed(self, recorded: Recorded, fact: ContentPushed) -> None:
        self._described(fact.content, fact.references)
        key = (fact.repository, fact.content.digest)
        found = (recorded.time_ns, recorded.event.region)
        self.pushes[key] = min(found, self.pushes.get(key, found))
        if fact.tag is not None:
            self.tags.setdefault(key, fact.tag)
        if fact.subject_digest is not None:
            self.attached.add(key)

    def _pulled(self, recorded: Recorded, fact: ContentPulled) -> None:
        """Keep a pull of an image's manifest, as the fold counts them."""
        known = self.kinds.get(fact.digest, ContentKind.UNKNOWN)
        kind = content_kind(fact.media_type) or known
        if kind is ContentKind.MANIFEST or (kind is ContentKind.UNKNOWN and fact.tag):
            region = fact.client_region or recorded.event.region
            key = (fact.repository, fact.digest)
            used = _Used(recorded.time_ns, key, region)
            self.pulls.setdefault(recorded.event.event_id, used)

    def _described(
        self, content: Descriptor, references: tuple[Descriptor, ...]
    ) -> None:
        for one in (content, *references):
            if one.size_bytes:
                self.sizes[one.digest] = one.size_bytes
            if one.media_type:
                self.kinds[one.digest] = content_kind(one.media_type)
        if references:
            self.references[content.digest] = references

    def is_image(self, digest: Digest) -> bool:
        """Say whether *digest* is a manifest or an index."""
        return self.kinds.get(digest) in _IMAGES or digest in self.references

    def contents(self, digest: Digest, depth: int = 0) -> Iterator[Digest]:
        """Yield *digest* and all that it refers to; of an index, its first image."""
        yield digest
        if depth == DEPTH_MAX:
            return
        below = self.references.get(digest, ())
        if self.kinds.get(digest) is ContentKind.INDEX:
            below = tuple(one for one in below if not is_attestation(one.platform))[:1]
        for one in below:
            yield from self.contents(one.digest, depth + 1)


def past_of_log(items: Iterable[Recorded | SetAside], topology: Topology) -> Past:
    """Return the past that *items*, in the order of the log, tell."""
    told = _Told()
    for item in items:
        if isinstance(item, Recorded):
            told.read(item)
    used = (told.starts or told.pulls).values()
    known = [
        one
        for one in sorted(used, key=attrgetter("time_ns"))
        if one.region in topology.regions and _is_pushed(told, one.key, topology)
    ]
    first_ns: dict[_Key, int] = {}
    for one in known:
        first_ns.setdefault(one.key, one.time_ns)
    versions, part_bytes = _versions(told, topology, first_ns)
    return Past(
        tuple(sorted(versions.values(), key=attrgetter("push_time_ns"))),
        part_bytes,
        tuple(Start(one.time_ns, versions[one.key], one.region) for one in known),
        tuple(sorted(told.removals.values(), key=attrgetter("time_ns"))),
        stands_in_for_starts=STARTS_REPORTED if told.starts else PULLS_INSTEAD,
        left_out_count=len(used) - len(known),
    )


def _is_pushed(told: _Told, key: _Key, topology: Topology) -> bool:
    pushed = told.pushes.get(key)
    return pushed is not None and topology.stores(pushed[1])


def _images(
    told: _Told, topology: Topology, first_ns: Mapping[_Key, int]
) -> dict[_Key, tuple[Digest, ...]]:
    """Return the contents of all pushed images, in the order of their pushes.

    What is one image of an index, or about an image, is one of its own only if it was
    started itself.
    """
    within = set(told.attached)
    for repository, digest in told.pushes:
        below = told.references.get(digest, ())
        within.update((repository, one.digest) for one in below)
    return {
        key: tuple(dict.fromkeys(told.contents(key[1])))
        for key in sorted(told.pushes, key=lambda one: (told.pushes[one][0], one))
        if told.is_image(key[1])
        and _is_pushed(told, key, topology)
        and (key not in within or key in first_ns)
    }


def _parts(
    told: _Told, images: Mapping[_Key, tuple[Digest, ...]]
) -> tuple[dict[Digest, Part], tuple[int, ...]]:
    """Return the part that each content is in, and the bytes of each part.

    What is in the same images always moves together, so it is one part.
    """
    carriers: defaultdict[Digest, list[int]] = defaultdict(list)
    for number, contents in enumerate(images.values()):
        for digest in contents:
            carriers[digest].append(number)
    known: dict[tuple[int, ...], Part] = {}
    parts = {
        digest: known.setdefault(tuple(numbers), Part(len(known)))
        for digest, numbers in carriers.items()
    }
    part_bytes = [0] * len(known)
    for digest, part in parts.items():
        part_bytes[part] += told.sizes.get(digest, 0)
    return parts, tuple(part_bytes)


def _versions(
    told: _Told, topology: Topology, first_ns: Mapping[_Key, int]
) -> tuple[dict[_Key, Version], tuple[int, ...]]:
    """Return the version that stands for each image, and the bytes of all parts."""
    images = _images(told, topology, first_ns)
    parts, part_bytes = _parts(told, images)
    versions: dict[_Key, Version] = {}
    before_ns: dict[Repository, int] = {}
    for key, contents in images.items():
        pushed_ns, home = told.pushes[key]
        # Clocks differ: an image was pushed by the time it first started.
        pushed_ns = min(pushed_ns, first_ns.get(key, pushed_ns))
        since_ns = max(pushed_ns - UPLOAD_NS, before_ns.get(key[0], 0) + 1)
        before_ns[key[0]] = pushed_ns
        versions[key] = Version(
            *key,
            told.tags.get(key),
            home,
            _upload_ns(told, key[0], contents, since_ns, pushed_ns),
            pushed_ns,
            tuple(dict.fromkeys(parts[digest] for digest in contents)),
            sum(told.sizes.get(digest, 0) for digest in contents),
        )
    return versions, part_bytes


def _upload_ns(
    told: _Told,
    repository: Repository,
    contents: Iterable[Digest],
    since_ns: int,
    pushed_ns: int,
) -> int:
    """Return when the first of *contents* was pushed in *since_ns* to *pushed_ns*."""
    times = [
        told.pushes[repository, digest][0]
        for digest in contents
        if (repository, digest) in told.pushes
    ]
    return min((x for x in times if since_ns <= x <= pushed_ns), default=pushed_ns)
