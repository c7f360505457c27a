"""All that a packed watch told: placements, images, tags, regions and routes."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from placement.core.mirror.images import Images, References
from placement.core.mirror.placements import MirroredPlacements
from placement.core.mirror.sharers import Sharers
from placement.core.oci import Digest, Repository, Tag
from placement.core.packed import (
    NO_KEY,
    Packed,
    PackedContents,
    PackedNetwork,
    PackedPlacements,
    PackedTags,
    digest_key,
    plain_digest,
)
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.keys import PAIR, TRANSFERS_PER_ROUTE, TRIPLE
from placement.core.topology import Region

NOWHERE: Final = -1


class MirroredTag(NamedTuple):
    """What a tag points to, who set it and when."""

    digest: Digest
    region: Region
    time_ns: int
    sequence: int


class Mirror:
    """What one watcher knows. Only ``apply`` changes it."""

    def __init__(self, seed: int, room: int = 0) -> None:
        """Know nothing; *seed* is for hashes, *room* for so many placements."""
        self.placements = MirroredPlacements(seed, room)
        self.references = References()
        self.images = Images(self.placements, self.references)
        self.sharers = Sharers(self.placements)
        self.state = State()
        """Regions, routes and transfers, as the fold keeps them; nothing else."""
        self.leaving: dict[Region, int] = {}
        """Copies that leave a region by a decision."""
        self.network_version = 0
        """How often regions and routes were told."""
        self.owners: dict[str, int] = {}
        """The row of each repository."""
        self.repositories: list[Repository] = []
        """The names of owners, by row."""
        self.region_rows: dict[str, int] = {}
        self.tags: dict[tuple[int, str], MirroredTag] = {}
        self._others: dict[bytes, Digest] = {}
        """Digests that their keys do not tell."""

    # Look-ups, by names that were parsed before.

    def find(self, repository: str, key: bytes) -> int:
        """Return the row of a digest's key in a repository, or NOWHERE."""
        owner = self.owners.get(repository)
        if owner is None:
            return NOWHERE
        return self.placements.find(key, owner)

    def region_bit(self, region: str) -> int:
        """Return the bit of a region in masks; one that no mask has, if it is new."""
        return self.region_rows.get(region, len(self.region_rows))

    def phase(self, row: int, region: str) -> ReplicaPhase:
        """Return how far a placement has come in a region."""
        bit = self.region_rows.get(region)
        if bit is None or row == NOWHERE:
            return ReplicaPhase.ABSENT
        if self.placements.mask(row) >> bit & 1:
            verified = self.placements.verified_mask(row) >> bit & 1
            return ReplicaPhase.VERIFIED if verified else ReplicaPhase.COMPLETE
        coming = self.placements.coming.get(row, {}).get(bit)
        return ReplicaPhase.ABSENT if coming is None else ReplicaPhase(coming[0])

    def digest(self, key: bytes) -> Digest:
        """Return the digest that *key* stands for."""
        return self._others.get(key) or plain_digest(key)

    def tag(self, repository: Repository, tag: Tag) -> MirroredTag | None:
        """Return what a tag points to, or None when there is no such tag."""
        owner = self.owners.get(repository)
        return None if owner is None else self.tags.get((owner, tag))

    # Written by what is told.

    def apply(self, told: Packed) -> None:
        """Take in what is told."""
        match told:
            case PackedPlacements():
                self._apply_placements(told)
            case PackedContents():
                self._keep_digests(told.other_digests)
                self.references.apply(told)
            case PackedTags():
                self._apply_tags(told)
            case PackedNetwork():
                self._apply_network(told)

    def _apply_placements(self, told: PackedPlacements) -> None:
        self._keep_digests(told.other_digests)
        owners = self._owners(told.repositories)
        regions = self._regions(told.regions)
        self.placements.widen(len(self.region_rows))
        self.placements.apply(told, owners, regions)
        if not told.fresh:
            self.images.forget(set(owners))

    def _apply_tags(self, told: PackedTags) -> None:
        self._keep_digests(told.other_digests)
        owners = self._owners(told.repositories)
        columns = (told.owners, told.set_regions, told.set_times, told.set_sequences)
        for tag, key, owner, region, time_ns, sequence in zip(
            told.tags,
            told.digests,
            *(column.tolist() for column in columns),
            strict=True,
        ):
            packed, at = key.tobytes(), (owners[owner], tag)
            if packed == NO_KEY:
                self.tags.pop(at, None)
            else:
                set_by = told.regions[region]
                pointed = MirroredTag(self.digest(packed), set_by, time_ns, sequence)
                self.tags[at] = pointed

    def _apply_network(self, told: PackedNetwork) -> None:
        state = self.state
        self.network_version += 1
        rows = [state.region_row(region) for region in told.regions]
        self._regions(told.regions)
        columns = (told.states, told.expire_times, told.leaving_counts)
        for row, region, said, expire_ns, leaving in zip(
            rows, told.regions, *(column.tolist() for column in columns), strict=True
        ):
            state.regions.set(row, cells.Region.STATE, said)
            state.regions.set(row, cells.Region.STATE_EXPIRE, expire_ns)
            self.leaving[region] = leaving
        transfers = iter(told.transfers.tolist())
        routes = (told.route_sources, told.route_targets)
        for source, target, count, some in zip(
            *(column.tolist() for column in routes),
            told.transfer_counts.tolist(),
            told.told_counts.tolist(),
            strict=True,
        ):
            pair = (rows[source], rows[target])
            route = state.routes.find_or_add(PAIR.pack(*pair))
            state.routes.set(route, 0, count)
            for number in range(count - some, count):
                slot = TRIPLE.pack(*pair, number % TRANSFERS_PER_ROUTE)
                state.transfers.set_all(
                    state.transfers.find_or_add(slot), next(transfers)
                )

    def _owners(self, names: Sequence[Repository]) -> list[int]:
        rows = self.owners
        new = [name for name in dict.fromkeys(names) if name not in rows]
        rows.update(zip(new, range(len(rows), len(rows) + len(new)), strict=True))
        self.repositories.extend(new)
        return [rows[name] for name in names]

    def _regions(self, names: Sequence[Region]) -> list[int]:
        rows = self.region_rows
        for name in names:
            if name not in rows:
                rows[name] = len(rows)
                self.network_version += 1  # askers know regions by their bits
        return [rows[name] for name in names]

    def _keep_digests(self, digests: Iterable[Digest]) -> None:
        for digest in digests:
            self._others[digest_key(digest)] = digest
