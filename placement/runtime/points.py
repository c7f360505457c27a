"""Where in the log replicas compare themselves: the same messages for all of them.

The log's own time says so: between two messages of which the first is the last one of
an interval. Nobody has to agree on anything, whenever a replica was started.
"""

from collections.abc import Iterator, Sequence

from placement.ports import Message


def cut_at_points(
    batch: Sequence[Message], store_time_ns: int, interval_ns: int
) -> Iterator[tuple[int, Sequence[Message]]]:
    """Yield *batch* in pieces, each with the number of the interval that it ends.

    That is 0 for a piece that does not begin with the first message of an interval.
    *store_time_ns* is of the message before the batch, 0 where there is none; no
    *interval_ns*, no points.
    """
    if not interval_ns:
        yield 0, batch
        return
    ended, first = 0, 0
    before = store_time_ns // interval_ns
    for position, message in enumerate(batch):
        number = message.store_time_ns // interval_ns
        if number != before and before:
            if position > first:
                yield ended, batch[first:position]
            ended, first = before, position
        before = number
    if first < len(batch):
        yield ended, batch[first:]
