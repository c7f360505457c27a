"""The state to and from its checkpoint, and whether a checkpoint may be believed."""

from placement.core.chunks import load, take_dirty
from placement.core.fold import FOLD_VERSION
from placement.core.state import State
from placement.ports import (
    Checkpoint,
    CheckpointDamagedError,
    CheckpointHeader,
    CheckpointStore,
    CheckpointUnwritableError,
    Chunk,
    EventLog,
    LogReplacedError,
    LogStatus,
)
from placement.runtime.view import View
from placement.wire.events import message_hash


def state_of(checkpoint: Checkpoint) -> State:
    """Return the state that *checkpoint* holds; raises CheckpointDamagedError."""
    state = State()
    try:
        load(state, ((c.table, c.number, c.body) for c in checkpoint.chunks))
    except ValueError as error:
        message = f"the checkpoint is not of this state: {error}"
        raise CheckpointDamagedError(message) from error
    state.sequence = checkpoint.header.sequence
    state.store_time_ns = checkpoint.header.store_time_ns
    state.message_hash = checkpoint.header.message_hash
    return state


async def save(store: CheckpointStore, state: State, epoch: str) -> int:
    """Save what changed since the last time; returns how many chunks that was.

    Raises CheckpointUnwritableError, and then saves the same chunks next time, as it
    does when it is cancelled. What was saved before and is damaged now is put aside
    and saved anew, whole.
    """
    header = CheckpointHeader(
        epoch, state.sequence, state.store_time_ns, FOLD_VERSION, state.message_hash
    )
    chunks = [Chunk(*packed) for packed in take_dirty(state)]
    tables = state.tables()
    try:
        await store.save(header, chunks)
    except CheckpointDamagedError as error:
        for table in tables.values():  # first of all: discarding may fail, too
            table.mark_all_dirty()
        await store.discard(str(error))
        raise CheckpointUnwritableError(str(error)) from error
    except BaseException:
        for chunk in chunks:
            tables[chunk.table].mark_dirty(chunk.number)
        raise
    return len(chunks)


async def inspect(log: EventLog, view: View) -> tuple[LogStatus, str]:
    """Return what log this is, and why the view's state is not a fold of it.

    The reason is empty when it is: the log still holds the very message that was
    folded last. Raises LogUnavailableError.
    """
    # Taken before the log is asked, since folding goes on meanwhile.
    epoch, sequence = view.epoch, view.state.sequence
    folded_hash = view.state.message_hash
    status = await log.status()
    if epoch and epoch != status.epoch:
        return status, f"the log's epoch is {status.epoch}, the state's is {epoch}"
    position = f"the state is at {sequence}"
    if status.last_sequence < sequence:
        return status, f"the log ends at {status.last_sequence}, {position}"
    if status.first_sequence > sequence + 1:
        return status, f"the log begins at {status.first_sequence}, {position}"
    if status.first_sequence <= sequence:
        message = await log.message(sequence)
        if message is None or message_hash(message) != folded_hash:
            return status, f"message {sequence} is not the one that was folded"
    return status, ""


def require_whole(status: LogStatus, *, accept_partial_log: bool) -> None:
    """Refuse to fold a log from its start when its start is gone.

    Raises LogReplacedError, naming the remedy, unless an operator accepts the loss.
    """
    if status.first_sequence > 1 and not accept_partial_log:
        message = (
            f"the log begins at message {status.first_sequence}: what was before is in "
            "no checkpoint that this version can use. Restore a checkpoint, run the "
            "version that wrote it, or set accept_partial_log to begin without it"
        )
        raise LogReplacedError(message)
