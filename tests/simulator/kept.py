"""What must be true of registries and of those who act beside them, in the end.

The registries themselves are the truth; what the log says is held against them.
"""

from collections.abc import Collection, Iterator, Mapping

from placement.core.event import (
    ContentPulled,
    Recorded,
    ReplicationCompleted,
)
from placement.core.state import State
from placement.core.topology import Region
from placement.wire.events import decode_message
from tests.simulator.believed import present
from tests.simulator.history import History

TAKEN = 200


def broken_keeping(history: History, final: State) -> Iterator[str]:
    """Yield what was lost, believed wrongly, copied or removed and should not be.

    *final* is the state at the end of the log that remains.
    """
    if not history.stored:
        return
    yield from _log_lacks(history)
    yield from _unlike_registries(history, final)
    yield from _wrong_bytes(history)
    yield from _last_copies(history)


def _log_lacks(history: History) -> Iterator[str]:
    """Yield what an agent took and the log lacks."""
    held: dict[str, object] = {}
    for message in history.lives[-1].messages:
        for item in decode_message(message).items:
            if isinstance(item, Recorded):
                held[item.event.event_id] = item.event.fact
    uses = {one.notification_id for one in history.received if one.is_use}
    for received in history.received:
        taken = received.status == TAKEN and received.is_told
        if taken and received.notification_id not in held:
            yield (
                f"the agent of {received.region} took {received.notification_id}, and"
                " the log that remains does not hold it"
            )
    yield from _counted_twice(held, uses)


def _counted_twice(held: Mapping[str, object], uses: Collection[str]) -> Iterator[str]:
    """Yield uses that were none, and decisions that moved bytes more than once."""
    moved: set[str] = set()
    for own_id, fact in held.items():
        if isinstance(fact, ContentPulled) and own_id not in uses:
            yield f"{own_id} counts as a use, and nobody pulled"
        if isinstance(fact, ReplicationCompleted) and fact.transferred_bytes:
            name = fact.subject.replication_id
            if name in moved:
                yield f"{name} moved bytes twice"
            moved.add(name)


def _unlike_registries(history: History, final: State) -> Iterator[str]:
    """Yield what is believed to be where it is not, or not where tags lead to it."""
    for stored in history.stored:
        believed = set(present(final, Region(stored.region)))
        for place in sorted(believed - set(stored.places)):
            yield f"{place} is believed to be in {stored.region}, and is not there"
        for place in sorted(set(stored.tagged) - believed):
            yield f"{place} is in {stored.region}, and nobody knows"


def _wrong_bytes(history: History) -> Iterator[str]:
    for stored in history.stored:
        for place in stored.wrong:
            yield f"{stored.region} keeps other bytes than those of {place}"


def _last_copies(history: History) -> Iterator[str]:
    for evicted in history.evicted:
        if evicted.was_whole and not evicted.elsewhere:
            yield f"the last copy of {evicted.place} was removed from {evicted.region}"
