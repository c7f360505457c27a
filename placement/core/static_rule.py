"""The static rule ``set_60d``: an image belongs where its app started in 60 days.

It is what a perfectly kept list of regions would do; better policies are measured
against it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from placement.core.copies import Candidate, Copy, Image, copy_into
from placement.core.counts import DAY_NS
from placement.core.demand import reports_starts, started_within
from placement.core.event import Factor
from placement.core.facts.values import factors_of
from placement.core.network import Network
from placement.core.residency import ANYWHERE, Residency, storage_within
from placement.core.state import State
from placement.core.tables.table import ABSENT
from placement.core.topology import Region

MEMBER_DAYS: Final = 60


@dataclass(frozen=True, slots=True)
class _Want:
    """An image that start regions want in the storage region that serves them."""

    image: Image
    target: Region
    members: tuple[tuple[Region, int, int], ...]
    """Start region, last start, number of starts; by region."""


def wanted_by_members(
    network: Network, image: Image, residency: Residency = ANYWHERE
) -> Iterator[Candidate]:
    """Yield the copies of *image* that the rule wants now, by target."""
    state = network.state
    repository = state.find_repository(image.repository)
    digest = state.find_digest(image.digest)
    if ABSENT in {repository, digest} or state.app_of(repository) == ABSENT:
        return
    app = state.app_of(repository)
    permitted = residency.permitted(network.topology, image.repository)
    wanted: dict[Region, list[tuple[Region, int, int]]] = {}
    for row, last_ns, count in started_within(state, app, network.now_ns, MEMBER_DAYS):
        region = state.region_at(row)
        if region not in network.topology.regions:
            continue
        target = storage_within(network, region, permitted)
        if target is not None:
            wanted.setdefault(target, []).append((region, last_ns, count))
    for target, members in sorted(wanted.items()):
        want = _Want(image, target, tuple(sorted(members)))
        copy = copy_into(network, image, target, want.members[0][0])
        if copy is not None:
            yield _candidate(network, want, copy)


def _candidate(network: Network, want: _Want, copy: Copy) -> Candidate:
    state, now_ns = network.state, network.now_ns
    return Candidate(
        want.image,
        copy.source,
        want.target,
        tuple(region for region, _, _ in want.members),
        copy.transfer_bytes,
        copy.duration,
        copy.saved_ns,
        "app-started-here" if reports_starts(state) else "app-pulled-here",
        _explained(state, now_ns, want),
        _evidence(now_ns, want, copy),
        copy.saved_ns / max(1, copy.transfer_bytes),
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


def _evidence(now_ns: int, want: _Want, copy: Copy) -> tuple[Factor, ...]:
    newest_ns = max(last_ns for _, last_ns, _ in want.members)
    factors = {
        "start_count": sum(count for _, _, count in want.members),
        "last_start_age_seconds": (now_ns - newest_ns) / 1e9,
        "transfer_bytes": copy.transfer_bytes,
        "remote_start_seconds": copy.remote.p50_ns / 1e9,
        "local_start_seconds": copy.local.p50_ns / 1e9,
    }
    return factors_of(factors)
