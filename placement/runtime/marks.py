"""What a run notes for the next one: how far answers went, and where folding failed.

A checkpoint is older than the newest answers. So before an answer can rest on a
message, the position is noted in a way that outlives the process: a log that was
rewound behind our back, while we were dead, is then recognised by the message that it
lost, even when the checkpoint itself still fits.
"""

import structlog

from placement.ports import CheckpointUnwritableError, RunRecord, RunRecords
from placement.runtime.epochs import (
    Position,
    Standing,
    identity,
    rewind_count,
    succeeding,
)
from placement.runtime.line import Line
from placement.runtime.quarantine import failed

log_events = structlog.get_logger(__name__)


class Unkept:
    """RunRecords for who wants none: it forgets with the object."""

    def __init__(self) -> None:
        """Hold an empty record."""
        self._record = RunRecord()

    def load(self) -> RunRecord:
        """Return the record."""
        return self._record

    def note(self, record: RunRecord) -> None:
        """Remember *record*."""
        self._record = record

    def keep(self, record: RunRecord) -> None:
        """Remember *record*."""
        self._record = record


class Marks:
    """One service's RunRecord, as it changes."""

    def __init__(self, records: RunRecords) -> None:
        """Go on with what the last run left in *records*."""
        self._records = records
        self.record = records.load()

    @property
    def position(self) -> Position:
        """The furthest position that any answer of the newest epoch rested on."""
        record = self.record
        return Position(record.epoch, record.sequence, record.message_hash)

    def furthest(self, position: Position) -> Position:
        """Return *position*, or ours if it is further in the same epoch."""
        marked = self.position
        same = marked.epoch == position.epoch
        return marked if same and marked.sequence > position.sequence else position

    def name(self, folded: Position, folded_is: Standing, marked_is: Standing) -> str:
        """Return what to call the log's present epoch.

        The newest name of this log that is known, unless the log lost what was folded
        under it: then a new one.
        """
        known = [(folded, folded_is), (self.position, marked_is)]
        epoch = folded_is.status.epoch
        ours = [pair for pair in known if identity(pair[0].epoch) == epoch]
        if not ours:
            return epoch
        newest = max(ours, key=lambda p: (rewind_count(p[0].epoch), p[0].sequence))
        position, standing = newest
        return succeeding(position) if standing.rewound else position.epoch

    def note(self, line: Line) -> None:
        """Note how far a shown line is; the disk is not waited for."""
        record, position = self.record, line.position
        if position.epoch == record.epoch and position.sequence <= record.sequence:
            return
        self.record = RunRecord(
            *(position.epoch, position.sequence, position.message_hash),
            *(record.failed_sequence, record.failed_count, record.failed_reason),
        )
        self._records.note(self.record)

    def begin(self, epoch: str) -> None:
        """Keep the name of a new epoch, of which no answer was given yet."""
        if epoch != self.record.epoch:
            self._keep(RunRecord(epoch))  # what failed was in another epoch

    def passed(self, line: Line) -> None:
        """Forget a failure once *line* has folded the message in this run."""
        record = self.record
        if line.first_sequence <= record.failed_sequence <= line.state.sequence:
            self._keep(RunRecord(record.epoch, record.sequence, record.message_hash))

    def fail(self, sequence: int, reason: str) -> None:
        """Keep that this run ends while message *sequence* is folded."""
        self._keep(failed(self.record, sequence, reason))

    def _keep(self, record: RunRecord) -> None:
        self.record = record
        try:
            self._records.keep(record)
        except CheckpointUnwritableError as error:
            log_events.warning("run_record_failed", reason=str(error))
