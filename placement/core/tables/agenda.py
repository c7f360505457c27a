"""What became due while the log was folded; derived, never saved.

A planner takes it and decides. What one process took another one has noted as well, and
what is lost in a restart is found again by the regular look at everything.
"""

from typing import Final, NamedTuple

from placement.core.facts.values import ReplicationTrigger
from placement.core.tables.table import Row

DUE_MAX: Final = 65_536
"""Notes kept; the oldest are left out."""
UPLOADS_MAX: Final = 65_536
"""Contents that wait for a manifest; the oldest are left out."""


class Due(NamedTuple):
    """A content to decide about: a placement, why, and since which message."""

    placement: Row
    trigger: ReplicationTrigger
    sequence: int
    time_ns: int = 0
    """When that was; 0 means just now."""


class Agenda:
    """What became due since it was taken; of each reason for a placement the newest."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._due: dict[tuple[Row, ReplicationTrigger], Due] = {}
        self._uploads: dict[Row, dict[Row, None]] = {}
        self._upload_count = 0

    def note(
        self,
        placement: Row,
        trigger: ReplicationTrigger,
        sequence: int,
        time_ns: int = 0,
    ) -> None:
        """Note that a placement is to be decided about, since *time_ns*."""
        self._due.pop((placement, trigger), None)
        self._due[placement, trigger] = Due(placement, trigger, sequence, time_ns)
        if len(self._due) > DUE_MAX:
            del self._due[next(iter(self._due))]

    def note_again(self, due: Due) -> None:
        """Note what was taken and not decided, unless something newer is noted."""
        self._due.setdefault((due.placement, due.trigger), due)

    def take(self) -> list[Due]:
        """Return what became due since the last call, in the order of the log."""
        taken = list(self._due.values())
        self._due.clear()
        return taken

    def __len__(self) -> int:
        """Return how many reasons wait."""
        return len(self._due)

    # Layers that arrive before their manifest.

    def note_upload(self, repository: Row, placement: Row) -> None:
        """Note that content arrived which no manifest of the repository names yet."""
        uploads = self._uploads.setdefault(repository, {})
        if placement not in uploads:
            uploads[placement] = None
            self._upload_count += 1
        if self._upload_count > UPLOADS_MAX:
            self._forget(next(iter(self._uploads)))

    def named(self, repository: Row, placement: Row) -> None:
        """Note that a manifest names the content, which waits no more."""
        uploads = self._uploads.get(repository, {})
        if uploads.pop(placement, 0) is None:
            self._upload_count -= 1
            if not uploads:
                del self._uploads[repository]

    def uploads_of(self, repository: Row) -> list[Row]:
        """Return what arrived in the repository and waits for its manifest."""
        return list(self._uploads.get(repository, ()))

    def _forget(self, repository: Row) -> None:
        self._upload_count -= len(self._uploads.pop(repository, ()))
