"""The line that is shown, the one that may be folded beside it, and the swap."""

import asyncio
from dataclasses import dataclass

import structlog

from placement.core.state import State
from placement.core.tables.cells import Digest
from placement.core.tables.table import Row
from placement.faults import FaultPoint, reach
from placement.ports import Clock, EventLog
from placement.runtime.keeper import Keeper
from placement.runtime.line import Line
from placement.runtime.marks import Marks
from placement.runtime.quarantine import FoldFailedError
from placement.runtime.succession import REBUILD, Rebuild, storing_regions
from placement.runtime.view import View

log_events = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What lines work with."""

    log: EventLog
    view: View
    clock: Clock
    marks: Marks
    keeper: Keeper
    seed: int = 0


class Lines:
    """Runs the shown line and the one beside it, and swaps them when it is time."""

    def __init__(self, parts: Parts) -> None:
        """Show what the view shows; nothing runs until ``run`` gives it a group."""
        self._parts = parts
        self._since_ns = parts.clock()
        """Starts that the log stored from now on are counted by what they waited."""
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[Line, asyncio.Task[None]] = {}
        self.shown = Line(parts.log, parts.view.state, "", shown=True)
        parts.view.hold = self.shown.hold
        self.beside: Rebuild | None = None
        self.first_sequence = 1
        """Where the log begins."""
        self.may_fold_again = True
        """Whether the log can be folded from its start."""
        self.outdated = ""

    @property
    def outdated(self) -> str:
        """Why the shown state must be folded again; it is not saved meanwhile."""
        return self._parts.view.outdated

    @outdated.setter
    def outdated(self, why: str) -> None:
        self._parts.view.outdated = why

    @property
    def to_save(self) -> Line | None:
        """The line whose state belongs into the checkpoint, if any does."""
        return None if self.outdated else self.shown

    def show(self, line: Line, *, restored: bool) -> None:
        """Let answers come from *line*; *restored*: it is as a checkpoint has it."""
        self.shown = line
        view = self._parts.view
        view.replace(line.state, line.epoch, restored=restored, recent=line.recent)
        view.refused, view.hold = line.refused, line.hold

    def __contains__(self, line: Line) -> bool:
        """Say whether *line* is one of those that are folded now."""
        beside = self.beside
        return line is self.shown or (beside is not None and line is beside.line)

    def run_in(self, group: asyncio.TaskGroup) -> None:
        """Run lines as tasks of *group*."""
        self._group = group

    def follow_shown(self) -> None:
        """Fold on in the shown line."""
        self._start(self.shown)
        if self.outdated:
            self._fold_again()

    def stop(self) -> None:
        """Stand still: the shown line stays as it is, and the other is dropped."""
        self._drop_beside()
        self._stop(self.shown)

    def fold_beside(
        self, why: str, epoch: str, *, broken: bool, inventories: bool = False
    ) -> None:
        """Fold the log from its start, as *epoch*, and swap when it is time.

        *broken*: the shown line stands still. *inventories*: what it stores must be
        found again first.
        """
        self._drop_beside()
        line = Line(self._parts.log, State(self._parts.seed), epoch, shown=False)
        rebuild = Rebuild(line, why, broken=broken, inventories=inventories)
        self.beside = rebuild
        self._parts.view.rebuilding = why
        self._start(line)
        log_events.info("rebuild_began", reason=why, epoch=epoch)

    def begin_again(self, beside: Rebuild) -> None:
        """Drop what the line beside has folded, and let another one do it again."""
        epoch, inventories = beside.line.epoch, beside.inventories
        self.fold_beside(
            beside.why, epoch, broken=beside.broken, inventories=inventories
        )

    def _fold_again(self) -> None:
        self.fold_beside(self.outdated, self.shown.epoch, broken=False)

    def _drop_beside(self) -> None:
        if self.beside is not None:
            self._stop(self.beside.line)
            self.beside = None
            self._parts.view.rebuilding = ""
            self.shown.hold(REBUILD, held=False)

    def _start(self, line: Line) -> None:
        assert self._group is not None, "lines run in a group"
        line.witness = self._parts.view.witness
        line.traces = self._parts.view.traces if line.shown else None
        line.state.indexes.waits.since_ns = self._since_ns
        failed_sequence = self._parts.marks.record.failed_sequence
        if failed_sequence:
            line.fold_singly_around(failed_sequence)
        self._tasks[line] = self._group.create_task(self._follow(line))

    def _stop(self, line: Line) -> None:
        task = self._tasks.pop(line, None)
        if task is not None:
            task.cancel()

    async def _follow(self, line: Line) -> None:
        beside = self.beside
        if beside is not None and beside.line is line and beside.regions is None:
            beside.regions = await storing_regions(self.shown.state)
        await line.prepare()
        self._check_tainted(line)
        try:
            await line.follow(self.first_sequence, self._moved)
        except FoldFailedError:
            self._parts.keeper.end()  # at once: the state is half of a message
            raise

    def _moved(self, line: Line, *, caught_up: bool) -> None:
        """Let answers see what the shown line folded, or let the other take over."""
        parts = self._parts
        parts.marks.passed(line)
        if line is self.shown:
            if reach(FaultPoint.AFTER_FOLD_BEFORE_ADVANCE) and len(line.state.digests):
                line.state.digests.increase(Row(0), Digest.SIZE, 1)
            parts.marks.note(line)
            if caught_up:
                parts.view.caught_up()
            else:
                parts.view.advanced()
            parts.keeper.moved(line)
        elif self.beside is not None and line is self.beside.line:
            parts.view.rebuilt_sequence = line.state.sequence
            if caught_up:
                self.beside.target = (parts.clock(), line.state.sequence)
            self._take_over_if_it_may(self.beside)
        self._check_tainted(line)

    def _check_tainted(self, line: Line) -> None:
        """See to it that a state which folded too much is folded again."""
        why, line.tainted = line.tainted, ""
        if not why:
            return
        if self.beside is not None and line is self.beside.line:
            self.begin_again(self.beside)
        elif line is self.shown and not self.outdated:
            if not self.may_fold_again:
                log_events.error(
                    "rebuild_impossible",
                    reason=why,
                    remedy="the log's beginning is gone: the state stays as it is",
                )
                return
            self.outdated = why
            self._fold_again()

    def _take_over_if_it_may(self, rebuild: Rebuild) -> None:
        """Swap, unless something is in the way; one step of the loop."""
        view = self._parts.view
        hindrance = rebuild.hindrance(self.shown)
        view.rebuilding = hindrance
        if hindrance or rebuild.target is None:
            return
        reach(FaultPoint.BEFORE_SWAP)
        line = rebuild.line
        self._stop(self.shown)
        self.beside, self.outdated, line.shown = None, "", True
        if rebuild.broken:
            self._parts.keeper.put_aside(rebuild.why)
        self._parts.marks.note(line)
        self.show(line, restored=False)
        view.reached(*rebuild.target)
        view.rebuilding = ""
        reach(FaultPoint.AFTER_SWAP)
        self._parts.keeper.want()
        position = line.position
        log_events.info(
            "rebuild_ended", epoch=position.epoch, sequence=position.sequence
        )


def first_error(group: BaseExceptionGroup) -> BaseException:
    """Return the first error in *group* that is none itself."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
