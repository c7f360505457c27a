"""An export, from where it stands to where the log ends: what was asked for, done.

The log is folded from its start, since what an event meant depends on all before it:
quickly up to where the export stands, then one event after another. Files are cut where
the log alone says so, after so many events, and the manifest is written after each cut.
So an export that was killed anywhere goes on from the last cut, and ends with the same
files; nothing of it depends on a clock.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from placement.core.counts import DAY_NS
from placement.core.deciding.ruling import ruling_in_force
from placement.core.errors import InputError
from placement.core.fold import FOLD_VERSION
from placement.core.state import State
from placement.export.bounds import Bound, first_from, last_before, told_bound
from placement.export.directory import Segment, check_free, clear_strays, taken
from placement.export.hidden_names import NameKey
from placement.export.known_bad import EPOCH_BREAK, GAP, QUARANTINED, interval
from placement.export.manifest import (
    Epoch,
    Manifest,
    OutcomeVersion,
    Parameters,
    load_manifest,
    save_manifest,
    save_text,
)
from placement.export.meaning import Told
from placement.export.outcomes import Version, outcome_rows
from placement.export.telling import Teller
from placement.export.views import VIEWS, view_statements
from placement.ports import EventLog, Message
from placement.runtime.quarantine import Quarantine, read_quarantine
from placement.runtime.replay import fold_log
from placement.wire.events import message_hash
from placement.wire.unread import message_region

EVENTS_PER_FILE: Final = 2**19
Progress = Callable[[str, int, int], None]
"""Called with what is done, how many messages of how many, now and then."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be exported, and where to."""

    directory: Path
    since: Bound | None = None
    until: Bound | None = None
    key: NameKey | None = None
    events_per_file: int | None = None
    """None: as before, or EVENTS_PER_FILE."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to."""

    manifest: Manifest
    messages: int
    """How many were new."""


async def export(log: EventLog, wanted: Wanted, progress: Progress) -> Exported:
    """Export what the directory has not yet of *log*; raises InputError."""
    with taken(wanted.directory):
        manifest = load_manifest(wanted.directory)
        return await _Export(log, wanted, manifest, progress).run()


