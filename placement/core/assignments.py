"""What a replicator sees of the state: what to carry out in its region, or not."""

from collections.abc import Iterator
from dataclasses import dataclass

from placement.core.deciding.ruling import ruling_in_force
from placement.core.deciding.safety import refusal
from placement.core.decisions import DecisionRecord, decision_at
from placement.core.network import Network
from placement.core.oci import Digest, Repository
from placement.core.orders import is_over
from placement.core.state import State
from placement.core.tables.cells import Decision, DecisionStatus
from placement.core.tables.changes import Changes
from placement.core.tables.table import Row
from placement.core.topology import Region, Topology
from placement.core.watched import RowScene, Watchable


@dataclass(frozen=True, slots=True)
class Assigned:
    """Something to carry out: a copy, or a removal that is safe just now."""

    decision: DecisionRecord
    repository: Repository
    digest: Digest
    media_type: str

    @property
    def gone(self) -> bool:
        """Whether whoever watches may forget it."""
        return False


@dataclass(frozen=True, slots=True)
class Closed:
    """Something that is not to be carried out any more, or not now."""

    replication_id: str
    status: DecisionStatus

    @property
    def gone(self) -> bool:
        """Whether whoever watches may forget it."""
        return True


Assignment = Assigned | Closed


@dataclass(frozen=True, slots=True)
class Duties(Watchable[Assignment]):
    """What is to be carried out in a region: copies into it, and perhaps removals."""

    region: Region
    topology: Topology
    removals: bool = False

    @property
    def trusting(self) -> bool:
        """Whether it is told what is known, however old that is: never."""
        return False

    def select(self, state: State) -> "Assignments":
        """Return what is to be carried out by what *state* holds."""
        return Assignments(state, self)


@dataclass(frozen=True, slots=True)
class Assignments(RowScene[Assignment]):
    """The duties of one region in one state."""

    state: State
    duties: Duties

    @property
    def changes(self) -> Changes:
        """Return the notes of the decisions that changed."""
        return self.state.indexes.decisions.changes

    def rows(self) -> Iterator[tuple[Row, bool]]:
        """Yield open decisions: copies by priority and age, then removals by age."""
        state, index = self.state, self.state.indexes.decisions
        target = state.regions.find(self.duties.region.encode())
        found = index.copies_into(target)
        removals = index.removals_from(target) if self.duties.removals else []
        for rows in (found, removals):
            for row in sorted(rows, key=self._rank):
                yield row, False

    def _rank(self, row: Row) -> tuple[int, int, bytes]:
        decisions = self.state.decisions
        priority = decisions.get(row, Decision.PRIORITY)
        return (
            priority,
            decisions.get(row, Decision.SEQUENCE),
            decisions.key(row),
        )

    def look(self, row: Row, now_ns: int, *, is_tag: bool) -> Assignment | None:
        """Return how a decision stands; None: it is none of this region's business."""
        del is_tag  # all rows are decisions
        record = decision_at(self.state, row)
        if record.target != self.duties.region:
            return None
        if record.removal and not self.duties.removals:
            return None
        if record.status in {DecisionStatus.WITHHELD, DecisionStatus.DEFERRED}:
            return None  # it was never to be carried out
        over = not record.open or is_over(record.expire_ns, now_ns)
        if over or (record.removal and self.unsafe(record, now_ns)):
            return Closed(record.replication_id, record.status)
        repository, digest = self.state.placement_at(record.placement)
        media_type = self.state.media_type(self.state.content_of(record.placement))
        return Assigned(record, repository, digest, media_type)

    def unsafe(self, record: DecisionRecord, now_ns: int) -> str:
        """Return why what is to be removed has to stay; empty when it may leave."""
        network = Network(self.state, self.duties.topology, now_ns)
        return unsafe_removal(network, record)


def unsafe_removal(network: Network, record: DecisionRecord) -> str:
    """Return why a removal is not safe now, a key of safety's REFUSALS; else ``""``."""
    guardrails = ruling_in_force(network.state, network.now_ns).guardrails
    return refusal(network, guardrails, record.placement, record.target)
