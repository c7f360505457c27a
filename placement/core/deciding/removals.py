"""Removals into decisions: what leaves a region is planned, with its reason."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Final

from placement.core.deciding.desk import Desk
from placement.core.deciding.eviction import Removal
from placement.core.deciding.safety import refused
from placement.core.deciding.storehouse import Estate
from placement.core.deciding.sweep import last_tick
from placement.core.event import Event, EvictionPlanned, Identifier, Name, Text, TimeNs

OPEN_MAX: Final = 100
"""So many removals from one region are open at once."""
TEXT_LENGTH_MAX: Final = 1_000


def planned_removals(
    desk: Desk, removals: Iterable[Removal], publisher: str
) -> Iterator[Event]:
    """Yield the decisions to carry out *removals* from one region, in their order.

    Each is asked about again, since *removals* may be of some moments ago. None while
    the policy only observes, or one was ordered that cannot be read.
    """
    if desk.guardrails.observes or desk.ruling.refused:
        return
    estate = Estate(desk.network, desk.guardrails)
    safe = (removal for removal in removals if _is_safe(desk, estate, removal))
    for removal in islice(safe, OPEN_MAX):
        yield _planned(desk, removal, publisher)


def _is_safe(desk: Desk, estate: Estate, removal: Removal) -> bool:
    state, image = desk.state, removal.image
    region = state.regions.find(removal.region.encode())
    if len(state.indexes.decisions.removals_from(region)) >= OPEN_MAX:
        return False
    placement = state.find_placement(image.repository, image.digest)
    return not refused(estate, placement, removal.region)


def _planned(desk: Desk, removal: Removal, publisher: str) -> Event:
    network, image = desk.network, removal.image
    served = (
        r for r in network.topology.regions if network.storage(r) == removal.region
    )
    sequence = last_tick(desk.state)
    rests_on = (
        image.repository,
        image.digest,
        removal.region,
        str(sequence),
        desk.ruling.digest,
        desk.epoch,
    )
    named = "\n".join(rests_on).encode()
    own_id = Identifier(f"e-{blake2b(named, digest_size=12).hexdigest()}")
    fact = EvictionPlanned(
        own_id,
        image.repository,
        image.digest,
        removal.region,
        Text(removal.reason),
        removal.reclaimed_bytes,
        removal.factors,
        Name(desk.ruling.label),
        tuple(sorted(served)),
        Text(removal.explanation[:TEXT_LENGTH_MAX]),
        sequence,
        TimeNs(desk.now_ns + desk.guardrails.limits.decision_ns),
    )
    return Event(own_id, removal.region, fact, publisher=Name(publisher))
