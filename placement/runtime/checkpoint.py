"""The state to and from its checkpoint."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from placement.core.chunks import Loading
from placement.core.state import State
from placement.core.tables.table import Table
from placement.faults import FaultPoint, reach
from placement.ports import (
    CheckpointDamagedError,
    CheckpointHeader,
    CheckpointStore,
    CheckpointUnwritableError,
    Chunk,
)

PACK_SECONDS: Final = 0.001
"""Packing lets answers in after so long."""
_PASSES_MAX: Final = 2
"""So often, at most, a chunk is packed ahead of the last step, which takes the rest."""


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
        self.stored: dict[str, int] = {}
        """How many chunks of each table the store has."""

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
        count = self.stored.get(chunk.table, 0)
        self.stored[chunk.table] = max(count, chunk.number + 1)
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
        self._stored: dict[str, int] = {}
        """How many chunks of each table the store has."""
        self._ended = False

    async def load(self) -> tuple[CheckpointHeader, Restored] | None:
        """Return what is in the store, and remember of what it consists.

        Raises what CheckpointStore.load does.
        """
        restored = Restored(self._fold_version)
        header = await self._store.load(restored.begin)
        if header is None:
            return None
        self._stored = restored.stored
        return header, restored

    async def save(self, state: State, epoch: str) -> int:
        """Save what changed since the last time, and return up to which sequence.

        What another state left in the store is deleted in the same transaction. Raises
        CheckpointUnwritableError, and then saves the same chunks next time, as it does
        when it is cancelled. What was saved before and is damaged now is put aside and
        saved anew, whole.
        """
        tables = state.tables()
        taken: dict[tuple[str, int], bytes] = {}
        try:
            await _pack_ahead(tables.values(), taken)
            self._require_whole()
            for table in tables.values():
                _take(table, taken)
            header = CheckpointHeader(
                epoch,
                state.sequence,
                state.store_time_ns,
                self._fold_version,
                state.message_hash,
            )
            present = {name: table.chunk_count for name, table in tables.items()}
            chunks = [Chunk(*key, body) for key, body in taken.items()]
            reach(FaultPoint.BEFORE_SAVE)
            await self._store.save(header, [*chunks, *self._left_over(present)])
            reach(FaultPoint.AFTER_SAVE)
        except CheckpointDamagedError as error:
            for table in tables.values():  # first of all: discarding may fail, too
                table.mark_all_dirty()
            await self.discard(str(error))
            raise CheckpointUnwritableError(str(error)) from error
        except BaseException:
            for name, number in taken:
                tables[name].mark_dirty(number)
            raise
        self._stored = present
        return header.sequence

    def end(self) -> None:
        """Write nothing more, not even what is being packed now."""
        self._ended = True

    async def discard(self, reason: str) -> None:
        """Put what is in the store aside; raises what CheckpointStore.discard does."""
        reach(FaultPoint.BEFORE_DISCARD)
        await self._store.discard(reason)
        self._stored = {}
        reach(FaultPoint.AFTER_DISCARD)

    def _require_whole(self) -> None:
        if self._ended:
            message = "folding failed: the state in memory is not whole"
            raise CheckpointUnwritableError(message)

    def _left_over(self, present: dict[str, int]) -> list[Chunk]:
        return [
            Chunk(name, number, b"")
            for name, count in self._stored.items()
            for number in range(present.get(name, 0), count)
        ]


async def _pack_ahead(
    tables: Iterable[Table], taken: dict[tuple[str, int], bytes]
) -> None:
    """Pack most of what changed, letting others in; they may change some of it again.

    What changed again is taken again by who packs the rest, in one step: so all that
    was taken is of one sequence.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + PACK_SECONDS
    for table in tables:
        for _ in range(_PASSES_MAX * table.chunk_count):
            if not _take(table, taken, 1):
                break
            if loop.time() > ends:
                await asyncio.sleep(0)
                ends = loop.time() + PACK_SECONDS


def _take(
    table: Table, taken: dict[tuple[str, int], bytes], count_max: int | None = None
) -> bool:
    """Move what changed of *table* into *taken*; say whether that was anything."""
    packed = table.take_dirty(count_max)
    for number, body in packed:
        taken[table.name, number] = body
    return bool(packed)
