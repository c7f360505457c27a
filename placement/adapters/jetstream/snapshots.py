"""A whole stream as a file, and back: JetStream's own snapshots, by its requests.

What comes back has the sequences and store times that it had, so it folds to the same
state. It is as old as the restoring, so it is another epoch. Consumers are left out.
"""

import asyncio
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, BinaryIO, Final

from nats import errors
from nats.aio.msg import Msg

from placement.adapters.jetstream.connection import ApiError, Connection
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.jetstream.stream import STREAM_EXISTS, status_of, stream_info
from placement.backups import Taken
from placement.ports import LogConfigurationError, LogStatus, LogUnavailableError

CHUNK_BYTES: Final = 128 << 10
NAME_TAKEN: Final = 10130
"""As newer servers say it of a restoring."""
ANSWER_SECONDS: Final = 60.0
"""The server looks through the stream, or builds it up, before it answers."""


class StreamSnapshots:
    """Takes and gives the stream of some settings; see ``placement.backups``."""

    def __init__(self, settings: JetStreamSettings) -> None:
        """Connect at the first request."""
        self._stream = settings.stream
        self._connection = Connection(settings)

    async def take(self, file: BinaryIO) -> Taken:
        """Write the stream as it is to *file*; services may go on meanwhile.

        Raises LogForbiddenError where our user may not, and LogUnavailableError.
        """
        info = await stream_info(self._connection, self._stream)
        inbox = self._connection.new_inbox()
        arrived: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await self._connection.subscribe(inbox, arrived.put)
        try:
            answer = await self._connection.request(
                f"$JS.API.STREAM.SNAPSHOT.{self._stream}",
                json.dumps(
                    {
                        "deliver_subject": inbox,
                        "no_consumers": True,
                        "jsck": True,
                        "chunk_size": CHUNK_BYTES,
                    }
                ).encode(),
                timeout_seconds=ANSWER_SECONDS,
            )
            await self._written(arrived, file)
        finally:
            with suppress(errors.Error):
                await subscription.unsubscribe()
        return Taken(self._stream, status_of(info).epoch, answer)

    async def give(self, description: Any, chunks: Iterable[bytes]) -> LogStatus:  # noqa: ANN401 - as JetStream described it
        """Make the stream anew from *chunks*; returns where it stands.

        Raises LogConfigurationError where there is one, LogForbiddenError where our
        user may not, and LogUnavailableError.
        """
        wanted = {"config": description["config"], "state": description["state"]}
        try:
            answer = await self._connection.request(
                f"$JS.API.STREAM.RESTORE.{self._stream}", json.dumps(wanted).encode()
            )
            deliver = answer["deliver_subject"]
            for chunk in chunks:
                await self._connection.reply(
                    deliver, chunk, timeout_seconds=ANSWER_SECONDS
                )
            await self._connection.request(deliver, b"", timeout_seconds=ANSWER_SECONDS)
        except ApiError as error:
            if error.code in {STREAM_EXISTS, NAME_TAKEN}:
                message = (
                    f"there is a stream {self._stream}: restore into a broker without"
                    " one, such as an empty data_dir; nothing was changed"
                )
                raise LogConfigurationError(message, field="nats.stream") from error
            raise
        return status_of(await stream_info(self._connection, self._stream))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()

    async def _written(self, arrived: "asyncio.Queue[Msg]", file: BinaryIO) -> None:
        """Write what arrives to its end; each piece is acknowledged once written."""
        while True:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    message = await arrived.get()
            except TimeoutError as error:
                what = f"the snapshot of {self._stream} stopped half-way"
                raise LogUnavailableError(what) from error
            if not message.data:
                status = (message.headers or {}).get("Status", "")
                if status.startswith(("4", "5")):
                    what = f"the snapshot of {self._stream} failed: {message.headers}"
                    raise LogUnavailableError(what)
                return
            await asyncio.to_thread(file.write, message.data)
            if message.reply:
                await self._connection.publish(message.reply, b"", "")
