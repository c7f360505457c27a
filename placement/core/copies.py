"""Copies that a policy may want: of which image, from where, how much, how long."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge

from placement.core.decisions import decided_content
from placement.core.estimate import Duration
from placement.core.event import Factor
from placement.core.graph import contents, missing, mountable, size_of
from placement.core.network import Network
from placement.core.oci import Digest, Repository, Tag
from placement.core.ranking import Question, rank_sources, whole_bytes
from placement.core.state import State
from placement.core.tables.table import Row
from placement.core.tag_steps import each_tag, sorted_runs
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

    *remote*: a start's wait for all of it from where it is; *local*: from the target.
    """

    source: Region
    target: Region
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

    None where nothing is missing, or all of it is on its way, nobody else has it, or
    *target* is out of use. What another copy brings is not moved a second time.
    """
    state = network.state
    digest = state.find_digest(image.digest)
    moving = to_copy(network, image, target)
    if not moving or not network.serves(target):
        return None
    ranking = rank_sources(network, Question(image.repository, target, 2), image.digest)
    # A target may hold the manifest already, and lack what it refers to.
    sources = [s.region for s in ranking.sources if s.region != target]
    if not sources:
        return None
    size, whole = size_of(state, moving), whole_bytes(network, digest)
    nearest = sources[0]
    if target != network.storage(start):
        # Residency sent the copy further away than what the start may pull from now.
        asked = Question(image.repository, start, 1)
        nearest = rank_sources(network, asked, image.digest).sources[0].region
    return Copy(
        sources[0],
        target,
        size,
        network.route(sources[0], target).duration(size),
        network.route(nearest, start).duration(whole),
        network.route(target, start).duration(whole),
    )


def to_copy(network: Network, image: Image, target: Region) -> list[Row]:
    """Return the contents that a copy of *image* into *target* has to move.

    None of those that are there, can be mounted there, or are on their way.
    """
    state = network.state
    repository = state.find_repository(image.repository)
    row = state.regions.find(target.encode())
    coming = contents_coming(network, row)
    every = _contents(network, state.find_digest(image.digest))
    return [
        content
        for content in missing(state, repository, every, row)
        if content not in coming and not mountable(state, repository, content, row)
    ]


def contents_coming(network: Network, target: Row) -> frozenset[Row]:
    """Return the digests that copies into *target* bring which are decided and open.

    *target* may be ABSENT: nothing was ever heard of it.
    """
    found = network.coming.get(target)
    if found is None:
        state = network.state
        found = network.coming[target] = frozenset(
            content
            for decision in state.indexes.decisions.copies_into(target)
            for content in _contents(network, decided_content(state, decision))
        )
    return found


def _contents(network: Network, digest: Row) -> list[Row]:
    """Return what an image consists of, walked through once an answer."""
    found = network.graphs.get(digest)
    if found is None:
        found = network.graphs[digest] = contents(network.state, digest)
    return found


def tagged_images(state: State, repositories: Iterable[Row]) -> Iterator[Image | None]:
    """Yield each image that a tag of *repositories* points to, once.

    None: a step is done after which others may run.
    """
    for repository in repositories:
        by_digest: dict[Digest, list[Tag]] = {}
        for found in each_tag(state, repository):
            if found is None:
                yield None
            else:
                tag, pointer = found
                by_digest.setdefault(pointer.digest, []).append(tag)
        name = state.repository_at(repository)
        runs = yield from sorted_runs(by_digest)
        for digest in merge(*runs):
            yield Image(name, digest, tuple(sorted(by_digest[digest])))


def by_value(candidate: Candidate) -> tuple[float, str, str, str]:
    """Return what candidates are sorted by: best value first, a total order."""
    image = candidate.image
    return (-candidate.value, image.repository, image.digest, candidate.target)
