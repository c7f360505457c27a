"""The state to and from its checkpoint."""

import asyncio
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import closing
from functools import partial
from typing import Final
from weakref import ref as weakref

from placement.core.chunks import Loading
from placement.core.state import State
from placement.core.tables.saved import Packed
from placement.core.tables.table import Table
from placement.faults import FaultPoint, reach
from placement.ports import (
    CheckpointDamagedError,
    CheckpointHeader,
    CheckpointStore,
    CheckpointUnwritableError,
    Chunk,
    Rest,
)
from placement.runtime.slices import let_others_in, stand_back

PACK_SECONDS: Final = 0.001
"""Packing lets others in after so long."""
_PASSES_MAX: Final = 6
"""So often, at most, what changed is packed before the last step takes the rest."""
_FEW_ROWS: Final = 1_024
"""So many rows that changed meanwhile are left to the last step."""
_MANY_ROWS: Final = 16_384
"""A pass after one of no more rows stands back no more: the longer it is, the more
changes meanwhile."""

Numbers = dict[str, frozenset[int]]
"""Of chunks, by table."""


class Restored:
    """A state that is made of a checkpoint while that is read.

    Of another version than *fold_version*, tables that we do not know are left out,
    tables that it does not have stay empty, and columns that it does not have are zero.
    """

    def __init__(self, fold_version: int) -> None:
        """Begin without a state."""
        self._fold_version = fold_version
        self._state = State()
        self._loading = Loading(self._state, of_this_version=True)
        self._of_this_version = True
        self._error: Exception | None = None
        self.stored: dict[str, set[int]] = {}
        """Which chunks of each table the store has."""

    def begin(self, header: CheckpointHeader) -> Callable[[Chunk], None]:
        """Begin anew with what *header* stands for; return what takes its chunks."""
        self._of_this_version = header.fold_version == self._fold_version
        self._state, self._error, self.stored = State(), None, {}
        self._state.sequence = header.sequence
        self._state.store_time_ns = header.store_time_ns
        self._state.message_hash = header.message_hash
        self._loading = Loading(self._state, of_this_version=self._of_this_version)
        return self._take

    def _take(self, chunk: Chunk) -> None:
        """Take a chunk; an error waits until all proved to be as they were saved."""
        self.stored.setdefault(chunk.table, set()).add(chunk.number)
        self._attempt(
            partial(self._loading.take, chunk.table, chunk.number, chunk.body)
        )

    def _attempt(self, step: Callable[[], None]) -> None:
        if self._error is None:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - state() says what it means
                self._error = error

    def state(self) -> State:
        """Return the state, whole; raises CheckpointDamagedError."""
        self._attempt(self._loading.finish)
        return self._finished()

    def state_steps(self) -> Generator[None, None, State]:
        """Do what ``state`` does, in steps between which others may run."""
        steps = self._loading.finishing()
        unfinished = True

        def step() -> None:
            nonlocal unfinished
            unfinished = next(steps, self) is None

        while unfinished and self._error is None:
            self._attempt(step)
            yield
        return self._finished()

    def _finished(self) -> State:
        error = self._error
        if error is None:
            return self._state
        if isinstance(error, ValueError):
            message = f"the checkpoint is not of this state: {error}"
        elif self._of_this_version:
            raise error
        else:
            message = f"the checkpoint means something else by its tables: {error!r}"
        raise CheckpointDamagedError(message) from error


