"""Which message a point in the past is."""

from placement.ports import EventLog, LogStatus
from placement.runtime.past_errors import AsOfAheadError
from placement.wire.as_of import AsOf


async def sequence_at(
    log: EventLog, status: LogStatus, as_of: AsOf, folded: int, now_ns: int
) -> int | None:
    """Return the message that *as_of* means; None: it is before all the log holds.

    *folded* is up to where the service is. A time means the last message stored at it
    or before it. Raises AsOfAheadError and LogUnavailableError.
    """
    if as_of.sequence is not None:
        if as_of.sequence > folded:
            raise AsOfAheadError(as_of, folded)
        return as_of.sequence
    time_ns = as_of.time_ns or 0
    if time_ns > now_ns:
        raise AsOfAheadError(as_of, folded)
    last = status.last_sequence
    found = await _last_before(log, status.first_sequence, last, time_ns)
    if found is not None and found > folded:
        raise AsOfAheadError(as_of, folded)
    return found


async def _last_before(
    log: EventLog, first: int, last: int, time_ns: int
) -> int | None:
    """Return the last of the messages from *first* to *last* that is not after a time.

    Asks the log as often as *last* - *first* has bits.
    """
    low, high = first - 1, last
    while low < high:
        middle = (low + high + 1) // 2
        message = await log.message(middle)
        if message is not None and message.store_time_ns <= time_ns:
            low = middle
        else:
            high = middle - 1
    return low if low >= first else None
