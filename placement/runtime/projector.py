"""The loop: read the log, fold it, let answers see it, and save it now and then.

One line is shown: answers read it. When its state is no fold of the log as it is now,
a second line folds the log from its start beside it and takes its place in one step of
the loop, so that answers never pause and no half-made state is seen:

- a checkpoint of another fold version, or a message put in quarantine: the shown line
  goes on, LIVE, and is not saved any more, so a crash begins where this run began;
- a log that was rewound or replaced: the shown line stands still, EPOCH_BROKEN, and is
  saved once more; at the swap that checkpoint is put aside.

``succession`` says when the swap may be, ``epochs`` how the new epoch is called, and
``quarantine`` what becomes of a message that cannot be folded. A log without beginning
is refused at the start, and EPOCH_BROKEN later, unless ``accept_partial_log`` is set.
"""

import asyncio
from dataclasses import dataclass, replace
from functools import partial

import structlog

from placement.core.fold import FOLD_VERSION
from placement.core.state import State
from placement.core.topology import Region
from placement.faults import FaultPoint, reach
from placement.offers import Offer, SharedCopies
from placement.ports import (
    CheckpointDamagedError,
    CheckpointStore,
    Clock,
    EventLog,
    LogUnavailableError,
    RunRecords,
)
from placement.runtime.bootstrap import Bootstrap
from placement.runtime.epochs import (
    Breach,
    Standing,
    inspect,
    require_whole,
    succeeding,
)
from placement.runtime.keeper import Cadence, Keeper
from placement.runtime.line import Line
from placement.runtime.lines import Lines, Parts, first_error
from placement.runtime.marks import Marks, Unkept
from placement.runtime.quarantine import FoldFailedError, quarantine_if_due
from placement.runtime.reaching import reached
from placement.runtime.sharing import offer_of
from placement.runtime.slices import hurrying
from placement.runtime.succession import Rebuild
from placement.runtime.taking_over import taken_over
from placement.runtime.view import View

WATCH_SECONDS = 1.0
"""How often the log is asked what it is and how far it reaches."""

GONE = "its beginning is gone: restart with accept_partial_log, or restore a store"

log_events = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProjectorSettings:
    """When to save, and what an operator accepts."""

    checkpoint_interval_seconds: float = 5.0
    checkpoint_message_count: int = 20_000
    accept_partial_log: bool = False
    fold_version: int = FOLD_VERSION
    """By which rules states are folded; a test may say that they are others."""
    home_region: Region = Region("home")  # noqa: RUF009 - a name for a string
    """Quarantines a message whose subject names no region."""
    seed: int = 0
    """Of the tables' hash: a secret, so that nobody can choose digests that collide."""