class Saver:
    """Writes states into one store, whichever state was in it before."""

    def __init__(self, store: CheckpointStore, fold_version: int) -> None:
        """Write into *store*, as the work of *fold_version*."""
        self._store = store
        self._fold_version = fold_version
        self._stored: Numbers = {}
        """Which chunks of each table the store may have."""
        self._state: weakref[State] | None = None
        """Whose chunks those are, and no others."""
        self._ended = False

    async def load(self) -> tuple[CheckpointHeader, Restored] | None:
        """Return what is in the store, and remember of what it consists.

        Raises what CheckpointStore.load does.
        """
        restored = Restored(self._fold_version)
        header = await self._store.load(restored.begin)
        if header is None:
            return None
        self.note(restored)
        return header, restored

    def note(self, restored: Restored) -> None:
        """Remember that the store consists of what *restored* was made of."""
        self._stored = {n: frozenset(each) for n, each in restored.stored.items()}
        self._state = None

    async def save(self, state: State, epoch: str) -> int:
        """Save what changed since the last time, and return up to which sequence.

        What another state left in the store is deleted in the same transaction. Raises
        CheckpointUnwritableError, and then saves the same chunks next time, as it does
        when it is cancelled. What was saved before and is damaged now is put aside and
        saved anew, whole.
        """
        tables = state.tables().values()
        taken: list[tuple[Table, Packed]] = []
        try:
            await _pack_ahead(tables, taken)
            self._require_whole()
            for table in filter(_is_changed, tables):
                for each in filter(None, table.take()):
                    taken.append((table, each))  # noqa: PERF401 - kept whatever comes
            header = CheckpointHeader(
                epoch,
                state.sequence,
                state.store_time_ns,
                self._fold_version,
                state.message_hash,
            )
            present = self._present(state, {table.name for table, _ in taken})
            chunks = self._chunks(taken, present)
            self._stored = _joined(self._stored, present)
            self._state = None
            reach(FaultPoint.BEFORE_SAVE)
            await self._store.save(header, chunks)
            reach(FaultPoint.AFTER_SAVE)
        except CheckpointDamagedError as error:
            for table in tables:  # first of all: discarding may fail, too
                table.mark_all_dirty()
            await self.discard(str(error))
            raise CheckpointUnwritableError(str(error)) from error
        except BaseException:
            for _, each in taken:
                each.give_back()
            raise
        self._stored, self._state = present, weakref(state)
        return header.sequence

    def _present(self, state: State, changed: Collection[str]) -> Numbers:
        """Return of which chunks the state consists; *changed* are some of its tables.

        Of the others they are those of the last time, if that was the same state.
        """
        known = self._state is not None and self._state() is state
        return {
            name: self._stored[name]
            if known and name not in changed
            else frozenset(table.chunk_numbers())
            for name, table in state.tables().items()
        }

    def _chunks(
        self, taken: Iterable[tuple[Table, Packed]], present: Numbers
    ) -> list[Chunk]:
        """Return the chunks that make *present* of what the store may have."""
        bodies = {(table.name, each.number): each.body for table, each in taken}
        chunks = [
            Chunk(name, number, body)
            for (name, number), body in bodies.items()
            if number in present[name]
        ]
        for name, numbers in self._stored.items():
            kept = present.get(name, frozenset())
            if numbers is not kept:
                chunks += [Chunk(name, number, b"") for number in numbers - kept]
        return chunks

    def end(self) -> None:
        """Write nothing more, not even what is being packed now."""
        self._ended = True

    async def discard(self, reason: str) -> None:
        """Put what is in the store aside; raises what CheckpointStore.discard does."""
        reach(FaultPoint.BEFORE_DISCARD)
        await self._store.discard(reason)
        self._stored, self._state = {}, None
        reach(FaultPoint.AFTER_DISCARD)

    def _require_whole(self) -> None:
        if self._ended:
            message = "folding failed: the state in memory is not whole"
            raise CheckpointUnwritableError(message)


def _joined(one: Numbers, other: Numbers) -> Numbers:
    nothing: frozenset[int] = frozenset()
    return {
        name: one.get(name, nothing) | other.get(name, nothing)
        for name in one.keys() | other.keys()
    }


async def _pack_ahead(
    tables: Collection[Table], taken: list[tuple[Table, Packed]]
) -> None:
    """Pack most of what changed, letting others in; they may change some of it again.

    What changed again is packed again, and at the end by who packs the rest, in one
    step: so all that was taken is of one sequence.
    """
    changed = filter(_is_changed, tables)
    packed_rows = await _pack(Table.take, changed, taken, stand_back)
    rolled = dict.fromkeys(table for table, _ in taken)
    await _pack(Table.roll, rolled, taken, stand_back)
    for _ in range(_PASSES_MAX):
        if packed_rows <= _FEW_ROWS:
            break
        rest = stand_back if packed_rows > _MANY_ROWS else _go_on
        changed = filter(_is_changed, tables)
        packed_rows = await _pack(Table.take, changed, taken, rest)


async def _go_on(_worked_seconds: float) -> None:
    await let_others_in()


def _is_changed(table: Table) -> bool:
    return table.is_changed


async def _pack(
    steps_of: Callable[[Table], Generator[Packed | None]],
    tables: Iterable[Table],
    taken: list[tuple[Table, Packed]],
    rest: Rest,
) -> int:
    """Add what *steps_of* each table packs to *taken*; return how many rows it was."""
    time = asyncio.get_running_loop().time
    began, packed_rows = time(), 0
    for table in tables:
        with closing(steps_of(table)) as steps:
            for each in steps:
                if each is not None:
                    taken.append((table, each))
                    packed_rows += each.size
                worked_seconds = time() - began
                if worked_seconds > PACK_SECONDS:
                    await rest(worked_seconds)
                    began = time()
    return packed_rows
