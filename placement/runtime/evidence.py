"""What a decision rested on, read from the message of the log that holds it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from placement.core.decisions import DecisionRecord
from placement.core.errors import PlacementError
from placement.core.event import (
    EvictionPlanned,
    Fact,
    Factor,
    Recorded,
    ReplicationPlanned,
    ReplicationWithheld,
)
from placement.ports import LogReplacedError, LogUnavailableError, Message
from placement.runtime.view import View
from placement.wire.events import decode_message

_REPLACED: Final = "the log is not the one that the service's state was folded from"

ReadMessage = Callable[[int], Awaitable[Message | None]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers, the words, and the request that a decision answers, if any."""

    factors: tuple[Factor, ...]
    explanation: str
    request_id: str = ""


async def evidence_of(
    read: ReadMessage, view: View, record: DecisionRecord, timeout_s: float
) -> Evidence | str:
    """Return what a decision rested on, or why that cannot be said, for people.

    *read* asks the log for a message, as ``EventLog.message`` does, and has *timeout_s*
    seconds for it. Raises nothing.
    """
    if view.epoch_broken:
        return _REPLACED
    try:
        async with asyncio.timeout(timeout_s):
            message = await read(record.sequence)
    except (TimeoutError, PlacementError) as error:
        return _why(error)
    if message is None:
        return "the log no longer holds the decision"
    found = _evidence_in(message, record.replication_id)
    return found or "the log holds something else where the decision was"


def _why(error: Exception) -> str:
    """Return why the log could not be read, for people."""
    if isinstance(error, TimeoutError):
        return "the log did not answer in time"
    if isinstance(error, LogUnavailableError):
        return "the log is out of reach"
    if isinstance(error, LogReplacedError):
        return _REPLACED
    return "the log cannot be read as it is set up"


def _evidence_in(message: Message, replication_id: str) -> Evidence | None:
    for item in decode_message(message).items:
        if isinstance(item, Recorded):
            found = _evidence(item.event.fact, replication_id)
            if found is not None:
                return found
    return None


def _evidence(fact: Fact, replication_id: str) -> Evidence | None:
    """Return the evidence in *fact*, if it is the decision of that id."""
    match fact:
        case ReplicationPlanned() if fact.subject.replication_id == replication_id:
            return Evidence(fact.factors, fact.explanation, fact.request_id or "")
        case ReplicationWithheld() if fact.subject.replication_id == replication_id:
            return Evidence(fact.factors, fact.explanation)
        case EvictionPlanned() if fact.eviction_id == replication_id:
            return Evidence(fact.factors, fact.explanation or fact.reason)
        case _:
            return None
