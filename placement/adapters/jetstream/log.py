"""The event log in a NATS JetStream stream."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Self

from placement import tracing
from placement.adapters.jetstream.connection import ApiError, Connection
from placement.adapters.jetstream.direct import last_message
from placement.adapters.jetstream.expecting import stored_if
from placement.adapters.jetstream.reader import (
    RETRY_SECONDS,
    StreamReader,
    stored_message,
)
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.jetstream.stream import ensure_stream, stream_status
from placement.adapters.log_message import check_body, matches
from placement.ports import (
    Appended,
    Expected,
    LogConfigurationError,
    LogFullError,
    LogStatus,
    LogUnavailableError,
    Message,
)

EPOCH_CHECK_SECONDS = 2.0
"""An acknowledgement does not say which epoch it is of: so old may our knowledge be."""

STREAM_DIFFERS = 10060
STREAM_FULL = 10077
STORAGE_FULL = (10023, 10047)


class JetStreamLog:
    """An EventLog; see ``placement.ports`` for its promises.

    It connects at the first call, creates the stream if there is none, and verifies
    it: so any first call may also raise LogConfigurationError. ``connect`` does that
    at once. After ``close``, every call raises LogUnavailableError.
    """

    def __init__(self, settings: JetStreamSettings) -> None:
        """Do nothing yet but keep *settings*."""
        self._settings = settings
        self._connection = Connection(settings)
        self._preparing = asyncio.Lock()
        self._epoch = ""
        self._checked: tuple[int, float] | None = None
        self._appended_sequence = 0

    @classmethod
    async def connect(cls, settings: JetStreamSettings) -> Self:
        """Return a log that has been reached, made if need be, and verified.

        Raises LogUnavailableError and LogConfigurationError.
        """
        opened = cls(settings)
        try:
            await opened._prepare()
        except BaseException:
            await opened.close()
            raise
        return opened

    async def append(
        self,
        subject: str,
        body: bytes,
        message_id: str,
        expected: Expected | None = None,
    ) -> Appended:
        """Store a message durably, once per *message_id* in the duplicate window.

        What is *expected* is up to the server; before nats-server 2.11 see
        ``expecting``. Raises LogMovedError, LogFullError, LimitInvalidError for a body
        over BODY_BYTES_MAX, and LogUnavailableError when it is not known to be stored:
        repeat with the same id and expectation.
        """
        with tracing.span("append", attributes={"subject": subject}):
            return await self._append(subject, body, message_id, expected)

    async def _append(
        self, subject: str, body: bytes, message_id: str, expected: Expected | None
    ) -> Appended:
        check_body(body)
        await self._prepare()
        stream = self._settings.stream
        headers = message_headers(stream, subject, message_id) | tracing.headers()

        async def store(more: dict[str, str]) -> Any:  # noqa: ANN401 - a JSON document
            return await self._connection.request(
                subject, body, headers | more, self._settings.append_timeout_seconds
            )

        try:
            if expected is None:
                stored = await store({})
            else:
                assert matches(expected.subjects, subject), "expects of its own kind"
                stored = await stored_if(
                    expected, store, message_id, self._connection, stream
                )
        except ApiError as error:
            raise refusal(error, subject, stream) from error
        self._connection.trusted()
        sequence, duplicate = stored["seq"], stored.get("duplicate", False)
        await self._check_epoch(rewound=sequence <= self._appended_sequence)
        self._appended_sequence = sequence
        return Appended(self._epoch, sequence, duplicate)

    async def read(
        self, after_sequence: int, epoch: str = ""
    ) -> AsyncGenerator[Sequence[Message], None]:
        """Yield as the port says; without *epoch*, from what ``status`` said last."""
        while True:
            try:
                await self._prepare()
                break
            except LogUnavailableError:
                if self._connection.closed:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
        stream, expected = self._settings.stream, epoch or self._epoch
        reader = StreamReader(self._connection, stream, expected, after_sequence)
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                yield batch

    async def message(self, sequence: int, subject: str = "") -> Message | None:
        """Return one message, or the first of *subject* from there on, or None."""
        await self._prepare()
        if sequence < 1:
            return None
        stream = self._settings.stream
        return await stored_message(self._connection, stream, sequence, subject)

    async def last(self, subject: str) -> Message | None:
        """Return the last message of *subject*, or None."""
        await self._prepare()
        return await last_message(self._connection, self._settings.stream, subject)

    async def status(self) -> LogStatus:
        """Say what log this is and how far it reaches, by asking it now."""
        await self._prepare()
        return await self._ask_status()

    async def close(self) -> None:
        """Let go of the connection; the log stays. Takes two seconds at most."""
        await self._connection.close()

    async def _prepare(self) -> None:
        """Create and verify the stream, once; LogUnavailableError may come first."""
        if self._epoch:
            return
        async with self._preparing:
            if not self._epoch:
                status = await ensure_stream(self._connection, self._settings)
                self._remember(status)

    async def _ask_status(self) -> LogStatus:
        """Ask the stream, and remember its epoch."""
        status = await stream_status(self._connection, self._settings.stream)
        self._remember(status)
        return status

    def _remember(self, status: LogStatus) -> None:
        """Keep the epoch, and when and through which connection we learned it."""
        self._epoch = status.epoch
        now_seconds = asyncio.get_running_loop().time()
        self._checked = (self._connection.generation, now_seconds)

    async def _check_epoch(self, *, rewound: bool) -> None:
        """Ask for the epoch again if there is any reason to doubt it.

        It may have changed if what we know is old or of an old connection, or if a
        message was stored at a sequence that is not after the one before (*rewound*).
        """
        assert self._checked is not None
        generation, checked_seconds = self._checked
        now_seconds = asyncio.get_running_loop().time()
        if (
            rewound
            or generation != self._connection.generation
            or now_seconds - checked_seconds > EPOCH_CHECK_SECONDS
        ):
            await self._ask_status()


def message_headers(stream: str, subject: str, message_id: str) -> dict[str, str]:
    """Return JetStream's headers, and CloudEvents attributes in its binary mode.

    The type is the subject without its region: placement.events.v1.content_pushed.
    """
    tokens = subject.split(".")
    return {
        "Nats-Msg-Id": message_id,
        "Nats-Expected-Stream": stream,
        "ce-specversion": "1.0",
        "ce-id": message_id,
        "ce-source": "placement",
        "ce-type": ".".join([*tokens[:3], *tokens[4:]]),
    }


def refusal(error: ApiError, subject: str, stream: str) -> Exception:
    """Return what *error*, the answer to an append, means to the caller."""
    full = error.code == STREAM_FULL and "maximum" in error.description
    if full or error.code in STORAGE_FULL:
        message = (
            f"stream {stream} is full: {error.description}: raise max_bytes or give "
            "the server more disk; nothing is dropped to make room"
        )
        return LogFullError(message, stream=stream)
    if error.code == STREAM_DIFFERS:
        message = f"{subject} is stored by another stream than {stream}: rename one"
        return LogConfigurationError(message, field="stream")
    return LogUnavailableError(f"{subject} was not stored: {error}")
