"""Where to push: the upload now, and the copies onward to where the image will run."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from placement.core.copies import tagged_images
from placement.core.demand import reports_starts, started_within
from placement.core.estimate import Duration
from placement.core.event import Factor, RegionState
from placement.core.facts.values import factors_of
from placement.core.graph import contents, size_of
from placement.core.network import Network
from placement.core.oci import Repository
from placement.core.static_rule import MEMBER_DAYS
from placement.core.tables.table import ABSENT
from placement.core.topology import Region


@dataclass(frozen=True, slots=True)
class PushTarget:
    """A storage region to push to; *onward* is weighed by starts."""

    region: Region
    upload: Duration
    onward: Duration
    reason: str
    factors: tuple[Factor, ...]


def image_bytes(network: Network, repository: Repository) -> Generator[None, None, int]:
    """Return the size of the repository's largest tagged image; 0: none is known.

    Let others run at each step.
    """
    state = network.state
    owner = state.find_repository(repository)
    if owner == ABSENT:
        return 0
    largest = 0
    for image in tagged_images(state, [owner]):
        if image is not None:
            every = contents(state, state.find_digest(image.digest))
            largest = max(largest, size_of(state, every))
        yield
    return largest


def rank_push_targets(
    network: Network, repository: Repository, pusher: Region, size_bytes: int
) -> list[PushTarget]:
    """Return the storage regions to push *size_bytes* to, best first.

    By the expected upload plus the expected onward copy; ties by the region's code.
    Draining regions come last, and those that are down do not come at all.
    """
    members = _members(network, repository)
    found = [
        _target(network, region, pusher, size_bytes, members)
        for region in network.topology.serving_order(pusher)
        if network.serves(region)
    ]

    def key(target: PushTarget) -> tuple[bool, int, Region]:
        draining = network.region_state(target.region) is not RegionState.ACTIVE
        total_ns = target.upload.p50_ns + target.onward.p50_ns
        return (draining, total_ns, target.region)

    return sorted(found, key=key)


def _members(network: Network, repository: Repository) -> dict[Region, float]:
    """Return the storage regions where the app runs, each with its share of starts."""
    state = network.state
    owner = state.find_repository(repository)
    if owner == ABSENT or state.app_of(owner) == ABSENT:
        return {}
    counts: dict[Region, int] = {}
    app = state.app_of(owner)
    for row, _, count in started_within(state, app, network.now_ns, MEMBER_DAYS):
        region = state.region_at(row)
        if region in network.topology.regions:
            storage = network.storage(region)
            counts[storage] = counts.get(storage, 0) + max(1, count)
    total = sum(counts.values())
    return {region: counts[region] / total for region in sorted(counts)}


def _target(
    network: Network,
    region: Region,
    pusher: Region,
    size_bytes: int,
    members: dict[Region, float],
) -> PushTarget:
    upload = network.route(pusher, region).duration(size_bytes)
    p50 = p90 = 0.0
    for member, share in members.items():
        if member != region:
            onward = network.route(region, member).duration(size_bytes)
            p50 += share * onward.p50_ns
            p90 += share * onward.p90_ns
    factors = {
        "upload_seconds": upload.p50_ns / 1e9,
        "onward_seconds": p50 / 1e9,
        "starts_here_share": members.get(region, 0.0),
    }
    return PushTarget(
        region,
        upload,
        Duration(round(p50), round(p90)),
        _reason(network, region, pusher, list(members)),
        factors_of(factors),
    )


def _reason(
    network: Network, region: Region, pusher: Region, members: Sequence[Region]
) -> str:
    # Where nobody reports starts, pulls stand in, and the reason says so.
    used = "runs" if reports_starts(network.state) else "is pulled"
    near = "where the push is" if region == pusher else f"reached from {pusher}"
    if region in members:
        return f"{near}; the app {used} here"
    if members:
        return f"{near}; copied on to {', '.join(members)}, where the app {used}"
    return f"{near}; nobody has reported where the app runs"
