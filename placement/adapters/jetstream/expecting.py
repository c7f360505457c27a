"""Appends that hold only if nothing else was stored on their subjects meanwhile.

A server looks at what an append expects in the same step in which it stores it. What
nats-server 2.15.1 does with a repeat of a message id was found by trying it: one server
alone looks at what is expected first, and refuses the repeat; a replicated stream looks
at the ids first, and answers it as a duplicate. Here both become a duplicate.

A server before 2.11 knows no pattern of subjects. It is asked for the last message just
before the append: so one who decides by old knowledge is still kept out, and deciding
goes on. Of two who append within the same moment both may be stored: then the fold's
own rules are what keeps the second from having an effect.
"""

import base64
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from placement.adapters.jetstream.connection import ApiError, Connection
from placement.ports import Expected, LogMovedError

PATTERNS_SINCE: Final = (2, 11)
LAST_DIFFERS: Final = 10071
OTHER_IN_PROCESS: Final = 10164
"""A replicated stream is storing another append that expects something there."""
MESSAGE_NOT_FOUND: Final = 10037
MESSAGE_ID: Final = "Nats-Msg-Id"

_SEQUENCE: Final = re.compile(r"wrong last sequence: (\d+)")

Store = Callable[[dict[str, str]], Awaitable[Any]]
"""Sends the append with more headers, and returns JetStream's answer."""


async def stored_if(
    expected: Expected,
    store: Store,
    message_id: str,
    connection: Connection,
    stream: str,
) -> Any:  # noqa: ANN401 - a JSON document
    """Return the answer to *store* if what is *expected* holds.

    Else, if it held when the message of that id was stored, what says so. Raises
    LogMovedError, ApiError and LogUnavailableError.
    """
    if knows_patterns(connection.server_version):
        try:
            return await store(expectation(expected))
        except ApiError as error:
            if error.code not in {LAST_DIFFERS, OTHER_IN_PROCESS}:
                raise
            last_sequence = told_sequence(error.description)
    else:
        wanted: dict[str, Any] = {"last_by_subj": expected.subjects}
        last_sequence, _ = await found_message(connection, stream, wanted)
        if last_sequence == expected.sequence:
            return await store({})
    # If the message is stored by what it expects now, it is the first one since.
    since = {"seq": expected.sequence + 1, "next_by_subj": expected.subjects}
    sequence, first_id = await found_message(connection, stream, since)
    if first_id == message_id:
        return {"seq": sequence, "duplicate": True}
    raise LogMovedError(expected, last_sequence)


def expectation(expected: Expected) -> dict[str, str]:
    """Return the headers that say what is *expected*."""
    return {
        "Nats-Expected-Last-Subject-Sequence": str(expected.sequence),
        "Nats-Expected-Last-Subject-Sequence-Subject": expected.subjects,
    }


def knows_patterns(server_version: str) -> bool:
    """Say whether a server of that version looks at a pattern of subjects."""
    major, minor, *_ = server_version.split(".")
    return (int(major), int(minor)) >= PATTERNS_SINCE


def told_sequence(description: str) -> int:
    """Return the last sequence that a refusal names; 0 when it names none."""
    found = _SEQUENCE.search(description)
    return int(found[1]) if found else 0


async def found_message(
    connection: Connection, stream: str, wanted: dict[str, Any]
) -> tuple[int, str]:
    """Return sequence and id of the message that is *wanted*; 0 and "": none is."""
    try:
        answer = await connection.api(f"STREAM.MSG.GET.{stream}", wanted)
    except ApiError as error:
        if error.code == MESSAGE_NOT_FOUND:
            return 0, ""
        raise
    found = answer["message"]
    # Publishers may put any bytes into headers: what is no text is no id of ours.
    headers = base64.b64decode(found.get("hdrs", "")).decode("utf-8", "replace")
    named = (line.partition(": ") for line in headers.split("\r\n"))
    message_id = next((text for name, _, text in named if name == MESSAGE_ID), "")
    return int(found["seq"]), message_id
