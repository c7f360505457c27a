"""RunRecords on a simulated disk: what is only noted may be lost with the power.

As the real ones, they are written over in place, which a full disk cannot refuse.
"""

from random import Random

from placement.ports import CheckpointUnwritableError, RunRecord
from tests.simulator.disk import DiskFaults
from tests.simulator.process import require_alive


class DiskRunRecords:
    """RunRecords that outlive a process, and the power if they were kept."""

    def __init__(self, faults: DiskFaults) -> None:
        """Hold an empty record, on a disk with *faults*."""
        self._faults = faults
        self._since_kept = [RunRecord()]
        """The record that was kept last, and those noted since, newest last."""

    def load(self) -> RunRecord:
        """Return the newest record."""
        return self._since_kept[-1]

    def note(self, record: RunRecord) -> None:
        """Remember *record*."""
        require_alive()
        self._since_kept.append(record)

    def keep(self, record: RunRecord) -> None:
        """Remember *record* for good; raises CheckpointUnwritableError."""
        require_alive()
        if self._faults.dying:
            message = "the simulated disk fails"
            raise CheckpointUnwritableError(message)
        self._since_kept = [record]

    def lose_power(self, random: Random) -> None:
        """Forget some of what was noted last: all of it, some, or by luck nothing."""
        kept = random.randint(1, len(self._since_kept))
        self._since_kept = [self._since_kept[kept - 1]]
