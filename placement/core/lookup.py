"""Plain look-ups: what a reference points to, where content is, what replicas exist."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from placement.core.arrival import Expectation, expect
from placement.core.decisions import decision_status
from placement.core.demand import app_demand
from placement.core.errors import (
    ContentUnknownError,
    ManifestUnknownError,
    NameUnknownError,
)
from placement.core.graph import (
    contents,
    is_attestation,
    size_of,
    standing,
)
from placement.core.network import Network
from placement.core.oci import Descriptor, Digest, Platform, Repository, Tag, is_digest
from placement.core.state import State
from placement.core.tables.cells import DecisionStatus, ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.records import ReplicaRecord, TagPointer
from placement.core.tables.table import ABSENT, Row
from placement.core.tag_steps import tags_to
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference points to; *pointer* is None for a digest."""

    content: Descriptor
    pointer: TagPointer | None


@dataclass(frozen=True, slots=True)
class RegionStanding:
    """What one region has of a whole image; *create_time_ns* 0: not the content."""

    region: Region
    phase: ReplicaPhase
    complete: bool
    missing_bytes: int
    mountable_bytes: int
    create_time_ns: int
    expectation: Expectation | None
    """None for regions that the catalogue does not know to store."""


@dataclass(frozen=True, slots=True)
class RegionDemand:
    """How much one start region uses content, and its app."""

    region: Region
    pull_count: int
    start_count: int
    running_count: int
    last_use_time_ns: int
    app_demand: float


@dataclass(frozen=True, slots=True)
class PlacementRecord:
    """Where content is, who uses it, and what it is made of."""

    repository: Repository
    content: Descriptor
    organization: str
    app: str
    image_size_bytes: int
    platforms: tuple[Platform, ...]
    tags: tuple[Tag, ...]
    regions: tuple[RegionStanding, ...]
    demands: tuple[RegionDemand, ...]


@dataclass(frozen=True, slots=True)
class ListedReplica:
    """One replica with all of its names; the order of a listing is that of *key*."""

    repository: Repository
    digest: Digest
    size_bytes: int
    record: ReplicaRecord

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what listings are ordered by."""
        return (self.repository, self.digest, self.record.region)


def known_repository(state: State, repository: Repository) -> Row:
    """Return the repository's row; raises NameUnknownError."""
    row = state.find_repository(repository)
    if row == ABSENT:
        raise NameUnknownError(repository)
    return row


def resolve(state: State, repository: Repository, reference: Digest | Tag) -> Resolved:
    """Return what *reference* points to in *repository*.

    Raises ManifestUnknownError for a tag and ContentUnknownError for a digest that
    nobody announced there.
    """
    if is_digest(reference):
        digest = Digest(reference)
        if state.find_placement(repository, digest) == ABSENT:
            raise ContentUnknownError(repository, digest)
        return Resolved(descriptor(state, digest), None)
    pointer = state.tag(repository, Tag(reference))
    if pointer is None:
        raise ManifestUnknownError(repository, reference)
    return Resolved(descriptor(state, pointer.digest), pointer)


def descriptor(state: State, digest: Digest) -> Descriptor:
    """Return what is known of a digest that is in the state."""
    row = state.find_digest(digest)
    return Descriptor(digest, state.media_type(row), state.size_bytes(row))


def placement_of(
    network: Network, repository: Repository, reference: Digest | Tag
) -> Generator[None, None, PlacementRecord]:
    """Return where the image or blob is, who uses it and what each region lacks.

    Regions are those that have anything of it, and those where it is wanted. Let others
    run at each step, while its tags are looked for. Raises as ``resolve`` does.
    """
    state = network.state
    content = resolve(state, repository, reference).content
    owner = state.find_repository(repository)
    digest = state.find_digest(content.digest)
    tags = yield from tags_to(state, owner, digest)
    app = state.app_of(owner)
    organization, app_name = ("", "") if app == ABSENT else state.app_name(app)
    platforms = [platform for _, platform in state.children(digest)]
    return PlacementRecord(
        repository,
        content,
        organization,
        app_name,
        size_of(state, contents(state, digest)),
        tuple(p for p in platforms if p is not None and not is_attestation(p)),
        tags,
        tuple(_standings(network, owner, digest)),
        tuple(_demands(state, owner, digest, network.now_ns)),
    )


