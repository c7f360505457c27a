"""What a local replica answers: the service's own answers, from memory alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from placement.client.estimates import Image, image_selector
from placement.client.feed import Clock, Feed, LocalBasis
from placement.core.candidates import parse_candidates
from placement.core.errors import (
    LimitInvalidError,
    ManifestUnknownError,
    PlacementError,
)
from placement.core.images import Selection, select_image
from placement.core.mirror.excerpt import MOUNTS_LOOKED_AT, Excerpt
from placement.core.mirror.mirror import Mirror
from placement.core.mirror.sources import LocalRanking, Sources
from placement.core.oci import (
    Digest,
    Repository,
    Tag,
    is_digest,
    parse_digest,
    parse_tag,
)
from placement.core.packed import digest_key
from placement.core.starts import StartEstimate, estimate_starts
from placement.core.tables.cells import ReplicaPhase
from placement.core.topology import Region, Topology
from placement.v1 import placement_service_pb2 as pb
from placement.wire.estimate_requests import decode_starts
from placement.wire.requests import SOURCE_COUNT_DEFAULT, SOURCE_COUNT_MAX

_PREFIX: Final = "sha256:"
_LENGTH: Final = 71
MOUNTS_TOLD: Final = 4
"""Repositories that a content could be mounted from."""


class LocalStaleError(PlacementError):
    """A tag was asked for while the replica is not up to date."""

    def __init__(self, basis: LocalBasis) -> None:
        """Keep what the replica rests on."""
        super().__init__(
            f"the replica is {basis.state.name} and "
            f"{basis.staleness_ns // 1_000_000} ms old, and a tag may have moved since",
            epoch=basis.epoch,
            sequence=str(basis.sequence),
        )
        self.basis = basis
        self.reason = "STATE_BEHIND"  # what the service itself would say


@dataclass(frozen=True, slots=True)
class LocalTag:
    """What a tag points to, who set it and when, and how far that may be trusted."""

    digest: Digest
    set_region: Region
    set_time_ns: int
    set_sequence: int
    basis: LocalBasis


class LocalAnswers:
    """Answers from what a feed knows, by the catalogue of the service behind it.

    No method waits. Names are not checked: what is no name is unknown like any other.
    Raises DigestInvalidError for what is no digest, RegionUnknownError for an asker
    outside the catalogue.
    """

    def __init__(self, feed: Feed, topology: Topology, clock: Clock) -> None:
        """Answer from *feed*, whatever it knows by then."""
        self._feed = feed
        self._clock = clock
        self._topology = topology
        self._mirror = Mirror(0)
        self._sources = Sources(self._mirror, topology)

    def _follow(self, mirror: Mirror, topology: Topology) -> None:
        """Answer from *mirror* and by *topology* from now on."""
        self._mirror, self._topology = mirror, topology
        self._sources = Sources(mirror, topology)

    @property
    def basis(self) -> LocalBasis:
        """Return what answers rest on now: how far, how old, and how sure."""
        return self._feed.basis()

    @property
    def topology(self) -> Topology:
        """Return the region catalogue that answers are given by."""
        return self._topology

    @property
    def mirror(self) -> Mirror:
        """Return what is known, to be read until the next ``await`` at the latest."""
        return self._mirror

    @property
    def sources(self) -> Sources:
        """Return what ranks by ``mirror`` and ``topology``."""
        return self._sources

    @property
    def placement_count(self) -> int:
        """Return how many placements are or were known: contents in repositories."""
        return self._mirror.placements.count

    @property
    def bytes_held(self) -> int:
        """Return how large the columns and indexes of placements are."""
        mirror = self._mirror
        held = mirror.placements.bytes_held + mirror.sharers.bytes_held
        return held + mirror.references.bytes_held

    def holds(self, repository: str, digest: str, region: str) -> bool:
        """Say whether all of a content is in a region, in that repository.

        Of a manifest: of the manifest itself, whatever is missing of its image.
        """
        mirror = self._mirror
        owner = mirror.owners.get(repository)
        bit = mirror.region_rows.get(region)
        if owner is None or bit is None:
            return False
        placements = mirror.placements
        row = placements.find(_key(digest), owner)
        if row < 0:
            return False
        if placements.words == 1:
            return bool(placements.complete[0].cells[row] >> bit & 1)
        return bool(placements.mask(row) >> bit & 1)

    def phase(self, repository: str, digest: str, region: str) -> ReplicaPhase:
        """Return how far a content has come in a region, in that repository."""
        row = self._mirror.find(repository, _key(digest))
        return self._mirror.phase(row, region)

    def rank_sources(
        self, repository: str, digest: str, region: str, max_source_count: int = 0
    ) -> LocalRanking:
        """Return the regions to pull from, best first, and the fallback.

        At most so many; 0 is 3. Content that nobody is known to hold has no sources.
        """
        asker = self._sources.asker(region, self._clock())
        most = _most(max_source_count)
        return self._sources.rank(asker, repository, digest, _key(digest), most)

    def rank_many(
        self,
        repository: str,
        digests: Sequence[str],
        region: str,
        max_source_count: int = 0,
    ) -> list[LocalRanking]:
        """Return the sources of several contents of one repository, in their order."""
        asker = self._sources.asker(region, self._clock())
        most, rank = _most(max_source_count), self._sources.rank
        return [rank(asker, repository, one, _key(one), most) for one in digests]

    def repositories_with(self, digest: str, region: str) -> tuple[Repository, ...]:
        """Return some repositories in which a region has all of a content.

        From them it can be mounted in others. At most MOUNTS_TOLD; none while the index
        of a replica that has just begun is not made yet.
        """
        mirror = self._mirror
        bit = mirror.region_rows.get(region)
        if bit is None or mirror.sharers.far_behind:
            return ()
        placements = mirror.placements
        rows = islice(mirror.sharers.of(_key(digest)), MOUNTS_LOOKED_AT)
        there = (row for row in rows if placements.mask(row) >> bit & 1)
        owners = (placements.owners.cells[row] for row in islice(there, MOUNTS_TOLD))
        return tuple(mirror.repositories[owner] for owner in owners)

    def resolve(
        self, repository: str, tag: str, *, accept_stale: bool = False
    ) -> LocalTag:
        """Return what a tag points to.

        While the replica is not up to date, only for who accepts that: a tag that has
        moved would start the wrong version. Raises LocalStaleError, TagInvalidError,
        and ManifestUnknownError for a tag that nobody set, or no tags watched.
        """
        basis = self._feed.basis()
        if not basis.live and not accept_stale:
            raise LocalStaleError(basis)
        name, parsed = Repository(repository), parse_tag(tag)
        found = self._mirror.tag(name, parsed)
        if found is None:
            raise ManifestUnknownError(name, parsed)
        return LocalTag(*found, basis)

    def estimate(  # noqa: PLR0913 - the fields of the request
        self,
        images: Sequence[Image],
        candidates: str = "",
        machine_count: int = 0,
        request_id: str = "",
        max_region_count: int = 0,
        *,
        accept_stale: bool = False,
    ) -> list[StartEstimate]:
        """Return how long a machine would wait in each candidate, best first.

        As EstimateStarts, but for what is decided and has not begun to move: it is not
        watched, so an image is never WANTED. References that are tags are resolved as
        ``resolve`` does. Raises what it and EstimateStarts raise.
        """
        request = pb.EstimateStartsRequest(
            images=[
                image_selector(image, f"images[{position}]")
                for position, image in enumerate(images)
            ],
            candidates=candidates,
            machine_count=machine_count,
            request_id=request_id,
            max_region_count=max_region_count,
        )
        query = decode_starts(request)
        regions = parse_candidates(self._topology, query.candidates)
        excerpt = Excerpt(self._mirror)
        network = self._sources.network(self._clock(), excerpt.state)
        selected = []
        for asked in query.selections:
            digest = self._settled(asked, accept_stale=accept_stale)
            excerpt.add_image(asked.repository, digest_key(digest))
            meant = Selection(asked.repository, digest, asked.platform)
            selected.append(select_image(excerpt.state, meant))
        found = estimate_starts(network, selected, regions, query.spread)
        return found[: query.region_count_max]

    def _settled(self, asked: Selection, *, accept_stale: bool) -> Digest:
        if is_digest(asked.reference):
            return Digest(asked.reference)
        tag = Tag(asked.reference)
        found = self.resolve(asked.repository, tag, accept_stale=accept_stale)
        return found.digest


def _key(digest: str) -> bytes:
    """Return what a digest is kept by; raises DigestInvalidError."""
    if len(digest) == _LENGTH and digest[:7] == _PREFIX:
        try:
            key = bytes.fromhex(digest[7:])
        except ValueError:
            key = b""
        if len(key) == 32:  # noqa: PLR2004 - of sha256; less where there were spaces
            return key
    return digest_key(parse_digest(digest))


def _most(max_source_count: int) -> int:
    if not 0 <= max_source_count <= SOURCE_COUNT_MAX:
        remedy = f"give 0 to {SOURCE_COUNT_MAX}"
        raise LimitInvalidError("max_source_count", max_source_count, remedy)
    return max_source_count or SOURCE_COUNT_DEFAULT
