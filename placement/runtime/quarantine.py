"""Messages that nobody folds, because folding them ends the process.

Decoding and folding are total; where they raise after all, that is a bug. The process
then ends with its own exit code, having written down at which message. The third run
in a row that fails there stores the fact EventQuarantined for each event of the message
(or the next run does, if the log was out of reach), and from then on no service folds
it.

Who folds the log reads these facts ahead, before anything else. So a fold is a function
of the log as it is now, for everybody: whether or not they crashed, and whichever
version they run. A service that folded the message before the fact came (its version
has not the bug) folds the whole log again beside, without the message, and swaps. Its
checkpoint tells by its position alone: it lies between the message and the fact.

Only facts on the subjects of decisions count, to which only services may publish, and
only those that come after what they name.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final

import structlog

from placement.core.errors import PlacementError, clipped
from placement.core.event import (
    Event,
    EventQuarantined,
    Identifier,
    Recorded,
    Text,
)
from placement.core.topology import Region
from placement.faults import FaultPoint, reach
from placement.ports import (
    EventLog,
    LogFullError,
    LogUnavailableError,
    Message,
    RunRecord,
)
from placement.runtime.appending import append_own
from placement.wire.events import (
    DECISIONS_PREFIX,
    decode_message,
    encode_message,
    message_hash,
)
from placement.wire.unread import event_count, message_region

FAILURES_MAX: Final = 3
"""So many runs in a row may end at one message; then it is quarantined."""
_FACT: Final = "event_quarantined"
_EVERY: Final = f"{DECISIONS_PREFIX}.*.{_FACT}"

log_events = structlog.get_logger(__name__)


class FoldFailedError(PlacementError):
    """A message made decoding or folding raise: a bug, whatever the message holds."""

    reason = "INTERNAL"
    exit_code = 72

    def __init__(self, sequence: int, error: Exception) -> None:
        """Keep *sequence*, at which *error* was raised."""
        super().__init__(
            f"message {sequence} cannot be folded: {error!r}. Report this with the "
            f"message. After {FAILURES_MAX} runs that end like this it is left out",
            sequence=str(sequence),
        )
        self.sequence = sequence


@dataclass
class Quarantine:
    """What is left out of one fold of a log."""

    _places: defaultdict[int, set[int]] = field(
        default_factory=lambda: defaultdict(set)
    )
    _facts: dict[int, int] = field(default_factory=dict)
    """By message, where the last fact is that names one of its events."""

    def skipped(self, sequence: int) -> Collection[int]:
        """Return the places of the events that are left out of a message."""
        return self._places.get(sequence, ())

    def learn(self, message: Message) -> bool:
        """Take up what *message* says, if anything; say whether some of it is new."""
        if not is_quarantine(message):
            return False
        new = False
        for item in decode_message(message).items:
            if not isinstance(item, Recorded):
                continue
            fact = item.event.fact
            if not isinstance(fact, EventQuarantined):
                continue
            if 0 < fact.sequence < message.sequence:
                new = new or fact.batch_index not in self._places[fact.sequence]
                self._places[fact.sequence].add(fact.batch_index)
                self._facts[fact.sequence] = message.sequence
        return new

    def unheeded(self, sequence: int) -> str:
        """Return why a state that was saved at *sequence* folded what it should not.

        Empty if it did not: then it knew of the fact, or had not come to the message.
        """
        for named, fact in self._facts.items():
            if named <= sequence < fact:
                return f"message {named} is folded in it, and was quarantined since"
        return ""


def is_quarantine(message: Message) -> bool:
    """Say whether *message* is on a subject whose facts are heeded."""
    subject = message.subject
    return subject.startswith(DECISIONS_PREFIX) and subject.endswith(f".{_FACT}")


async def read_quarantine(log: EventLog) -> Quarantine:
    """Return what is quarantined in *log* as it is now; raises LogUnavailableError."""
    quarantine = Quarantine()
    async for message in quarantine_facts(log):
        quarantine.learn(message)
    return quarantine


async def quarantine_facts(log: EventLog) -> AsyncIterator[Message]:
    """Yield each message that may quarantine others; raises LogUnavailableError."""
    message = await log.message(1, _EVERY)
    while message is not None:
        yield message
        message = await log.message(message.sequence + 1, _EVERY)


async def put_in_quarantine(
    log: EventLog, sequence: int, reason: str, home: Region
) -> int:
    """Store the facts that keep everybody from folding a message; returns how many.

    What is stored already is not stored again. A message whose subject names no region
    is quarantined in the name of *home*. Raises LogUnavailableError or LogFullError.
    """
    message = await log.message(sequence)
    if message is None:
        return 0
    named = (await read_quarantine(log)).skipped(sequence)
    region = message_region(message) or home
    about = message_hash(message)
    missing = [place for place in range(event_count(message)) if place not in named]
    for place in missing:
        key = blake2b(about + place.to_bytes(8, "big"), digest_size=16).hexdigest()
        fact = EventQuarantined(sequence, place, Text(clipped(reason)))
        event = Event(Identifier(f"quarantine-{key}"), region, fact)
        subject, body, message_id = encode_message([event])
        reach(FaultPoint.BEFORE_QUARANTINE)
        await append_own(log, subject, body, message_id)
        reach(FaultPoint.AFTER_QUARANTINE)
    return len(missing)


async def quarantine_if_due(log: EventLog, record: RunRecord, home: Region) -> None:
    """Put a message in quarantine at which too many runs in a row have ended.

    When the log cannot store that now, the next run tries again.
    """
    if record.failed_count < FAILURES_MAX:
        return
    sequence, reason = record.failed_sequence, record.failed_reason
    try:
        count = await put_in_quarantine(log, sequence, reason, home)
    except (LogUnavailableError, LogFullError) as error:
        log_events.warning("quarantine_failed", sequence=sequence, reason=str(error))
        return
    log_events.error(
        "message_quarantined", sequence=sequence, events=count, reason=reason
    )


def failed(record: RunRecord, sequence: int, reason: str) -> RunRecord:
    """Return *record* with one more run that ended while *sequence* was folded."""
    again = record.failed_sequence == sequence
    count = record.failed_count + 1 if again else 1
    return replace(
        record,
        failed_sequence=sequence,
        failed_count=count,
        failed_reason=clipped(reason),
    )