def _standings(network: Network, owner: Row, digest: Row) -> Iterator[RegionStanding]:
    state = network.state
    found = _wanting(network, owner, digest)
    for row in contents(state, digest):
        placement = state.placements.find(PAIR.pack(owner, row))
        if placement != ABSENT:
            found.update(
                region
                for region in state.indexes.regions_of(placement)
                if state.phase(placement, region) is not ReplicaPhase.ABSENT
            )
    for _, row in sorted((state.region_at(row), row) for row in found):
        yield standing_in(network, owner, digest, row)


def standing_in(
    network: Network, owner: Row, digest: Row, region: Row
) -> RegionStanding:
    """Return what a region has of an image; by rows that are in use."""
    state, name = network.state, network.state.region_at(region)
    own = state.placements.find(PAIR.pack(owner, digest))
    records = {record.region: record for record in state.replicas_of(own)}
    whole = standing(state, owner, digest, region)
    record = records.get(name)
    return RegionStanding(
        name,
        ReplicaPhase.ABSENT if record is None else record.phase,
        whole.complete,
        whole.missing_bytes,
        whole.mountable_bytes,
        0 if record is None else record.create_time_ns,
        expect(network, owner, state.digest_at(digest), name)
        if network.topology.stores(name)
        else None,
    )


def _wanting(network: Network, owner: Row, digest: Row) -> set[Row]:
    """Return the storage regions where the image is wanted, whatever they have."""
    state = network.state
    placement = state.placements.find(PAIR.pack(owner, digest))
    if placement == ABSENT:
        return set()
    regions = {
        region: state.regions.find(region.encode())
        for region in network.topology.regions
        if network.topology.stores(region)
    }
    return {
        row
        for row in regions.values()
        if row != ABSENT
        and (
            state.wanted.find(PAIR.pack(placement, row)) != ABSENT
            or decision_status(state, placement, row)
            in {DecisionStatus.PLANNED, DecisionStatus.STARTED}
        )
    }


def _demands(
    state: State, owner: Row, digest: Row, now_ns: int
) -> Iterator[RegionDemand]:
    placement = state.placements.find(PAIR.pack(owner, digest))
    app = state.app_of(owner)
    regions = set(state.indexes.users_of(placement))
    if app != ABSENT:
        regions.update(state.indexes.members_of(app))
    for name, region in sorted((state.region_at(row), row) for row in regions):
        use = state.uses.find(PAIR.pack(placement, region))
        pulls = starts = running = last_ns = 0
        if use != ABSENT:
            pulls, starts, running, last_ns = state.uses.values(use)
        weighed = 0.0 if app == ABSENT else app_demand(state, app, region, now_ns)
        yield RegionDemand(name, pulls, starts, running, last_ns, weighed)


def list_replicas(
    state: State,
    repository: Repository | None,
    region: Region | None,
    after: tuple[str, str, str],
) -> Iterator[ListedReplica]:
    """Yield the replicas whose key is greater than *after*, in the order of the key.

    Raises NameUnknownError for a repository that no event ever named.
    """
    if repository is not None:
        owners = [(repository, known_repository(state, repository))]
    else:
        owners = state.named_repositories()
    for name, owner in owners:
        if name >= after[0]:
            yield from _listed(state, name, owner, region, after)


def _listed(
    state: State,
    name: Repository,
    owner: Row,
    region: Region | None,
    after: tuple[str, str, str],
) -> Iterator[ListedReplica]:
    placements = [
        (state.digest_at(state.content_of(row)), row)
        for row in state.indexes.placements_in(owner)
    ]
    for digest, placement in sorted(placements):
        if (name, digest) < after[:2]:
            continue
        size = state.size_bytes(state.find_digest(digest))
        for record in state.replicas_of(placement):
            listed = ListedReplica(name, digest, size, record)
            wanted = region is None or record.region == region
            if wanted and listed.key > after:
                yield listed