class _Export:
    """One run of an export."""

    def __init__(
        self,
        log: EventLog,
        wanted: Wanted,
        manifest: Manifest | None,
        progress: Progress,
    ) -> None:
        self._log = log
        self._wanted = wanted
        self._directory = wanted.directory
        self._known = manifest
        self._manifest = manifest or Manifest()
        self._progress = progress
        self._quarantine = Quarantine()
        self._position = 0, 0
        """The last message exported, or folded before, and the log's time there."""

    async def run(self) -> Exported:
        status = await self._log.status()
        self._manifest = await self._begun()
        clear_strays(self._directory, self._manifest.files)
        if self._known is None:
            self._publish(self._manifest)
        epoch = await self._epoch(status.epoch, status.last_sequence)
        last = status.last_sequence
        if self._wanted.until is not None:
            last = await last_before(self._log, status, self._wanted.until)
        first = max(self._since(epoch), epoch.last_sequence + 1)
        self._quarantine = await read_quarantine(self._log)
        before = min(first - 1, max(last, epoch.last_sequence))
        _, state = await fold_log(
            self._log, before, lambda done, of: self._progress("folding", done, of)
        )
        count = max(0, last - max(first, status.first_sequence) + 1)
        if count:
            after = max(state.sequence, status.first_sequence - 1)
            epoch = await self._messages(state, epoch, after, last)
        if state.sequence:
            self._outcomes(state, epoch)
        self._publish(self._manifest)
        return Exported(self._manifest, count)

    async def _begun(self) -> Manifest:
        """Return the manifest to go on with; raises InputError where that cannot be."""
        wanted, known = self._wanted, self._known
        key = "" if wanted.key is None else wanted.key.fingerprint
        if known is None:
            check_free(self._directory)
            since = 1
            _, time_ns = wanted.since or (1, 0)
            if wanted.since is not None:
                status = await self._log.status()
                since = await first_from(self._log, status, wanted.since)
            size = wanted.events_per_file or EVENTS_PER_FILE
            return Manifest(since, time_ns, key, size)
        if known.fold_version != FOLD_VERSION:
            said = (
                f"{self._directory} (fold version {known.fold_version}, and this "
                f"program's is {FOLD_VERSION})"
            )
            remedy = "events mean something else now: export into a new directory"
            raise InputError("DIRECTORY", said, remedy)
        another = "as it was begun, or another directory"
        if known.hashed_by != key:
            said = "with that key" if known.hashed_by else "without hashing"
            remedy = f"the export was begun {said}: go on with it, or give {another}"
            raise InputError("--hash-names", str(self._directory), remedy)
        if wanted.since is not None and not known.begins_at(wanted.since):
            said = told_bound(wanted.since)
            remedy = f"the export began at {known.since_sequence}: give {another}"
            raise InputError("--since", said, remedy)
        size = wanted.events_per_file or known.events_per_file
        return replace(known, events_per_file=size)

    def _since(self, epoch: Epoch) -> int:
        """Return from where to tell: later logs count anew, and are told whole."""
        return self._manifest.since_sequence if epoch.number == 1 else 1

    async def _epoch(self, name: str, log_last: int) -> Epoch:
        """Return the log to go on with: the one before, or a new one."""
        known = self._manifest.epoch
        if known is not None and known.name == name:
            same = log_last >= known.last_sequence
            if same and known.last_sequence:
                message = await self._log.message(known.last_sequence)
                same = message is None or message_hash(message).hex() == known.mark
            if same:
                return known
        number = 1 if known is None else known.number + 1
        return Epoch(number, name, 0, 0, 0, "")

    async def _messages(
        self, state: State, epoch: Epoch, after: int, last: int
    ) -> Epoch:
        """Export what follows *after*, in segments; return how far it is."""
        self._position = state.sequence or epoch.last_sequence, state.store_time_ns
        teller = Teller(state, epoch.number, self._quarantine.skipped)
        segment = Segment(self._directory, epoch.number, self._wanted.key)
        events = 0
        try:
            async for batch in self._log.read(after, epoch.name):
                wanted = [one for one in batch if one.sequence <= last]
                for message, count, rows in teller.told(wanted):
                    self._write(segment, epoch, message, rows)
                    await asyncio.sleep(0)  # the connection has to be kept alive
                    epoch = _advanced(epoch, message)
                    events += count
                    if events >= self._manifest.events_per_file:
                        self._commit(epoch, segment)
                        events = 0
                self._progress("exporting", self._position[0] - after, last - after)
                if self._position[0] >= last or not batch:
                    break
            self._commit(epoch, segment)
        finally:
            segment.abandon()
        return epoch

    def _write(
        self, segment: Segment, epoch: Epoch, message: Message, rows: Iterable[Told]
    ) -> None:
        """Write what one message tells."""
        _, now_ns = self._position
        # The log's time never steps back, whatever its clock does.
        now_ns = max(now_ns, message.store_time_ns)
        segment.begin(message.sequence, now_ns // DAY_NS)
        for row in self._gaps(epoch, message):
            segment.add("intervals", row)
        for table, row in rows:
            segment.add(table, row)
        self._position = message.sequence, now_ns

    def _gaps(self, epoch: Epoch, message: Message) -> Sequence[dict[str, object]]:
        """Return what is known to be missing before a message, or of it."""
        found = []
        sequence, now_ns = self._position
        place, time_ns = (epoch.number, message.sequence), message.store_time_ns
        missing = message.sequence - sequence - 1
        if missing > 0:
            span_ns = epoch.last_store_time_ns, time_ns
            found.append(interval(GAP, place, span_ns, missed=missing))
        if epoch.number > 1:
            ended_ns = self._ended_ns(epoch)
            if now_ns <= ended_ns < time_ns:
                found.append(interval(EPOCH_BREAK, place, (ended_ns, time_ns)))
        skipped = self._quarantine.skipped(message.sequence)
        if skipped:
            region, count = message_region(message), len(skipped)
            span_ns = time_ns, time_ns + 1_000
            found.append(
                interval(QUARANTINED, place, span_ns, region=region, missed=count)
            )
        return found

    def _ended_ns(self, epoch: Epoch) -> int:
        """Return when the last message was stored in the log before *epoch*."""
        before = (e for e in self._manifest.epochs if e.number < epoch.number)
        return max((each.last_store_time_ns for each in before), default=0)

    def _commit(self, epoch: Epoch, segment: Segment) -> None:
        self._publish(self._manifest.with_epoch(epoch, segment.committed()))

    def _outcomes(self, state: State, epoch: Epoch) -> None:
        """Tell what came of decisions, unless nothing happened since it was told."""
        versions = self._manifest.outcome_versions
        known = versions[-1] if versions else None
        here = epoch.number, state.sequence
        if known is not None and (known.epoch, known.as_of_sequence) == here:
            return
        same_log = known is not None and known.epoch == epoch.number
        after_ns = known.as_of_time_ns if known is not None and same_log else 0
        number, now_ns = len(versions) + 1, state.store_time_ns
        version = Version(number, *here, now_ns, after_ns)
        segment = Segment(self._directory, epoch.number, self._wanted.key)
        segment.begin_version(number, state.sequence)
        for row in outcome_rows(state, version):
            segment.add("outcomes", row)
        policy = ruling_in_force(state, now_ns).policy
        hidden = self._wanted.key.hider() if self._wanted.key else str
        # Also where nothing of it was told: who goes on has to know of this log.
        self._manifest = replace(
            self._manifest.with_epoch(epoch, segment.committed()),
            outcome_versions=(
                *versions,
                OutcomeVersion(number, epoch.number, state.sequence, now_ns),
            ),
            parameters=Parameters(
                hidden(policy.name),
                policy.kappa_bytes_per_second,
                policy.local_start_seconds,
            ),
        )
        segment.abandon()

    def _publish(self, manifest: Manifest) -> None:
        self._manifest = manifest
        save_manifest(self._directory, manifest)
        save_text(self._directory / VIEWS, view_statements(manifest))


def _advanced(epoch: Epoch, message: Message) -> Epoch:
    return replace(
        epoch,
        first_sequence=epoch.first_sequence or message.sequence,
        last_sequence=message.sequence,
        last_store_time_ns=max(epoch.last_store_time_ns, message.store_time_ns),
        mark=message_hash(message).hex(),
    )
