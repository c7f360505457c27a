"""Where one more copy belongs of what a region that is out of use had."""

from placement.core.copies import Image
from placement.core.deciding.desk import Desk
from placement.core.decisions import is_open
from placement.core.event import RegionState
from placement.core.graph import standing
from placement.core.tables import cells
from placement.core.tables.cells import EVICTION, Decision, ReplicaPhase
from placement.core.tables.keys import PAIR
from placement.core.tables.table import Row
from placement.core.topology import Region


def repair_target(desk: Desk, placement: Row, image: Image) -> Region | None:
    """Return where *image* is to be copied, or None where nothing is to be repaired.

    Only what a drained or lost region has, or had when it was lost; what is current or
    runs; and only up to as many copies as there were, ``min_copies`` at the most. The
    home region comes first, then what is nearest to the region that was lost.
    """
    network, topology = desk.network, desk.network.topology
    there = _whole(desk, placement)
    active = RegionState.ACTIVE
    lost = [region for region in there if network.region_state(region) is not active]
    if not lost or not _matters(desk, placement, image):
        return None
    left = {region for region in there if region not in lost}
    left |= _coming(desk, placement)
    if len(left) >= min(desk.guardrails.limits.min_copies, len(there)):
        return None
    permitted = desk.permitted(image.repository)
    for region in (topology.home, *topology.serving_order(lost[0])):
        usable = region in permitted and network.region_state(region) is active
        if usable and region not in left and region not in there:
            return region
    return None


def _whole(desk: Desk, placement: Row) -> list[Region]:
    """Return the storage regions that hold all of the image, by code."""
    state, topology = desk.state, desk.network.topology
    owner, digest = map(Row, PAIR.unpack(state.placements.key(placement)))
    found = []
    for replica in state.replicas_of(placement):
        region = state.regions.find(replica.region.encode())
        arrived = replica.phase >= ReplicaPhase.COMPLETE
        stored = arrived and topology.stores(replica.region)
        if stored and standing(state, owner, digest, region).complete:
            found.append(replica.region)
    return found


def _coming(desk: Desk, placement: Row) -> set[Region]:
    """Return the regions that a decided copy of the image is on its way into."""
    state = desk.state
    return {
        state.region_at(Row(state.decisions.get(row, Decision.TARGET)))
        for row in state.indexes.decisions.of(placement)
        if is_open(state, row) and state.decisions.get(row, Decision.KIND) != EVICTION
    }


def _matters(desk: Desk, placement: Row, image: Image) -> bool:
    """Say whether the image is current or runs: a tag, its app or a machine says so."""
    state = desk.state
    owner, _ = PAIR.unpack(state.placements.key(placement))
    app = state.app_of(Row(owner))
    newest = state.apps.get(app, cells.App.NEWEST) if app >= 0 else 0
    runs = any(
        state.uses.get(state.uses.find(PAIR.pack(placement, region)), cells.Use.RUNNING)
        for region in state.indexes.users_of(placement)
    )
    return bool(image.tags) or newest == placement + 1 or runs