class Projector:
    """Keeps a view up to date with a log, and a checkpoint behind it."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument a port, and the settings
        self,
        log: EventLog,
        store: CheckpointStore,
        view: View,
        clock: Clock,
        settings: ProjectorSettings,
        records: RunRecords | None = None,
    ) -> None:
        """Write *view* from *log* and *store*; nothing happens until ``run``.

        Without *records*, a run knows of the one before what the checkpoint says.
        """
        self._log = log
        self._view = view
        self._clock = clock
        self._settings = settings
        self._marks = Marks(records or Unkept())
        cadence = Cadence(
            settings.checkpoint_interval_seconds, settings.checkpoint_message_count
        )
        self._keeper = Keeper(store, view, cadence, settings.fold_version)
        marks, keeper = self._marks, self._keeper
        self._lines = Lines(Parts(log, view, clock, marks, keeper, settings.seed))
        self._foreign = ""
        """Why the checkpoint is not used; it is kept until folding anew may begin."""
        self._suspected: Line | None = None
        self.bootstrap: Bootstrap | None = None
        """Whom to ask for a checkpoint; None: nobody."""

    @property
    def folding(self) -> int:
        """The message that is being decoded or folded; 0 between messages."""
        beside = self._lines.beside
        return self._lines.shown.folding or (beside.line.folding if beside else 0)

    async def restore(self) -> None:
        """Answer from the checkpoint, if there is one that can be believed."""
        loaded = await self._keeper.load()
        if loaded is None:
            return
        (header, restored), ours = loaded, self._settings.fold_version
        of_this_version = header.fold_version == ours
        another = f"fold version {header.fold_version}, ours is {ours}"
        try:
            state = restored.state()
        except CheckpointDamagedError as error:
            if of_this_version:
                await self._keeper.discard(str(error))
            else:
                self._foreign = f"{another}: {error}"
            return
        if not of_this_version:
            self._lines.outdated = another
        line = Line(self._log, state, header.epoch, shown=True)
        self._lines.show(line, restored=True)
        self._keeper.loaded(line)
        log_events.info("checkpoint_loaded", sequence=state.sequence)

    async def run(self) -> None:
        """Fold for ever.

        Raises LogReplacedError when that can never begin, and FoldFailedError or
        CheckpointFsyncError when the process must end.
        """
        lines = self._lines
        error: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                lines.run_in(group)
                await self._begin()
                group.create_task(self._watch())
                group.create_task(self._keeper.save_regularly(lambda: lines.to_save))
        except BaseExceptionGroup as errors:
            error = first_error(errors)
        if isinstance(error, FoldFailedError):
            log_events.error("fold_failed", sequence=error.sequence)
            self._marks.fail(error.sequence, str(error))
            await self._set_aside_if_due()
        if error is not None:
            raise error

    async def finish(self) -> None:
        """Save what is folded, once folding has stopped."""
        line = self._lines.to_save
        if line is not None:
            with hurrying():
                await self._keeper.save(line)

    # The beginning.

    async def _begin(self) -> None:
        """Decide from what to go on, and under which name."""
        lines = self._lines
        reach_log = partial(reached, self._log, lines, self._marks)
        folded, marked = await reach_log(WATCH_SECONDS)
        if self.bootstrap and await taken_over(
            self.bootstrap, folded, lines, self._keeper
        ):
            folded, marked = await reach_log(WATCH_SECONDS)
        line = lines.shown
        epoch = self._marks.name(line.position, folded, marked)
        anew = not line.state.sequence or folded.breach not in {None, Breach.REWOUND}
        if anew or folded.breach or lines.outdated:
            # Before anything is put aside: an older version may need it again.
            accept = self._settings.accept_partial_log
            require_whole(folded.status, accept_partial_log=accept)
        self._note(folded)
        self._marks.begin(epoch)
        await self._set_aside_if_due()
        if anew:
            why = self._foreign or folded.why
            if why:
                await self._keeper.discard(why)
            lines.outdated = ""
            state = State(self._settings.seed)
            lines.show(Line(self._log, state, epoch, shown=True), restored=False)
        elif folded.rewound:
            self._break(folded, epoch)
            return
        elif epoch != line.epoch:  # rewound, but not past what the checkpoint holds
            again = Line(self._log, line.state, epoch, shown=True)
            lines.show(again, restored=True)
        lines.follow_shown()

    async def offer(self, copies: SharedCopies) -> Offer:
        """Save and copy the checkpoint for others; raises CheckpointUnsharedError."""
        with hurrying():  # nothing is folded meanwhile
            return await offer_of((self._lines, self._keeper, self._view), copies)

    def _note(self, standing: Standing) -> None:
        """Note where the log begins, and whether it may be folded from there."""
        first = standing.status.first_sequence
        self._lines.first_sequence = first
        self._lines.may_fold_again = first <= 1 or self._settings.accept_partial_log

    # While it runs.

    async def _watch(self) -> None:
        """Ask the log every second, so that age and identity are known for sure.

        A cluster that elects a leader may err for a moment: only what is found twice
        breaks the epoch.
        """
        while True:
            await asyncio.sleep(0)
            broken = self._view.epoch_broken
            beside = self._lines.beside
            if not broken:
                await self._look(self._lines.shown, beside)
            elif beside is not None:
                await self._look(beside.line, beside)
            await asyncio.sleep(WATCH_SECONDS)

    async def _look(self, line: Line, beside: Rebuild | None) -> None:
        """Compare the log with *line*, which follows it."""
        time_ns, lines = self._clock(), self._lines
        position = self._marks.furthest(line.position)
        try:
            standing = await inspect(self._log, position)
        except LogUnavailableError:
            return
        if lines.beside is not beside or line not in lines:
            return  # another one was begun, or they were swapped
        if standing.breach is None and not line.lost:
            self._suspected = None
            self._found_whole(standing, line, time_ns - standing.status.unconfirmed_ns)
        elif self._suspected is line or (standing.breach and line.lost):
            self._suspected = None
            if standing.breach is None:
                standing = replace(standing, breach=Breach.TRIMMED, why=line.lost)
            epoch = succeeding(position) if standing.rewound else standing.status.epoch
            self._break(standing, epoch)
        else:
            self._suspected = line

    def _found_whole(self, standing: Standing, line: Line, time_ns: int) -> None:
        self._note(standing)
        last, beside = standing.status.last_sequence, self._lines.beside
        if line is self._lines.shown:
            self._view.reached(time_ns, last)
        if beside is not None:
            beside.target = (time_ns, last)
            if beside.line.lost:
                self._lines.begin_again(beside)

    def _break(self, standing: Standing, epoch: str) -> None:
        """Let the shown line stand still, and fold what the log is now beside it."""
        lines, before = self._lines, self._lines.beside
        lines.stop()
        self._note(standing)
        whole = standing.breach is not Breach.TRIMMED and lines.may_fold_again
        why = standing.why if whole else f"{standing.why}; {GONE}"
        log_events.error("epoch_broken", reason=why, becomes=epoch if whole else "")
        self._view.broken(why, epoch if whole else "")
        self._keeper.want()
        if whole:
            inventories = standing.breach is Breach.REPLACED or (
                before is not None and before.inventories
            )
            self._marks.begin(epoch)
            reach(FaultPoint.AFTER_EPOCH_BROKEN)
            lines.fold_beside(why, epoch, broken=True, inventories=inventories)

    # When a message cannot be folded.

    def note_blocked(self, reason: str) -> None:
        """Note, from any thread, that the process ends while a message is folded."""
        if self.folding:
            self._marks.fail(self.folding, reason)

    async def _set_aside_if_due(self) -> None:
        await quarantine_if_due(
            self._log, self._marks.record, self._settings.home_region
        )
