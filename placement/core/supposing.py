"""A state as it would be if some regions were down; for questions, which only read."""

from placement.core.event import RegionState
from placement.core.network import Network
from placement.core.state import State
from placement.core.tables.table import Row
from placement.core.topology import Region


class SupposedState(State):
    """Another state's tables, but for what operators said of some regions."""

    def __init__(self, state: State, down: frozenset[Region]) -> None:
        """Suppose that the regions *down* are out of use, whatever was said of them."""
        self.__dict__.update(vars(state))
        self._supposed = state
        self._down = down

    def region_state(self, region: Region, now_ns: int) -> RegionState:
        """Return DOWN for what is supposed to be, else what operators said."""
        if region in self._down:
            return RegionState.DOWN
        return self._supposed.region_state(region, now_ns)

    def region_state_at(self, row: Row, now_ns: int) -> RegionState:
        """Return ``region_state`` of a region's row, which may be ABSENT."""
        if row >= 0 and self.region_at(row) in self._down:
            return RegionState.DOWN
        return self._supposed.region_state_at(row, now_ns)


def suppose_down(network: Network, down: frozenset[Region]) -> Network:
    """Return the network of the same moment with the regions *down* out of use."""
    state = SupposedState(network.state, down)
    return Network(state, network.topology, network.now_ns, network.ways)
