"""Messages of a stream as work: each comes again until somebody says that it is done.

A durable consumer with explicit acks, which the server keeps: after a restart work goes
on where it was. Who holds a message says so every now and then; whoever is killed stops
saying it, and after *ack_wait_seconds* the message comes again.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog
from nats import errors
from nats.aio.msg import Msg

from placement.adapters.jetstream.client import trace_of
from placement.adapters.jetstream.connection import Connection
from placement.adapters.jetstream.pull import delivery
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.ports import LogUnavailableError, Message

HELD_MAX: Final = 256
"""Messages in our hands at once."""
ACK_WAIT_SECONDS: Final = 30.0
REQUEST_MESSAGES: Final = 64
REQUEST_EXPIRES_SECONDS: Final = 10.0
NANOSECONDS: Final = 1_000_000_000
ACK_TOKENS_V1: Final = 9

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkQueueSettings:
    """Which messages, and under what name the server keeps how far they are done."""

    subjects: str
    """A pattern, such as ``placement.decisions.v1.syd.>``."""
    name: str
    """Of the durable consumer; who shares it shares the work."""
    ack_wait_seconds: float = ACK_WAIT_SECONDS


class Held:
    """One message in our hands. To settle it raises nothing: it may come again."""

    def __init__(self, queue: "WorkQueue", message: Message, reply: str) -> None:
        """Keep where to say what became of *message*."""
        self.message = message
        self.attempt = _delivered(reply)
        """1 when it came for the first time."""
        self.reply = reply
        self._queue = queue

    async def done(self) -> None:
        """Say that it is done."""
        await self._queue.settle(self, b"+ACK")

    async def again(self, delay_seconds: float) -> None:
        """Let it come again, not before *delay_seconds*."""
        said = json.dumps({"delay": int(delay_seconds * NANOSECONDS)})
        await self._queue.settle(self, b"-NAK " + said.encode())


class WorkQueue:
    """Takes work from one durable consumer of the stream."""

    def __init__(
        self, log_settings: JetStreamSettings, queue: WorkQueueSettings
    ) -> None:
        """Do nothing yet; ``held`` connects."""
        self._settings = queue
        self._stream = log_settings.stream
        self._connection = Connection(log_settings)
        self._held: dict[str, Held] = {}
        self._arrived: deque[Held] = deque()
        self._woken = asyncio.Event()
        self._lost = False
        self._expected = 0
        """Messages of the open request that did not come yet."""
        self._open_until_s = 0.0

    async def held(self) -> AsyncGenerator[Held, None]:
        """Yield messages as they come, for ever; each is ours until it is settled.

        Raises LogUnavailableError when there is nothing to be had now; what is held
        stays so. Call it again.
        """
        await self._make_consumer()
        inbox = self._connection.new_inbox()
        subscription = await self._connection.subscribe(f"{inbox}.*", self._received)
        self._lost, self._expected = False, 0
        keeping = asyncio.create_task(self._keep_holding())
        try:
            while True:
                await self._request(inbox)
                while self._arrived:
                    yield self._arrived.popleft()
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            with suppress(errors.Error):
                await subscription.unsubscribe()

    async def close(self) -> None:
        """Let go of the connection; what is held comes again."""
        await self._connection.close()

    async def settle(self, held: Held, word: bytes) -> None:
        """Say what became of a message."""
        if self._held.pop(held.reply, None) is None:
            return
        self._woken.set()
        try:
            await self._connection.publish(held.reply, word, "")
        except LogUnavailableError as error:
            log.info("work_not_settled", error=str(error))

    async def _make_consumer(self) -> None:
        """Let the server keep the consumer, if it does not yet.

        The request's subject names it and its filter, so that a permission can tell
        whose work somebody takes.
        """
        queue, stream = self._settings, self._stream
        configuration = {
            "durable_name": queue.name,
            "name": queue.name,
            "filter_subject": queue.subjects,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(queue.ack_wait_seconds * NANOSECONDS),
            "max_ack_pending": HELD_MAX,
            "replay_policy": "instant",
        }
        await self._connection.api(
            f"CONSUMER.CREATE.{stream}.{queue.name}.{queue.subjects}",
            {"stream_name": stream, "config": configuration},
        )

    async def _request(self, inbox: str) -> None:
        """Ask for messages unless that is still open; return when anything came."""
        self._woken.clear()
        loop = asyncio.get_running_loop()
        generation = self._connection.generation
        room = min(REQUEST_MESSAGES, HELD_MAX - len(self._held))
        if room > 0 and (not self._expected or loop.time() >= self._open_until_s):
            expires = int(REQUEST_EXPIRES_SECONDS * NANOSECONDS)
            body = json.dumps({"batch": room, "expires": expires}).encode()
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._settings.name}"
            self._expected = room
            self._open_until_s = loop.time() + REQUEST_EXPIRES_SECONDS + 1
            await self._connection.publish(subject, body, f"{inbox}.0")
        with suppress(TimeoutError):
            async with asyncio.timeout_at(max(loop.time() + 1, self._open_until_s)):
                await self._woken.wait()
        if self._lost or generation != self._connection.generation:
            message = f"the work queue {self._settings.name} has to be begun anew"
            raise LogUnavailableError(message)

    async def _received(self, message: Msg) -> None:
        """Keep a message, or note how a request ended."""
        if message.reply:
            sequence, store_time_ns = delivery(message.reply.encode())
            body = message.data
            trace = trace_of(message.headers)
            taken = Message(sequence, store_time_ns, message.subject, body, trace)
            held = Held(self, taken, message.reply)
            self._held[held.reply] = held
            self._arrived.append(held)
            self._expected = max(0, self._expected - 1)
        else:
            self._expected = 0
            headers = message.headers or {}
            over = headers.get("Status") in {"404", "408", "409"}
            deleted = "Consumer" in headers.get("Description", "")
            self._lost |= not over or deleted
        self._woken.set()

    async def _keep_holding(self) -> None:
        """Say every now and then that we are still at what we hold."""
        while True:
            await asyncio.sleep(self._settings.ack_wait_seconds / 3)
            for reply in list(self._held):
                with suppress(LogUnavailableError):
                    await self._connection.publish(reply, b"+WPI", "")


def _delivered(reply: str) -> int:
    """Return how often a message was delivered, by its reply; see ``delivery``."""
    tokens = reply.split(".")
    return int(tokens[4] if len(tokens) == ACK_TOKENS_V1 else tokens[6])
