"""What services say to each other on a core NATS subject: kept nowhere, told once."""

from collections.abc import Awaitable, Callable

from placement.adapters.jetstream.connection import Connection
from placement.adapters.jetstream.settings import JetStreamSettings
from placement.adapters.jetstream.subject import NatsSubject
from placement.nats_authority.names import FINGERPRINTS


class NatsPeers:
    """The services over one stream."""

    def __init__(self, settings: JetStreamSettings) -> None:
        """Do nothing yet: the first call connects."""
        self._subject = f"{FINGERPRINTS}.{settings.stream}"
        self._heard = NatsSubject(settings, self._subject)
        self._connection = Connection(settings)

    async def tell(self, body: bytes) -> None:
        """Send *body* to whoever listens now; raises LogUnavailableError."""
        await self._connection.publish(self._subject, body, "")

    async def listen(self, received: Callable[[bytes], Awaitable[None]]) -> None:
        """Give each body to *received* until cancelled; raises LogUnavailableError."""
        await self._heard.listen(received)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._connection.close()
