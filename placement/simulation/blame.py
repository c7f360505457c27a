"""Why a start does not find its image, as the simulation itself knows it.

Kept beside the log, from what was decided and what became of it; so that the reasons
that the fold finds can be held against it.
"""

from placement.core.event import (
    Fact,
    ReplicationCancelled,
    ReplicationExpired,
    ReplicationPlanned,
    ReplicationWithheld,
    WithholdReason,
)
from placement.core.oci import Digest, Repository
from placement.core.tables.cells import StartOutcome
from placement.core.topology import Region

_WITHHELD = {
    WithholdReason.CONTROL_GROUP: StartOutcome.CONTROL_GROUP,
    WithholdReason.OBSERVE_ONLY: StartOutcome.OBSERVE_ONLY,
    WithholdReason.OVER_BUDGET: StartOutcome.OVER_BUDGET,
}
_Place = tuple[Repository, Digest, Region]


class Blame:
    """The last decision for starts of an image in a region, and what became of it."""

    def __init__(self) -> None:
        """Begin with no decision."""
        self._last: dict[_Place, str] = {}
        self._ends: dict[str, StartOutcome] = {}

    def decided(self, fact: Fact) -> None:
        """Take note of a decision; a copy is late until it is complete."""
        match fact:
            case ReplicationPlanned():
                self._note(fact, StartOutcome.PREDICTED_LATE)
            case ReplicationWithheld():
                self._note(fact, _WITHHELD[fact.cause])
            case ReplicationExpired():
                own_id = fact.subject.replication_id
                self.ended(own_id, StartOutcome.COPY_EXPIRED)
            case ReplicationCancelled():
                self.ended(fact.subject.replication_id, StartOutcome.CANCELLED)
            case _:
                pass

    def ended(self, replication_id: str, end: StartOutcome) -> None:
        """Take note of what became of a decision."""
        self._ends[replication_id] = end

    def of(
        self, repository: Repository, digest: Digest, region: Region
    ) -> StartOutcome:
        """Return why the image is not there for a start in *region*."""
        last = self._last.get((repository, digest, region))
        return StartOutcome.NEVER_PREDICTED if last is None else self._ends[last]

    def _note(
        self, fact: ReplicationPlanned | ReplicationWithheld, end: StartOutcome
    ) -> None:
        subject = fact.subject
        self._ends[subject.replication_id] = end
        for region in fact.start_regions:
            place = (subject.repository, subject.digest, region)
            self._last[place] = subject.replication_id
