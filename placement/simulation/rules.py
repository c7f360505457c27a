"""The rules of a back-test's world: who serves whom, and how long bytes take."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from placement.core.counts import DAY_NS
from placement.core.errors import InputError
from placement.core.network import Network
from placement.core.state import State
from placement.core.topology import Region, Topology
from placement.simulation.assumptions import Assumptions
from placement.simulation.synthesis import SECOND_NS


@dataclass(frozen=True)
class Rules:
    """What holds in the world: the catalogue and what the assumptions declare."""

    topology: Topology
    local_wait_s: float
    live_ns: int
    """A region is live so long after a start in it."""
    down: frozenset[Region] = frozenset()
    _network: Network = field(init=False, repr=False, compare=False)
    _taken_s: dict[tuple[Region, Region, int], float] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check *down*; raises InputError for a region that is not in the catalogue."""
        for region in sorted(self.down):
            if region not in self.topology.regions:
                remedy = "name a region of the catalogue"
                raise InputError("down", region, remedy)
        if not any(self._stores(region) for region in self.topology.regions):
            remedy = "leave at least one storage region up"
            raise InputError("down", ",".join(sorted(self.down)), remedy)
        network = Network(State(), self.topology, 0)
        object.__setattr__(self, "_network", network)

    def _stores(self, region: Region) -> bool:
        return self.topology.stores(region) and region not in self.down

    def storage(self, region: Region) -> Region:
        """Return the storage region that serves the start region *region*."""
        return next(filter(self._stores, self.topology.serving_order(region)))

    def transfer_s(self, source: Region, target: Region, size_bytes: int) -> float:
        """Return how long *size_bytes* take: the core's own expectation, unlearned."""
        key = (source, target, size_bytes)
        found = self._taken_s.get(key)
        if found is None:
            expected = self._network.route(source, target).duration(size_bytes)
            found = self._taken_s[key] = expected.p50_ns / SECOND_NS
        return found


def rules_of(
    assumptions: Assumptions, topology: Topology, down: Iterable[Region] = ()
) -> Rules:
    """Return what *assumptions* declare; raises InputError as Rules does."""
    live_ns = round(assumptions.live_region_days * DAY_NS)
    return Rules(topology, assumptions.local_wait_s, live_ns, frozenset(down))
