"""Copies that a policy may want: of which image, from where, how much, how long."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from placement.core.estimate import Duration
from placement.core.event import Factor
from placement.core.graph import pull_bytes, size_of, to_move
from placement.core.network import Network
from placement.core.oci import Digest, Repository, Tag
from placement.core.ranking import Question, rank_sources
from placement.core.state import State
from placement.core.tables.table import Row
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class Image:
    """An image that a policy is asked about."""

    repository: Repository
    digest: Digest
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A copy that a policy wants, with the evidence for it."""

    image: Image
    source: Region
    target: Region
    start_regions: tuple[Region, ...]
    transfer_bytes: int
    duration: Duration
    saved_ns: int
    """What one start waits less, once the copy is there."""
    reason: str
    explanation: str
    factors: tuple[Factor, ...]
    value: float
    """What copies are ordered by: the greatest first."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What copying an image into a storage region means for one of its start regions.

    *remote*: a start's wait for all of it from the source; *local*: from the target.
    """

    source: Region
    transfer_bytes: int
    duration: Duration
    remote: Duration
    local: Duration

    @property
    def saved_ns(self) -> int:
        """Return what one start waits less, once the copy is there."""
        return max(0, self.remote.p50_ns - self.local.p50_ns)


def copy_into(
    network: Network, image: Image, target: Region, start: Region
) -> Copy | None:
    """Return the copy of *image* into *target* as starts in *start* would profit.

    None where nothing is missing, nobody else has it, or *target* is out of use.
    """
    state = network.state
    repository = state.find_repository(image.repository)
    digest = state.find_digest(image.digest)
    target_row = state.regions.find(target.encode())
    moving = to_move(state, repository, digest, target_row)
    if not moving or not network.serves(target):
        return None
    ranking = rank_sources(network, Question(image.repository, target, 2), image.digest)
    # A target may hold the manifest already, and lack what it refers to.
    sources = [s.region for s in ranking.sources if s.region != target]
    if not sources:
        return None
    size, whole = size_of(state, moving), pull_bytes(state, digest)
    return Copy(
        sources[0],
        size,
        network.route(sources[0], target).duration(size),
        network.route(sources[0], start).duration(whole),
        network.route(target, start).duration(whole),
    )


def tagged_images(state: State, repositories: Iterable[Row]) -> Iterator[Image]:
    """Yield each image that a tag of *repositories* points to, once."""
    for repository in repositories:
        by_digest: dict[Digest, list[Tag]] = {}
        for tag, pointer in state.tags_in(repository):
            by_digest.setdefault(pointer.digest, []).append(tag)
        name = state.repository_at(repository)
        for digest in sorted(by_digest):
            yield Image(name, digest, tuple(by_digest[digest]))


def by_value(candidate: Candidate) -> tuple[float, str, str, str]:
    """Return what candidates are sorted by: best value first, a total order."""
    image = candidate.image
    return (-candidate.value, image.repository, image.digest, candidate.target)
