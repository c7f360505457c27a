"""The scheduler's question: how long would a machine wait for its images, where."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from placement.core.arrival import Arrival, arrival_of
from placement.core.estimate import Duration
from placement.core.event import Factor, RegionState
from placement.core.facts.values import factors_of
from placement.core.fetch import Fetch, plan_fetch
from placement.core.images import SelectedImage, counterparts
from placement.core.network import Network
from placement.core.oci import Digest, Repository
from placement.core.tables.cells import ReplicaPhase
from placement.core.tables.table import ABSENT
from placement.core.topology import Region

NEAR_EQUAL: Final = 1.1
"""Waits within a tenth of each other are no reason to prefer a region."""


@dataclass(frozen=True, slots=True)
class ImageWait:
    """What one image means for a start in one region."""

    repository: Repository
    digest: Digest
    phase: ReplicaPhase
    missing_bytes: int
    mountable_bytes: int
    source: Region | None
    arrival: Arrival


@dataclass(frozen=True, slots=True)
class StartEstimate:
    """How long a start would wait; *wait* is None when something has no source."""

    region: Region
    storage: Region
    wait: Duration | None
    images: tuple[ImageWait, ...]
    missing_bytes: int
    sample_count: int
    reason: str
    factors: tuple[Factor, ...]


def estimate_starts(
    network: Network,
    images: Sequence[SelectedImage],
    candidates: Sequence[Region],
    spread: str,
) -> list[StartEstimate]:
    """Return an estimate for each candidate, best first.

    Active regions first, then those that drain, then those that are down; of each, by
    expected wait. Regions whose waits are within a tenth of the best are in an order
    that *spread* chooses, so that a burst of callers does not herd; with an empty
    *spread* the wait alone decides. Ties go by code: the order is total.
    """
    found = [estimate_start(network, images, region) for region in candidates]
    return best_first(network, found, spread)


def estimating(
    network: Network,
    images: Sequence[SelectedImage],
    candidates: Sequence[Region],
    spread: str,
) -> Generator[None, None, list[StartEstimate]]:
    """Return what ``estimate_starts`` returns; let others run at each step."""
    found = []
    for region in candidates:
        found.append(estimate_start(network, images, region))
        yield
    return best_first(network, found, spread)


def best_first(
    network: Network, found: Sequence[StartEstimate], spread: str
) -> list[StartEstimate]:
    """Return estimates in the order that ``estimate_starts`` describes."""
    shortest: dict[RegionState, int] = {}
    for estimate in found:
        if estimate.wait is not None:
            state, p50_ns = network.region_state(estimate.region), estimate.wait.p50_ns
            shortest[state] = min(shortest.get(state, p50_ns), p50_ns)

    def key(estimate: StartEstimate) -> tuple[RegionState, bool, int, bytes, Region]:
        state, wait_ns = network.region_state(estimate.region), 0
        if estimate.wait is not None:
            near_ns = round(shortest[state] * NEAR_EQUAL) if spread else 0
            wait_ns = max(near_ns, estimate.wait.p50_ns)
        place = hashed(spread, estimate.region) if spread else b""
        return (state, estimate.wait is None, wait_ns, place, estimate.region)

    return sorted(found, key=key)


def hashed(spread: str, region: Region) -> bytes:
    """Return the place of *region* among its equals, for one caller."""
    return blake2b(f"{spread}\0{region}".encode(), digest_size=8).digest()


def estimate_start(
    network: Network, images: Sequence[SelectedImage], region: Region
) -> StartEstimate:
    """Return how long a start in *region* would wait for *images*."""
    chosen = [_best_counterpart(network, image, region) for image in images]
    if len(chosen) == 1:
        [(_, fetch)] = chosen
    else:
        owners = [(image.owner, image.contents) for image, _ in chosen]
        fetch = plan_fetch(network, owners, region)
    return StartEstimate(
        region,
        fetch.storage,
        fetch.duration,
        tuple(_image_wait(network, image, own) for image, own in chosen),
        fetch.missing_bytes,
        fetch.sample_count,
        _reason(fetch, region),
        _factors(network, fetch, region),
    )


def _best_counterpart(
    network: Network, image: SelectedImage, region: Region
) -> tuple[SelectedImage, Fetch]:
    """Return the one of an image's equivalents that *region* waits least for."""
    found = [
        (one, plan_fetch(network, [(one.owner, one.contents)], region))
        for one in counterparts(network.state, image)
    ]

    def waiting(pair: tuple[SelectedImage, Fetch]) -> tuple[bool, int, bool, str]:
        one, fetch = pair
        # Not by what is missing: a little from far away takes longer than more nearby.
        wait_ns = 0 if fetch.duration is None else fetch.duration.p50_ns
        converted = one.digest != image.digest
        return (fetch.duration is None, wait_ns, converted, one.digest)

    return min(found, key=waiting)


def _image_wait(network: Network, image: SelectedImage, fetch: Fetch) -> ImageWait:
    state = network.state
    storage_row = state.regions.find(fetch.storage.encode())
    placement = state.find_placement(image.selection.repository, image.digest)
    phase = ReplicaPhase.ABSENT
    if ABSENT not in {storage_row, placement}:
        phase = state.phase(placement, storage_row)
    return ImageWait(
        image.selection.repository,
        image.digest,
        phase,
        fetch.missing_bytes,
        fetch.mountable_bytes,
        fetch.main_source,
        arrival_of(network, image.owner, image.digest, fetch),
    )


def _reason(fetch: Fetch, region: Region) -> str:
    through = "" if fetch.storage == region else f" (stored in {fetch.storage})"
    if fetch.duration is None:
        return f"nobody is known to hold all of it{through}"
    if not fetch.missing_bytes:
        return f"all of it is there{through}"
    part = f"{fetch.missing_bytes:,} of {fetch.total_bytes:,} bytes"
    return f"{part} come from {fetch.main_source}{through}"


def _factors(network: Network, fetch: Fetch, region: Region) -> tuple[Factor, ...]:
    factors = {
        "total_bytes": float(fetch.total_bytes),
        "missing_bytes": float(fetch.missing_bytes),
        "mountable_bytes": float(fetch.mountable_bytes),
        "draining": float(network.region_state(region) is not RegionState.ACTIVE),
    }
    source = fetch.main_source
    if source is not None:
        route = network.route(source, fetch.storage)
        factors["source_bytes_per_second"] = 1 / route.seconds_per_byte
    return factors_of(factors)
