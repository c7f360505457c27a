"""A core NATS subject, listened to: no stream, no acks, as zot publishes its events."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from nats.aio.msg import Msg

from placement.adapters.jetstream.connection import Connection
from placement.adapters.jetstream.settings import JetStreamSettings

LOOK_SECONDS: Final = 1.0

log = structlog.get_logger(__name__)


class NatsSubject:
    """What is published to one subject while we listen; the rest is lost to us."""

    def __init__(self, settings: JetStreamSettings, subject: str) -> None:
        """Do nothing yet: ``listen`` connects."""
        self._settings = settings
        self._subject = subject

    async def listen(self, received: Callable[[bytes], Awaitable[None]]) -> None:
        """Give each message's body to *received*, one after the other, until cancelled.

        nats-py keeps what comes meanwhile, up to its own limits, and listens again by
        itself after an outage. Raises LogUnavailableError when there is no connection.
        """
        connection = Connection(self._settings)

        async def take(message: Msg) -> None:
            await received(message.data)

        try:
            await connection.subscribe(self._subject, take)
            log.info("subject_listened_to", subject=self._subject)
            while connection.lasts:  # noqa: ASYNC110 - nats-py has no event for it
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await connection.close()
