"""What should be copied where: the copies that a policy wants now, with reasons.

The rule here is ``set_60d``: an image belongs into every region that started its app in
the last 60 days. It is what a perfectly kept static rule would do; better policies are
measured against it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from placement.core.counts import DAY_NS
from placement.core.errors import PolicyUnknownError
from placement.core.estimate import Duration
from placement.core.event import Factor
from placement.core.facts.values import factors_of
from placement.core.forecast import reports_starts, started_within
from placement.core.graph import pull_bytes, size_of, to_move
from placement.core.network import Network
from placement.core.oci import Digest, Repository, Tag
from placement.core.ranking import Question, rank_sources
from placement.core.state import State
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

MEMBER_DAYS: Final = 60
SET_60D: Final = "set_60d"
POLICIES: Final = (SET_60D,)


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


def parse_policy(name: str, field: str = "policy") -> str:
    """Return the policy's name; raises PolicyUnknownError. Empty is the default."""
    if name and name not in POLICIES:
        raise PolicyUnknownError(field, name, f"give one of {', '.join(POLICIES)}")
    return name or SET_60D


def tagged_images(state: State, repositories: Iterable[Row]) -> Iterator[Image]:
    """Yield each image that a tag of *repositories* points to, once."""
    for repository in repositories:
        by_digest: dict[Digest, list[Tag]] = {}
        for tag, pointer in state.tags_in(repository):
            by_digest.setdefault(pointer.digest, []).append(tag)
        name = state.repository_at(repository)
        for digest in sorted(by_digest):
            yield Image(name, digest, tuple(by_digest[digest]))


def plan(network: Network, images: Iterable[Image]) -> list[Candidate]:
    """Return the copies that ``set_60d`` wants of *images*, best value first.

    Value is what a start saves for each byte that moves; ties go by repository, digest
    and target, so the order is total.
    """
    found = [candidate for image in images for candidate in _plan_image(network, image)]
    found.sort(key=by_value)
    return found


def by_value(candidate: Candidate) -> tuple[float, str, str, str]:
    """Return what candidates are sorted by: best value first, a total order."""
    value = candidate.saved_ns / max(1, candidate.transfer_bytes)
    image = candidate.image
    return (-value, image.repository, image.digest, candidate.target)


@dataclass(frozen=True, slots=True)
class _Want:
    """An image that start regions want in the storage region that serves them."""

    image: Image
    target: Region
    members: tuple[tuple[Region, int, int], ...]
    """Start region, last start, number of starts; by region."""


def _plan_image(network: Network, image: Image) -> Iterator[Candidate]:
    state = network.state
    repository = state.find_repository(image.repository)
    digest = state.find_digest(image.digest)
    if ABSENT in {repository, digest} or state.app_of(repository) == ABSENT:
        return
    app = state.app_of(repository)
    wanted: dict[Region, list[tuple[Region, int, int]]] = {}
    for row, last_ns, count in started_within(state, app, network.now_ns, MEMBER_DAYS):
        region = state.region_at(row)
        if region in network.topology.regions:
            target = network.storage(region)
            wanted.setdefault(target, []).append((region, last_ns, count))
    for target, members in sorted(wanted.items()):
        want = _Want(image, target, tuple(sorted(members)))
        candidate = _candidate(network, want)
        if candidate is not None:
            yield candidate


def _candidate(network: Network, want: _Want) -> Candidate | None:
    state, now_ns = network.state, network.now_ns
    repository = state.find_repository(want.image.repository)
    digest = state.find_digest(want.image.digest)
    target_row = state.regions.find(want.target.encode())
    moving = to_move(state, repository, digest, target_row)
    question = Question(want.image.repository, want.target, 2)
    ranking = rank_sources(network, question, want.image.digest)
    # A target may hold the manifest already, and lack what it refers to.
    sources = [s.region for s in ranking.sources if s.region != want.target]
    usable = network.serves(want.target)
    if not moving or not sources or not usable:
        return None
    source, nearest = sources[0], want.members[0][0]
    size, whole = size_of(state, moving), pull_bytes(state, digest)
    remote = network.route(source, nearest).duration(whole)
    local = network.route(want.target, nearest).duration(whole)
    return Candidate(
        want.image,
        source,
        want.target,
        tuple(region for region, _, _ in want.members),
        size,
        network.route(source, want.target).duration(size),
        max(0, remote.p50_ns - local.p50_ns),
        "app-started-here" if reports_starts(state) else "app-pulled-here",
        _explained(state, now_ns, want),
        _evidence(now_ns, want, size, (remote, local)),
    )


def _explained(state: State, now_ns: int, want: _Want) -> str:
    word = "started" if reports_starts(state) else "was pulled (no starts reported)"
    said = ", ".join(
        f"{region} {_times(count)}, last {_age(now_ns - last_ns)} ago"
        for region, last_ns, count in want.members
    )
    return f"the app {word} in {said}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _age(age_ns: int) -> str:
    days = age_ns / DAY_NS
    if days >= 1:
        return f"{days:.0f} d"
    hours = days * 24
    return f"{hours:.0f} h" if hours >= 1 else f"{max(0.0, hours * 60):.0f} min"


def _evidence(
    now_ns: int, want: _Want, size_bytes: int, waits: tuple[Duration, Duration]
) -> tuple[Factor, ...]:
    remote, local = waits
    newest_ns = max(last_ns for _, last_ns, _ in want.members)
    factors = {
        "start_count": sum(count for _, _, count in want.members),
        "last_start_age_seconds": (now_ns - newest_ns) / 1e9,
        "transfer_bytes": size_bytes,
        "remote_start_seconds": remote.p50_ns / 1e9,
        "local_start_seconds": local.p50_ns / 1e9,
    }
    return factors_of(factors)
