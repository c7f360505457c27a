"""One connection to NATS that heals itself, and JetStream's requests over it."""

import asyncio
import json
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from placement.adapters.jetstream.cancellation import cancellation_kept
from placement.adapters.jetstream.client import LeanClient, abandon
from placement.adapters.jetstream.doubts import Doubts
from placement.adapters.jetstream.parser import Taker
from placement.adapters.jetstream.settings import JetStreamSettings, identity_options
from placement.adapters.jetstream.waits import Wait, Waits
from placement.ports import LogForbiddenError, LogUnavailableError

API_TIMEOUT_SECONDS = 2.0
UNAVAILABLE_STATUS = 503
PING_INTERVAL_SECONDS = 3
PINGS_OUTSTANDING_MAX = 2
"""A connection that is dead without saying so is given up after three intervals."""

RECONNECT_WAIT_SECONDS = (0.2, 0.4)
"""Each process draws its own wait from this range, so that many do not come at once."""

REFUSED = "Authorization Violation"
"""The server's words for: not with this password, token or credentials file."""

Received = Callable[[Msg], Awaitable[None]]

log = structlog.get_logger()


class ApiError(LogUnavailableError):
    """JetStream answered a request with an error.

    ``status`` is like HTTP's, ``code`` one of JetStream's own error codes.
    """

    def __init__(self, error: dict[str, Any]) -> None:
        """Keep the parts of JetStream's *error* document."""
        self.status = int(error.get("code", 0))
        self.code = int(error.get("err_code", 0))
        self.description = str(error.get("description", ""))
        super().__init__(f"JetStream: {self.description} (error {self.code})")


