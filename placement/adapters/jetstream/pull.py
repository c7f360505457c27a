"""An ephemeral consumer that is asked for messages ahead of time, within limits.

nats-py's own ``fetch`` and ``next_msg`` make a task for every message, which is six
times slower; here messages are appended to a list as they are found (``parser``).
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import structlog
from nats import errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from placement.adapters.jetstream.client import trace_in, trace_of
from placement.adapters.jetstream.connection import ApiError, Connection
from placement.ports import READ_BATCH_MESSAGES_MAX, LogUnavailableError, Message
from placement.tracing import active

REQUEST_MESSAGES_MAX = 4 * READ_BATCH_MESSAGES_MAX
REQUEST_BYTES_MAX = 2 << 20
"""Two open requests, what waits, and a batch in the caller's hands: 8 MiB in all."""

REQUEST_EXPIRES_SECONDS = 30
INACTIVE_SECONDS = 60
"""The server drops a consumer that was not asked for so long; it is then made anew."""

LOW_WATER_SHARE = 2
"""More is asked for when no more than one of so many of a request is expected."""
DELIVERED = b"$JS.ACK."
"""How the reply of a delivered message begins: nobody else may write such a one."""
NANOSECONDS = 1_000_000_000
PENDING_HEADER = "Nats-Pending-Messages"
HEARTBEAT_STATUS = "100"
ACK_TOKENS_V1, ACK_TOKENS_V2 = 9, 11

log = structlog.get_logger()


