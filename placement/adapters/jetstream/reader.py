"""Reads a stream onward for ever, through one consumer after another.

What is true comes from asking the stream itself: while nothing arrives, its creation
time and its first and last sequence are compared with our position once a second. That
one question tells "nothing newer", "rewound", "trimmed" and "made anew" apart, and
whether the log can be reached at all.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog

from placement.adapters.jetstream.connection import (
    API_TIMEOUT_SECONDS,
    ApiError,
    Connection,
)
from placement.adapters.jetstream.pull import PullConsumer
from placement.adapters.jetstream.stream import (
    NANOSECONDS,
    StreamMissingError,
    stream_status,
    time_ns,
)
from placement.ports import (
    LogForbiddenError,
    LogReplacedError,
    LogStatus,
    LogUnavailableError,
    Message,
)

QUIET_SECONDS = 0.2
"""So soon after the last message the stream is asked whether that was all."""

IDLE_SECONDS = 1.0
"""So often it is asked while it has nothing newer."""

RETRY_SECONDS = 0.25
CONFIRM_SECONDS = 1.0
"""A cluster that elects a leader may err for a moment: bad news is asked for twice."""

CREATE_SECONDS = (0.5, 1.0, API_TIMEOUT_SECONDS)
"""For the first, the second and each further consumer that is asked for in a row: for a
while after a server of a cluster was lost, some who ask for one are never answered, as
if it were given to that server. Over a slow link an answer may take longer."""

ONE_BY_ONE_SECONDS = 1.0
"""For so long messages are asked for singly before a consumer is asked for again."""

STALL_SECONDS = 4.0
"""A consumer that exists and delivers nothing is made anew after so long."""

FRESH_SECONDS = 1.0
"""What was true so long ago is called true now."""

MESSAGE_NOT_FOUND = 10037

log = structlog.get_logger()


class StreamReader:
    """Keeps a position in one epoch of a stream."""

    def __init__(
        self, connection: Connection, stream: str, epoch: str, after_sequence: int
    ) -> None:
        """Begin after *after_sequence* of the stream that *epoch* names."""
        self._connection = connection
        self._stream = stream
        self._epoch = epoch
        self._position = after_sequence
        self._last: Message | None = None
        self._unmade = 0
        """Consumers that were asked for in vain, one after another."""

    async def batches(self) -> AsyncGenerator[Sequence[Message], None]:
        """Yield as ``EventLog.read`` promises; LogUnavailableError only once closed."""
        while True:
            try:
                async with aclosing(self._consumed()) as batches:
                    async for batch in batches:
                        yield batch
            except LogUnavailableError as error:
                if self._connection.closed:
                    raise
                log.debug("log_unreachable", sequence=self._position, error=str(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _consumed(self) -> AsyncGenerator[Sequence[Message], None]:
        """Yield from one consumer until it is lost; LogUnavailableError, too."""
        status, fresh = await self._fresh_status()
        await self._verify_last()
        if fresh and status.last_sequence == self._position:
            yield ()
        first, time = self._position + 1, asyncio.get_running_loop().time
        consumer = await self._made(first)
        if consumer is None:
            async with aclosing(self._one_by_one()) as batches:
                async for batch in batches:
                    yield batch
            return
        log.info("log_reading", sequence=first, last_sequence=status.last_sequence)
        try:
            wait_seconds, heard = QUIET_SECONDS, time()
            while not consumer.lost and time() - heard < STALL_SECONDS:
                batch = await consumer.take(wait_seconds)
                if batch:
                    await self._advance(batch)
                    wait_seconds = QUIET_SECONDS
                    yield batch
                    heard = time()
                    continue
                status, fresh = await self._fresh_status()
                if not consumer.empty or consumer.lost:
                    heard = time()
                elif status.last_sequence == self._position:
                    wait_seconds = IDLE_SECONDS
                    if fresh:
                        yield ()
                    heard = time()
                elif not await consumer.known_to_server():
                    message = "the server lost our consumer"  # as by a restart
                    raise LogUnavailableError(message)
        finally:
            await consumer.close()

    async def _made(self, first_sequence: int) -> PullConsumer | None:
        """Return a consumer from *first_sequence* on; None: nobody makes one just now.

        Raises LogForbiddenError.
        """
        patience_s = CREATE_SECONDS[min(self._unmade, len(CREATE_SECONDS) - 1)]
        try:
            consumer = await PullConsumer.create(
                self._connection, self._stream, first_sequence, patience_s
            )
        except LogForbiddenError:
            raise
        except LogUnavailableError as error:
            self._unmade += 1
            if self._unmade == len(CREATE_SECONDS):  # once, however long it takes
                remedy = "messages are read one by one; see the broker's limits, health"
                log.warning("log_consumer_unmade", error=str(error), remedy=remedy)
            return None
        self._unmade = 0
        return consumer

    async def _one_by_one(self) -> AsyncGenerator[Sequence[Message], None]:
        """Yield what is stored, for a while, without a consumer.

        Consumers are made by whoever leads the cluster, messages are given by whoever
        leads the stream: the one may be missed for longer than the other.
        """
        time = asyncio.get_running_loop().time
        ends = time() + ONE_BY_ONE_SECONDS
        status, fresh = await self._fresh_status()
        await self._verify_last()
        while self._position < status.last_sequence and time() < ends:
            following = self._position + 1
            found = await stored_message(self._connection, self._stream, following)
            if found is None:  # who reads by a consumer finds out why
                return
            await self._advance([found])
            yield [found]
            if self._position == status.last_sequence:
                status, fresh = await self._fresh_status()
        if fresh and self._position == status.last_sequence:
            yield ()

    async def _fresh_status(self) -> tuple[LogStatus, bool]:
        """Return the stream's status, and whether it is still so, as far as is known.

        Over a slow link it may be old when it comes, and the leader of a cluster may
        have been told so long ago that it still is one.
        """
        time = asyncio.get_running_loop().time
        began = time()
        status = await self._verified_status()
        age_seconds = time() - began + status.unconfirmed_ns / NANOSECONDS
        return status, age_seconds < FRESH_SECONDS

    async def _advance(self, batch: Sequence[Message]) -> None:
        """Move the position past *batch*, which must follow it without a gap."""
        first, last = batch[0].sequence, batch[-1].sequence
        if first != self._position + 1 or last != self._position + len(batch):
            await self._explain_gap(batch)
        self._position = last
        self._last = batch[-1]

    async def _explain_gap(self, batch: Sequence[Message]) -> None:
        """Raise LogReplacedError if messages are gone, else LogUnavailableError.

        The latter means that they were lost on their way: they are read again.
        """
        expected = self._position + 1
        for arrived in batch:
            if arrived.sequence != expected:
                break
            expected += 1
        log.warning("log_gap_found", sequence=expected)
        await self._verified_status()
        if await stored_message(self._connection, self._stream, expected) is None:
            message = f"message {expected} is gone from stream {self._stream}"
            raise LogReplacedError(message, sequence=str(expected))
        message = f"message {expected} was lost on its way"
        raise LogUnavailableError(message)

    async def _verified_status(self) -> LogStatus:
        """Return the stream's status; LogReplacedError if we cannot go on in it."""
        status, fault = await self._examined()
        if fault:
            await asyncio.sleep(CONFIRM_SECONDS)
            status, fault = await self._examined()
        if fault or status is None:
            message = f"stream {self._stream}: {fault}"
            position = str(self._position)
            raise LogReplacedError(message, epoch=self._epoch, sequence=position)
        return status

    async def _examined(self) -> tuple[LogStatus | None, str]:
        """Return the stream's status, and what makes it another log, or nothing."""
        try:
            status = await stream_status(self._connection, self._stream)
        except StreamMissingError:
            return None, "it was deleted"
        return status, replacement(status, self._epoch, self._position)

    async def _verify_last(self) -> None:
        """Raise LogReplacedError if the log now holds another message at our position.

        A log that was rewound while it was away may have grown past us since.
        """
        if self._last is None:
            return
        found = await stored_message(self._connection, self._stream, self._position)
        if found is None:
            await asyncio.sleep(CONFIRM_SECONDS)
            found = await stored_message(self._connection, self._stream, self._position)
        if found is None or found.store_time_ns != self._last.store_time_ns:
            message = (
                f"stream {self._stream}: message {self._position} is another than the "
                "one that was read: the log was rewound and has grown since"
            )
            raise LogReplacedError(message, sequence=str(self._position))


def replacement(status: LogStatus, epoch: str, position: int) -> str:
    """Return what keeps a reader at *position* of *epoch* from going on, or nothing."""
    if status.epoch != epoch:
        return f"it was made anew: its epoch is {status.epoch}, and was {epoch}"
    if status.last_sequence < position:
        return f"it ends at {status.last_sequence}, and {position} was read: rewound"
    if status.first_sequence > position + 1:
        return f"it begins at {status.first_sequence}, after {position}: trimmed"
    return ""


async def stored_message(
    connection: Connection, stream: str, sequence: int, subject: str = ""
) -> Message | None:
    """Return one message of *stream*, or the first of *subject* from there on, or None.

    Raises LogUnavailableError.
    """
    wanted: dict[str, int | str] = {"seq": sequence}
    if subject:
        wanted["next_by_subj"] = subject
    try:
        answer = await connection.api(f"STREAM.MSG.GET.{stream}", wanted)
    except ApiError as error:
        if error.code == MESSAGE_NOT_FOUND:
            return None
        raise
    found = answer["message"]
    body = base64.b64decode(found.get("data", ""))
    stored_ns = time_ns(found["time"])
    return Message(int(found["seq"]), stored_ns, found["subject"], body)
