"""What all decisions of one moment rest on: state, network, policy, log and time."""

from dataclasses import dataclass

from placement.core.deciding.guardrails import Guardrails
from placement.core.deciding.ruling import Ruling, ruling_in_force
from placement.core.forecast import Forecaster
from placement.core.network import Network
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables.table import Row
from placement.core.topology import Region, Topology


@dataclass(frozen=True, slots=True)
class Desk:
    """One moment of one log; *epoch* names the log."""

    network: Network
    ruling: Ruling
    forecaster: Forecaster
    epoch: str

    @property
    def state(self) -> State:
        """Return what is folded."""
        return self.network.state

    @property
    def now_ns(self) -> int:
        """Return the time of the moment."""
        return self.network.now_ns

    @property
    def guardrails(self) -> Guardrails:
        """Return what holds whatever pays."""
        return self.ruling.guardrails

    def permitted(self, repository: Repository) -> frozenset[Region]:
        """Return the storage regions that copies of *repository* may be in."""
        return self.guardrails.permitted(self.network.topology, repository)

    def organization_of(self, repository: Row) -> str:
        """Return the organization of a repository's row; empty where none is known."""
        app = self.state.app_of(repository)
        return self.state.app_name(app)[0] if app >= 0 else ""


def desk_at(state: State, topology: Topology, epoch: str, now_ns: int) -> Desk:
    """Return the desk of a moment, with the policy that is in force then."""
    ruling = ruling_in_force(state, now_ns)
    network = Network(state, topology, now_ns)
    return Desk(network, ruling, Forecaster(state, ruling.policy), epoch)
