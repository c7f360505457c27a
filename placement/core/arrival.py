"""Whether an image is where it is wanted, and how long until it is."""

from dataclasses import dataclass
from enum import IntEnum

from placement.core.decisions import decision_status
from placement.core.estimate import Duration
from placement.core.fetch import Fetch, plan_fetch
from placement.core.graph import variants
from placement.core.network import Network
from placement.core.oci import Digest
from placement.core.tables.cells import DecisionStatus, ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region


class Arrival(IntEnum):
    """Whether an image is where it is wanted."""

    UNWANTED = 1
    WANTED = 2
    UNDER_WAY = 3
    READY = 4


@dataclass(frozen=True, slots=True)
class Expectation:
    """When an image can be pulled whole in a storage region.

    *ready* is zero when it can now, and None when something has no source.
    """

    arrival: Arrival
    ready: Duration | None
    source: Region | None


def expect(network: Network, owner: Row, digest: Digest, region: Region) -> Expectation:
    """Return when the image is ready in *region*, for the platform that is first.

    *region* is in the catalogue and stores.
    """
    state = network.state
    fetches = [
        plan_fetch(network, [(owner, rows)], region)
        for _, rows in variants(state, state.find_digest(digest))
    ]
    fetch = min(fetches, key=_soonest)
    arrival = arrival_of(network, owner, digest, fetch)
    if arrival is Arrival.READY:
        return Expectation(arrival, Duration(0, 0), None)
    return Expectation(arrival, fetch.duration, fetch.main_source)


def _soonest(fetch: Fetch) -> tuple[bool, bool, int, int]:
    lacking = any(not content.present for content in fetch.contents)
    wait_ns = 0 if fetch.duration is None else fetch.duration.p50_ns
    return (lacking, fetch.duration is None, wait_ns, fetch.missing_bytes)


def arrival_of(network: Network, owner: Row, digest: Digest, fetch: Fetch) -> Arrival:
    """Return how far the image has come in the storage region of *fetch*."""
    state = network.state
    if not any(not content.present for content in fetch.contents):
        return Arrival.READY
    region = state.regions.find(fetch.storage.encode())
    placement = state.placements.find(PAIR.pack(owner, state.find_digest(digest)))
    if ABSENT in (region, placement):
        return Arrival.UNWANTED
    status = decision_status(state, placement, region)
    moving = any(
        _begun(network, owner, content.content, region) for content in fetch.contents
    )
    if status is DecisionStatus.STARTED or moving:
        return Arrival.UNDER_WAY
    wanted = state.wanted.find(PAIR.pack(placement, region)) != ABSENT
    if status is DecisionStatus.PLANNED or wanted:
        return Arrival.WANTED
    return Arrival.UNWANTED


def _begun(network: Network, owner: Row, content: Row, region: Row) -> bool:
    state = network.state
    placement = state.placements.find(PAIR.pack(owner, content))
    if placement == ABSENT:
        return False
    phase = state.phase(placement, region)
    return phase in {ReplicaPhase.ANNOUNCED, ReplicaPhase.PARTIAL}