class PullConsumer:
    """Hands over the messages of a stream in order, from a sequence on.

    ``lost`` becomes true when nothing more can be expected of it.
    """

    def __init__(self, connection: Connection, stream: str) -> None:
        """Belong to *stream*; ``create`` does the rest."""
        self._connection = connection
        self._stream = stream
        self._name = ""
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._generation = connection.generation
        self._waiting: list[Message] = []
        self._waiting_bytes = 0
        self._expected_count = 0
        self._open: list[str] = []
        self._request_messages = REQUEST_MESSAGES_MAX
        self._request_number = 0
        self._arrived = asyncio.Event()
        self._lost = self._warned = False

    @classmethod
    async def create(
        cls,
        connection: Connection,
        stream: str,
        first_sequence: int,
        seconds_max: float,
    ) -> Self:
        """Return a consumer of *stream* from *first_sequence*.

        Raises LogUnavailableError, also when there is no answer within *seconds_max*; a
        consumer that is made after that is never asked, and dropped by whoever made it.
        """
        consumer = cls(connection, stream)
        configuration = {
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": first_sequence,
            "ack_policy": "none",
            "replay_policy": "instant",
            "inactive_threshold": INACTIVE_SECONDS * NANOSECONDS,
            "mem_storage": True,
            "num_replicas": 1,
        }
        wanted = {"stream_name": stream, "config": configuration}
        made = await connection.request(
            f"$JS.API.CONSUMER.CREATE.{stream}",
            json.dumps(wanted).encode(),
            timeout_seconds=seconds_max,
        )
        consumer._name = made["name"]
        may_ask = made.get("config", {}).get("max_batch")  # as the server is set up
        consumer._request_messages = min(
            may_ask or REQUEST_MESSAGES_MAX, REQUEST_MESSAGES_MAX
        )
        consumer._generation = connection.generation
        consumer._inbox = connection.new_inbox()
        consumer._subscription = await connection.subscribe(
            f"{consumer._inbox}.*", consumer._received, consumer._take
        )
        await consumer._request_more()
        return consumer

    @property
    def lost(self) -> bool:
        """Whether it must be made anew."""
        return self._lost or self._generation != self._connection.generation

    @property
    def empty(self) -> bool:
        """Whether no message has arrived that was not taken."""
        return not self._waiting

    @property
    def _low(self) -> bool:
        """Whether few messages are expected."""
        return self._expected_count <= self._request_messages // LOW_WATER_SHARE

    async def take(self, wait_seconds: float) -> Sequence[Message]:
        """Return what has arrived, at most a batch, waiting for it if there is none.

        Returns nothing after *wait_seconds*, or when the consumer is lost.
        """
        if not self._waiting and not self.lost:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._arrived.wait()
        batch = self._waiting[:READ_BATCH_MESSAGES_MAX]
        del self._waiting[:READ_BATCH_MESSAGES_MAX]
        self._waiting_bytes -= sum([len(message.body) for message in batch])
        await self._request_more()
        return batch

    async def known_to_server(self) -> bool:
        """Return whether the server still has the consumer; LogUnavailableError."""
        try:
            await self._connection.api(f"CONSUMER.INFO.{self._stream}.{self._name}")
        except ApiError:
            return False
        return True

    async def close(self) -> None:
        """Let go of it on both sides, as far as the server can be reached."""
        if self._subscription is not None:
            with suppress(errors.Error):
                await self._subscription.unsubscribe()
        if not self.lost:
            with suppress(LogUnavailableError):
                await self._connection.api(
                    f"CONSUMER.DELETE.{self._stream}.{self._name}"
                )

    async def _request_more(self) -> None:
        """Ask for more when little is expected, and what came is being taken.

        The server fills open requests in turn, or the older first. Either way, once
        no more than the low water are expected, only the newest is open.
        """
        if self._low:
            del self._open[: -1 if self._expected_count else None]
        if (
            not self._low
            or len(self._open) > 1
            or len(self._waiting) >= REQUEST_MESSAGES_MAX
            or self._waiting_bytes >= REQUEST_BYTES_MAX
            or self.lost
        ):
            return
        self._request_number += 1
        reply = f"{self._inbox}.{self._request_number}"
        self._open.append(reply)
        self._expected_count += self._request_messages
        request = {
            "batch": self._request_messages,
            "max_bytes": REQUEST_BYTES_MAX,
            "expires": REQUEST_EXPIRES_SECONDS * NANOSECONDS,
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
        try:
            await self._connection.publish(subject, json.dumps(request).encode(), reply)
        except LogUnavailableError:
            self._lost = True

    async def _received(self, message: Msg) -> None:
        """Note how a request ended, or keep a message that came this way."""
        if message.reply:
            subject, reply = message.subject.encode(), message.reply.encode()
            self._keep(subject, reply, trace_of(message.headers), message.data)
        else:
            self._ended(message)
        if self._low:
            await self._request_more()
        if self._waiting or self._lost:
            self._arrived.set()

    def _take(self, subject: bytes, reply: bytes, headers: bytes, body: bytes) -> None:
        """Keep a message as it travelled; ``take`` asks for more."""
        self._keep(subject, reply, trace_in(headers) if active() else "", body)

    def _keep(self, subject: bytes, reply: bytes, trace: str, body: bytes) -> None:
        """Let a message wait to be taken, unless it is none that was asked for."""
        try:
            sequence, store_time_ns = delivery(reply)
        except ValueError:
            self._strange(reply)
            return
        waiting = self._waiting
        named = subject.decode(errors="replace")  # any bytes may be stored under
        waiting.append(Message(sequence, store_time_ns, named, body, trace))
        self._waiting_bytes += len(body)
        self._expected_count -= 1
        if len(waiting) == 1:
            self._arrived.set()

    def _strange(self, reply: bytes) -> None:
        """Say, once, that somebody sends us what the stream does not."""
        if not self._warned:
            self._warned = True
            told = reply.decode("ascii", "replace")
            log.warning("log_message_strange", reply=told)

    def _ended(self, message: Msg) -> None:
        """Note that the server is done with a request, and why.

        Expired, and full by bytes, say how many messages were still expected; every
        other end (deleted, unknown, leader gone) means that the consumer is lost.
        """
        headers = message.headers or {}
        if headers.get("Status") == HEARTBEAT_STATUS:
            return
        pending = headers.get(PENDING_HEADER, "")
        if not pending.isdigit():
            self._lost = True
            status, why = headers.get("Status"), headers.get("Description")
            log.info("log_consumer_lost", status=status, description=why)
            return
        self._expected_count -= int(pending)
        if message.subject in self._open:
            self._open.remove(message.subject)


def delivery(reply: bytes) -> tuple[int, int]:
    """Return the sequence and store time (ns) that a delivered message's reply holds.

    $JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<consumer sequence>.<time>.…,
    with two more tokens (domain, account) before the stream in its newer form. Raises
    ValueError for any other reply.
    """
    tokens = reply.split(b".")
    if not reply.startswith(DELIVERED) or len(tokens) < ACK_TOKENS_V1:
        message = "it is of no delivery"
        raise ValueError(message)
    first = 5 if len(tokens) < ACK_TOKENS_V2 else 7
    return int(tokens[first]), int(tokens[first + 2])
