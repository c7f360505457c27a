"""What should be copied where: the copies that a policy wants now, each with its reason.

The rule here is ``set_60d``: an image belongs into every region that started its app in
the last 60 days. It is what a perfectly kept static rule would do; better policies are
measured against it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from placement.core.counts import DAY_NS
from placement.core.errors import PolicyUnknownError
from placement.core.estimate import Duration, transfer_duration
from placement.core.event import Factor, Identifier
from placement.core.forecast import reports_starts, started_within
from placement.core.graph import pull_bytes, size_of, to_move
from placement.core.oci import Digest, Repository, Tag
from placement.core.ranking import Question, rank_sources, storage_region
from placement.core.state import State
from placement.core.table import ABSENT, Row
from placement.core.topology import Region, Topology

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


def plan(
    state: State, topology: Topology, now_ns: int, images: Iterable[Image]
) -> list[Candidate]:
    """Return the copies that ``set_60d`` wants of *images*, best value first.

    Value is what a start saves for each byte that moves; ties go by repository, digest
    and target, so the order is total.
    """
    found = [
        candidate
        for image in images
        for candidate in _plan_image(state, topology, now_ns, image)
    ]
    found.sort(key=_by_value)
    return found


def _by_value(candidate: Candidate) -> tuple[float, str, str, str]:
    value = candidate.saved_ns / max(1, candidate.transfer_bytes)
    image = candidate.image
    return (-value, image.repository, image.digest, candidate.target)


def _plan_image(
    state: State, topology: Topology, now_ns: int, image: Image
) -> Iterator[Candidate]:
    repository = state.find_repository(image.repository)
    digest = state.find_digest(image.digest)
    if ABSENT in (repository, digest) or not state.app_of(repository) != ABSENT:
        return
    app = state.app_of(repository)
    wanted: dict[Region, list[tuple[Region, int, int]]] = {}
    for row, last_ns, count in started_within(state, app, now_ns, MEMBER_DAYS):
        region = state.region_at(row)
        if region in topology.regions:
            target = storage_region(state, topology, region, now_ns)
            wanted.setdefault(target, []).append((region, last_ns, count))
    for target in sorted(wanted):
        candidate = _candidate(
            state, topology, now_ns, image, target, sorted(wanted[target])
        )
        if candidate is not None:
            yield candidate


def _candidate(  # noqa: PLR0913 - one value for each part of the question
    state: State,
    topology: Topology,
    now_ns: int,
    image: Image,
    target: Region,
    members: list[tuple[Region, int, int]],
) -> Candidate | None:
    repository = state.find_repository(image.repository)
    digest = state.find_digest(image.digest)
    target_row = state.regions.find(target.encode())
    moving = to_move(state, repository, digest, target_row)
    if not moving:
        return None
    question = Question(image.repository, target, now_ns, 1)
    sources = rank_sources(state, topology, question, image.digest).sources
    if not sources:
        return None
    source = sources[0].region
    size = size_of(state, moving)
    whole = pull_bytes(state, digest)
    nearest = members[0][0]
    remote = transfer_duration(topology, source, nearest, whole)
    local = transfer_duration(topology, target, nearest, whole)
    return Candidate(
        image,
        source,
        target,
        tuple(region for region, _, _ in members),
        size,
        transfer_duration(topology, source, target, size),
        max(0, remote.p50_ns - local.p50_ns),
        "app-started-here" if reports_starts(state) else "app-pulled-here",
        _explained(state, now_ns, members),
        _evidence(now_ns, members, size, remote, local),
    )


def _explained(
    state: State, now_ns: int, members: list[tuple[Region, int, int]]
) -> str:
    word = "started" if reports_starts(state) else "was pulled (no starts reported)"
    said = ", ".join(
        f"{region} {count} times, last {_age(now_ns - last_ns)} ago"
        for region, last_ns, count in members
    )
    return f"the app {word} in {said}"


def _age(age_ns: int) -> str:
    days = age_ns / DAY_NS
    if days >= 1:
        return f"{days:.0f} d"
    hours = days * 24
    return f"{hours:.0f} h" if hours >= 1 else f"{max(0.0, hours * 60):.0f} min"


def _evidence(
    now_ns: int,
    members: list[tuple[Region, int, int]],
    size_bytes: int,
    remote: Duration,
    local: Duration,
) -> tuple[Factor, ...]:
    newest_ns = max(last_ns for _, last_ns, _ in members)
    factors = {
        "start_count": sum(count for _, _, count in members),
        "last_start_age_seconds": (now_ns - newest_ns) / 1e9,
        "transfer_bytes": size_bytes,
        "remote_start_seconds": remote.p50_ns / 1e9,
        "local_start_seconds": local.p50_ns / 1e9,
    }
    return tuple(Factor(Identifier(key), float(factors[key])) for key in factors)
