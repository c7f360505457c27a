"""The HTTP door for a registry's notifications: thin, and slow to say no.

A registry keeps what is not answered 2xx or 3xx, repeats it for ever and sends nothing
else meanwhile. So 200 means: stored, or never to be understood. Anything that somebody
can set right is refused, so that the registry keeps it: the broker (503), the secret
(401), the region (403: the notifications of another registry would place content where
it is not), the size (413).
"""

import asyncio
import contextlib
import hmac
import json
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from placement.agent.feeds.captured import REGION_HEADER
from placement.agent.feeds.distribution import translate
from placement.agent.feeds.request_log import RequestRecord
from placement.agent.feeds.translation import FeedSettings, Malformed, Translation
from placement.core.errors import InputError, PlacementError
from placement.core.event import Event
from placement.runtime.publisher import Outcome, Published

BODY_BYTES_MAX: Final = 1 << 20
ANSWER_SECONDS_MAX: Final = 10.0
RETRY_AFTER_SECONDS: Final = 1
LOGGED_AN_ENVELOPE_MAX: Final = 10
CONNECTIONS_MAX: Final = 64
STOP_SECONDS_MAX: Final = 5

log = structlog.get_logger(__name__)


Publish = Callable[[Sequence[Event]], Awaitable[Published]]
"""Stores events durably before it returns: ``Publisher.publish``.

Raises PlacementError (LOG_UNAVAILABLE, LOG_FULL) when they are not known to be stored.
"""


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """For which registry the door is, and the bearer token it asks for, if any."""

    feed: FeedSettings
    token: str = field(default="", repr=False)


class Receiver:
    """Answers one registry's notifications and counts what became of them."""

    def __init__(
        self,
        settings: ReceiverSettings,
        publish: Publish,
        request_log: Mapping[str, RequestRecord] | None = None,
    ) -> None:
        """Keep what the answers rest on; *request_log* may grow while it serves."""
        self._settings = settings
        self._publish = publish
        self._request_log = request_log
        self.counts: Counter[str] = Counter()

    async def notifications(self, request: Request) -> Response:
        """Answer one envelope: see the module for what each status promises."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                body = await _body(request)
                if body is None:
                    remedy = f"post at most {BODY_BYTES_MAX} bytes"
                    return self._refused(413, "body", "too large", remedy)
                translation = _translated(body, self._settings.feed, self._request_log)
                answer = await self._stored(translation)
        except (PlacementError, TimeoutError) as error:
            self.counts["unstored"] += 1
            reason = getattr(error, "reason", "DEADLINE_EXCEEDED")
            log.warning("notifications_unstored", reason=reason, error=str(error))
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return JSONResponse({"reason": reason}, 503, headers)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return JSONResponse(answer)

    async def health(self, _request: Request) -> Response:
        """Say that the door is open, and what became of all that came through it."""
        return JSONResponse({"status": "SERVING", **self.counts})

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to a sender that is not this door's registry."""
        token = self._settings.token
        given = request.headers.get("Authorization", "")
        if token and not hmac.compare_digest(
            given.encode(), f"Bearer {token}".encode()
        ):
            remedy = "send the header Authorization: Bearer and the receiver's token"
            return self._refused(401, "Authorization", "not the token", remedy)
        region = self._settings.feed.region
        claimed = request.headers.get(REGION_HEADER)
        if claimed is not None and claimed != region:
            remedy = f"this receiver is for {region}; correct the registry's endpoint"
            return self._refused(403, REGION_HEADER, claimed, remedy)
        return None

    def _refused(self, status: int, field: str, value: str, remedy: str) -> Response:
        self.counts["refused"] += 1
        error = InputError(field, value, remedy)
        log.warning("notifications_refused", status=status, **error.metadata)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None  # noqa: PLR2004 - HTTP
        return JSONResponse({"error": str(error)}, status, headers)

    async def _stored(self, translation: Translation) -> dict[str, int]:
        """Return what became of the notifications, once those that can be are stored.

        Raises what ``publish`` raises; a repeat is then the same events.
        """
        answer = dict.fromkeys((outcome.name.lower() for outcome in Outcome), 0)
        if translation.events:
            published = await self._publish(translation.events)
            for outcome in published.outcomes:
                answer[outcome.name.lower()] += 1
        answer["ignored"] = len(translation.ignored)
        answer["malformed"] = len(translation.malformed)
        for fault in translation.malformed[:LOGGED_AN_ENVELOPE_MAX]:
            log.warning(
                "notification_malformed",
                index=fault.index,
                field=fault.field,
                value=fault.value,
                remedy=fault.remedy,
            )
        self.counts.update(answer)
        return answer


def receiver_app(receiver: Receiver) -> Starlette:
    """Return the receiver as an ASGI app."""
    path = "/v1/notifications/distribution"
    return Starlette(
        routes=[
            Route(path, receiver.notifications, methods=["POST"]),
            Route("/", receiver.notifications, methods=["POST"]),
            Route("/healthz", receiver.health, methods=["GET"]),
        ]
    )


async def _body(request: Request) -> bytes | None:
    """Return the whole body, or None as soon as it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return None
    return bytes(body)


def _translated(
    body: bytes, feed: FeedSettings, request_log: Mapping[str, RequestRecord] | None
) -> Translation:
    """Return what *body* means; one that is no JSON is one malformed envelope."""
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        error = InputError("body", f"{len(body)} bytes", "post a JSON envelope")
        return Translation(malformed=(Malformed.of(None, error),))
    return translate(envelope, feed, request_log)


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve_receiver(
    app: Starlette,
    host: str,
    port: int,
    on_listening: Callable[[int], None] | None = None,
) -> None:
    """Serve *app* until cancelled; then finish the open answers, and stop.

    *on_listening* is told the port, once it is bound (0: any free one). Raises OSError
    when it cannot be.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    bound = listener.getsockname()[1]
    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan="off",
        limit_concurrency=CONNECTIONS_MAX,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
        ws="none",
    )
    server = _Server(config)
    log.info("receiver_listening", host=host, port=bound)
    if on_listening is not None:
        on_listening(bound)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
        log.info("receiver_stopped", port=bound)
