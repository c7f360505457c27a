"""The last message of a subject, asked for so that permissions see which subject it is.

A request by sequence has that in its body, which no permission sees.
"""

from typing import Final

from placement.adapters.jetstream.connection import Connection
from placement.adapters.jetstream.stream import stream_info, time_ns
from placement.ports import LogForbiddenError, LogUnavailableError, Message

NOT_FOUND: Final = "404"


async def last_message(
    connection: Connection, stream: str, subject: str
) -> Message | None:
    """Return the last message of *subject*, which may be a pattern, or None.

    Another copy of the stream than its leader may answer, a moment behind. Raises
    LogForbiddenError, also where the stream is made without ``allow_direct``, and
    LogUnavailableError.
    """
    try:
        reply = await connection.reply(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
    except LogForbiddenError:
        raise
    except LogUnavailableError as error:
        info = await stream_info(connection, stream)
        if info["config"].get("allow_direct"):
            raise
        message = f"stream {stream} is not read directly: set its allow_direct"
        raise LogForbiddenError(message) from error
    told = reply.headers or {}
    if told.get("Status") == NOT_FOUND:
        return None
    if "Nats-Sequence" not in told:
        message = f"stream {stream} did not say what is last on {subject}: {told}"
        raise LogUnavailableError(message)
    return Message(
        int(told["Nats-Sequence"]),
        time_ns(told["Nats-Time-Stamp"]),
        told["Nats-Subject"],
        reply.data,
    )
