"""Appends that nobody can keep out of the log by taking a message id first.

A log stores a message id once, on whichever subject. Whoever may publish anything can
send any id with it, also one that somebody else's message is about to have.
"""

from secrets import token_hex
from typing import Final

from placement.ports import Appended, EventLog, Expected, Message
from placement.wire.unread import message_scope

SUFFIX_BYTES: Final = 16


async def append_own(
    log: EventLog,
    subject: str,
    body: bytes,
    message_id: str,
    expected: Expected | None = None,
) -> Appended:
    """Store a message as ``EventLog.append`` does, under an id that is nobody else's.

    If what the log holds under *message_id* is of another region, or of another kind,
    the message is stored under an id that cannot be guessed. Stored twice, it is folded
    once all the same.
    """
    appended = await log.append(subject, body, message_id, expected)
    if not appended.duplicate:
        return appended
    stored = await log.message(appended.sequence)
    ours = Message(appended.sequence, 0, subject, body)
    if stored is None or message_scope(stored) == message_scope(ours):
        return appended
    other_id = f"{message_id}.{token_hex(SUFFIX_BYTES)}"
    return await log.append(subject, body, other_id, expected)