class Connection:
    """Connects when first needed, and again for ever after.

    ``generation`` changes with each new connection: what the server kept for the
    old one (subscriptions' open requests) is gone then.
    """

    def __init__(self, settings: JetStreamSettings) -> None:
        """Do nothing yet: *settings* are used at the first request."""
        self._settings = settings
        self._client: LeanClient | None = None
        self._opening, self._waits = asyncio.Lock(), Waits()
        self._last_error = ""
        self._connecting = False
        self._doubts = Doubts(several=len(settings.servers) > 1)
        self.generation = 0
        self.closed = False

    @property
    def payload_bytes_max(self) -> int:
        """The largest message that the server takes; 0 before the first connection."""
        return self._client.max_payload if self._client else 0

    @property
    def lasts(self) -> bool:
        """Whether it is connected, or tries to be again by itself."""
        return self._client is not None and not self._client.is_closed

    @property
    def server_version(self) -> str:
        """The version of the server that we are connected to, such as 2.15.1."""
        if self._client is None:
            return ""
        version = self._client.connected_server_version
        return f"{version.major}.{version.minor}.{version.patch}"

    def trusted(self) -> None:
        """Note that the server just gave an answer that only a whole cluster gives."""
        self._doubts.dispel()

    async def doubted(self) -> None:
        """Note that it did not; after a while another server is tried."""
        client = self._client
        if client is None or not client.is_connected:
            self._doubts.dispel()
        elif self._doubts.add():
            log.warning("log_server_silent", remedy="another server is tried")
            await client.force_reconnect()

    def new_inbox(self) -> str:
        """Return a subject that nobody else listens to."""
        assert self._client is not None
        return self._client.new_inbox()

    async def api(self, name: str, body: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - a JSON document
        """Return JetStream's answer to the request *name*, such as STREAM.INFO.X.

        Raises ApiError for an answer that says no, else LogUnavailableError.
        """
        payload = b"" if body is None else json.dumps(body).encode()
        return await self.request(f"$JS.API.{name}", payload)

    async def request(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str] | None = None,
        timeout_seconds: float = API_TIMEOUT_SECONDS,
    ) -> Any:  # noqa: ANN401 - a JSON document
        """Return the JSON document that answers *payload*.

        Raises ApiError, and as ``reply`` does when no answer came.
        """
        reply = await self.reply(subject, payload, headers, timeout_seconds)
        document = json.loads(reply.data)
        if "error" in document:
            refused = ApiError(document["error"])
            if refused.status == UNAVAILABLE_STATUS:
                await self.doubted()
            raise refused
        return document

    async def reply(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str] | None = None,
        timeout_seconds: float = API_TIMEOUT_SECONDS,
    ) -> Msg:
        """Return what answers *payload*.

        Raises LogForbiddenError where the server does not permit us to ask, and
        LogUnavailableError when no answer came.
        """
        client = await self._connected()
        wait = Wait(subject)
        try:
            async with asyncio.timeout(timeout_seconds) as limit:
                with self._waits.until(wait, limit), cancellation_kept():
                    return await client.request(
                        subject, payload, timeout=timeout_seconds, headers=headers
                    )
        except nats.errors.NoRespondersError as error:
            await self.doubted()
            message = f"no stream listens on {subject}: nothing was stored or answered"
            raise LogUnavailableError(message) from error
        except (nats.errors.Error, TimeoutError, OSError) as error:
            if wait.denial:  # which tells of us, not of the server
                raise LogForbiddenError(wait.denial, subject=subject) from error
            await self.doubted()
            within = f"within {timeout_seconds:g} s" if client.is_connected else "now"
            message = f"{subject}: no answer {within}: {self._last_error or error!r}"
            raise LogUnavailableError(message) from error

    async def publish(self, subject: str, payload: bytes, reply: str) -> None:
        """Send *payload* now or never, which raises LogUnavailableError."""
        client = await self._connected()
        try:
            await client.publish(subject, payload, reply=reply)
        except (nats.errors.Error, OSError) as error:
            message = f"{subject}: not sent: {error!r}"
            raise LogUnavailableError(message) from error

    async def subscribe(
        self, subject: str, received: Received, taker: Taker | None = None
    ) -> Subscription:
        """Call *received* for each message on *subject*; LogUnavailableError.

        If there is a *taker*, for those alone that it is not given at once.
        """
        client = await self._connected()
        try:
            made = await client.subscribe(subject, cb=received)
        except (nats.errors.Error, OSError) as error:
            message = f"{subject}: cannot listen: {error!r}"
            raise LogUnavailableError(message) from error
        if taker is not None:
            client.let_take(made, taker)
        return made

    async def close(self) -> None:
        """Close for good, within CLOSE_TIMEOUT_SECONDS."""
        self.closed = True
        if self._client is not None:
            await abandon(self._client)

    async def _connected(self) -> LeanClient:
        """Return the client if it is connected now, else raise LogUnavailableError."""
        async with self._opening:
            if self.closed:
                message = "the log was closed by this process"
                raise LogUnavailableError(message)
            if self._client is None or self._client.is_closed:
                self._client = await self._opened()
        if not self._client.is_connected:
            where = self._settings.shown_servers
            message = f"not connected to {where}, trying again: {self._last_error}"
            raise LogUnavailableError(message)
        return self._client

    async def _opened(self) -> LeanClient:
        """Return a new connected client, or raise LogUnavailableError."""
        settings = self._settings
        options = self._options() | identity_options(settings)
        try:
            async with asyncio.timeout(settings.connect_timeout_seconds):
                while True:
                    with cancellation_kept():
                        client = self._client = await self._attempted(options)
                    if client is not None:
                        break
                    await asyncio.sleep(options["reconnect_time_wait"])
        except TimeoutError as error:
            reason = self._last_error or "no answer"
            message = f"cannot connect to {settings.shown_servers}: {reason}"
            raise LogUnavailableError(message) from error
        if self.closed:  # meanwhile
            await abandon(client)
        self._last_error = ""
        self.generation += 1
        log.info("log_connected", servers=settings.shown_servers)
        return client

    async def _attempted(self, options: dict[str, Any]) -> LeanClient | None:
        """Return a connected client, or None when another attempt may do better.

        nats-py would go on by itself, and leave sockets open: ``_failed`` ends its
        attempt. Who is not let in, or trusts no server: LogUnavailableError.
        """
        client = LeanClient()
        self._connecting = True
        try:
            await client.connect(**options)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            await abandon(client)
            self._last_error = str(error) or repr(error)
            if REFUSED in self._last_error or isinstance(error, ssl.SSLError):
                where = self._settings.shown_servers
                message = f"cannot connect to {where}: {self._last_error}"
                raise LogUnavailableError(message) from error
            return None
        except BaseException:
            await abandon(client)
            raise
        finally:
            self._connecting = False
        return client

    def _options(self) -> dict[str, Any]:
        """Return how the client should behave, whoever we are."""
        return {
            "servers": list(self._settings.servers),
            "name": "placement",
            "inbox_prefix": self._settings.inbox_prefix.encode(),
            "connect_timeout": API_TIMEOUT_SECONDS,
            "reconnect_time_wait": random.uniform(*RECONNECT_WAIT_SECONDS),  # noqa: S311 - spreads load
            "max_reconnect_attempts": -1,
            "ping_interval": PING_INTERVAL_SECONDS,
            "max_outstanding_pings": PINGS_OUTSTANDING_MAX,
            "pending_size": 0,  # publishing while cut off fails at once
            "error_cb": self._failed,
            "disconnected_cb": self._disconnected,
            "reconnected_cb": self._reconnected,
        }

    async def _failed(self, error: Exception) -> None:
        """Remember *error*; while cut off there is one for every attempt."""
        self._last_error = str(error) or repr(error)
        if self._connecting:
            raise error
        self._waits.denied(self._last_error)
        connected = self._client is not None and self._client.is_connected
        level = log.warning if connected else log.debug
        level("log_client_failed", error=self._last_error)

    async def _disconnected(self) -> None:
        """Say so once per outage, and wait no longer for answers that cannot come."""
        self._waits.lost()
        if not self.closed and not self._connecting:
            log.warning("log_disconnected", error=self._last_error)

    async def _reconnected(self) -> None:
        """Make those who wait for the old connection begin anew."""
        self._last_error = ""
        self.generation += 1
        log.info("log_reconnected", generation=self.generation)
