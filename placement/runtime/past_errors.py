"""Why a question about the past is not answered, and what to do about it."""

from placement.core.errors import PlacementError
from placement.wire.as_of import AsOf, shown_time


class AsOfUnsupportedError(PlacementError):
    """Questions about the past are not answered here at all."""

    reason = "AS_OF_UNSUPPORTED"

    def __init__(self, why: str) -> None:
        """Say *why*."""
        super().__init__(f"as_of: {why}", field="as_of")


class AsOfAheadError(PlacementError):
    """The point is after all that is folded, or has not come yet."""

    reason = "AS_OF_AHEAD"

    def __init__(self, asked: AsOf, sequence: int) -> None:
        """Name what was *asked*, and up to where the log is folded."""
        super().__init__(
            f"as_of: {asked} is after message {sequence}, up to which the log is "
            "folded: ask for an earlier point, or without as_of",
            field="as_of",
            value=str(asked),
            sequence=str(sequence),
        )


class AsOfGoneError(PlacementError):
    """What would have to be folded is gone from the log, and in no checkpoint.

    ``earliest_sequence`` is where the first point is that can be asked for; 0: none.
    """

    reason = "AS_OF_GONE"

    def __init__(self, asked: AsOf, earliest: int, time_ns: int) -> None:
        """Name what was *asked*, and the *earliest* that can be answered."""
        earliest_time = shown_time(time_ns)
        instead = (
            f"the earliest that can be asked for is message {earliest}, stored at "
            f"{earliest_time}"
            if earliest
            else "no point of it can be asked for until a checkpoint is kept"
        )
        super().__init__(
            f"as_of: {asked} cannot be folded again: {instead}",
            field="as_of",
            value=str(asked),
            earliest_sequence=str(earliest),
            earliest_time=earliest_time,
        )
        self.earliest_sequence = earliest


class AsOfLimitError(PlacementError):
    """More messages would have to be folded than one question may cost."""

    reason = "AS_OF_LIMIT"

    def __init__(self, sequence: int, base: int, most: int) -> None:
        """Name the point, the checkpoint *base* before it, and the limit."""
        count = sequence - base
        after = f"after the checkpoint of message {base}" if base else "from its start"
        super().__init__(
            f"as_of: message {sequence} is {count} messages {after}, and "
            f"past.messages_max allows {most}: raise it, ask for an earlier point, or "
            f"fold beside the service with placement replay --to {sequence}",
            field="as_of",
            value=str(sequence),
            limit="past.messages_max",
            messages=str(count),
            messages_max=str(most),
        )


class AsOfFoldingError(PlacementError):
    """The state is still being folded; that goes on, so ask again."""

    reason = "AS_OF_FOLDING"

    def __init__(self, asked: AsOf, folded: int) -> None:
        """Say how far the fold of what was *asked* is; 0: it waits for its turn."""
        how_far = f"is at message {folded}" if folded else "waits for its turn"
        super().__init__(
            f"as_of: the state of {asked} was not ready within the deadline: its fold "
            f"{how_far} and goes on. Ask again",
            field="as_of",
            value=str(asked),
            folded=str(folded),
        )


class AsOfBusyError(PlacementError):
    """As many past states are wanted at once as may be, of all callers or of one."""

    reason = "AS_OF_BUSY"

    def __init__(self, limit: str, most: int) -> None:
        """Name the *limit*."""
        super().__init__(
            f"as_of: {most} folds are under way or wait, as many as {limit} allows: "
            "ask again later, or for a point that is there",
            limit=limit,
        )
