"""The HTTP door for notifications and machine starts: thin, and slow to say no.

A registry keeps what is not answered 2xx or 3xx, repeats it for ever and sends nothing
else meanwhile. So 200 means: on our disk, whatever it says; what cannot be understood
is set aside later. Anything that somebody can set right is refused, so that the sender
keeps it: the spool (503), the secret (401), the region (403: the notifications of
another registry would place content where it is not), the feed (404), the size (413),
what is compressed (415);
and of a scheduler's own JSON, what it got wrong (422): nothing of that body is taken.
"""

import asyncio
import hashlib
import hmac
import socket
from collections import Counter
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from dataclasses import asdict, dataclass, field
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from placement.agent.feeds.captured import REGION_HEADER
from placement.agent.feeds.translation import Malformed
from placement.agent.starts.catalogue import Check
from placement.core.errors import InputError, PlacementError
from placement.core.topology import Region
from placement.faults import FaultPoint, reach
from placement.hosting import Hosting, host_app, port_of
from placement.ports import Clock
from placement.spooling import NOTE_BYTES_MAX, Note, SpoolFigures
from placement.tracing import HEADER, parsed, sampled

BODY_BYTES_MAX: Final = NOTE_BYTES_MAX
HEADER_LENGTH_MAX: Final = 1_024
ANSWER_SECONDS_MAX: Final = 10.0
RETRY_AFTER_SECONDS: Final = 1
CONNECTIONS_MAX: Final = 64

DISTRIBUTION: Final = "distribution"
OTHER: Final = "other"
OUTCOMES: Final = {200: "spooled", 503: "unspooled"}
"""By the status of an answer; any other one refuses."""
FAULTS_SHOWN_MAX: Final = 100
STARTS: Final = "starts/"
"""How the feeds of schedulers begin in the spool."""
SIGNATURE: Final = "X-Placement-Signature"
TIMESTAMP: Final = "X-Placement-Timestamp"
HUB_SIGNATURE: Final = "X-Hub-Signature-256"
"""WebSub's, of the body alone: what was recorded can be sent again, as the same
events."""
SIGNED_SECONDS_MAX: Final = 300
"""So far may the time of a signature be from ours, either way."""
_DIGITS_MAX: Final = 12

log = structlog.get_logger(__name__)

Put = Callable[[Sequence[Note]], Awaitable[None]]
"""Takes notes durably: ``Spool.put``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings:
    """For which registry the door is, what it takes, and which secrets it asks for."""

    region: Region
    feeds: Collection[str]
    """What may be posted: registries' feeds by name, schedulers' as STARTS and name."""
    token: str = field(default="", repr=False)
    """A bearer token; empty: none is asked for."""
    signature_key: bytes = field(default=b"", repr=False)
    """The key of an HMAC-SHA256 over the body; either proof will do if both are set."""
    checks: Mapping[str, Check] = field(default_factory=dict)
    """By feed, what finds the faults of a body whose sender can mend them."""


class Receiver:
    """Answers what is posted beside one registry, and counts what became of it."""

    def __init__(self, settings: ReceiverSettings, put: Put, clock: Clock) -> None:
        """Spool by *put*; *clock* says when something came."""
        self._settings = settings
        self._put = put
        self._clock = clock
        self.counts: Counter[str] = Counter(received=0, spooled=0, refused=0)
        self.by_feed: Counter[tuple[str, str]] = Counter()
        """What became of what was posted, by its feed; OTHER: no feed of ours."""

    async def notifications(self, request: Request) -> Response:
        """Answer a registry: see the module for what each status promises."""
        feed = request.path_params.get("feed", "") or DISTRIBUTION
        return await self._counted(request, feed)

    async def starts(self, request: Request) -> Response:
        """Answer a scheduler, in the same way."""
        return await self._counted(request, STARTS + request.path_params["kind"])

    async def _counted(self, request: Request, feed: str) -> Response:
        response = await self._answer(request, feed)
        outcome = OUTCOMES.get(response.status_code, "refused")
        self.by_feed[feed if feed in self._settings.feeds else OTHER, outcome] += 1
        return response

    async def _answer(self, request: Request, feed: str) -> Response:
        self.counts["received"] += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                unread = self._hopeless(request)
                body = b"" if unread else await _body(request)
                refusal = self._refusal(request, feed, body)
                if refusal is not None or body is None:
                    return refusal or Response(status_code=413)
                faults = self._settings.checks.get(feed, _no_faults)(body)
                if faults:
                    return self._misunderstood(faults)
                note = Note(feed, body, self._clock(), _kept_headers(request))
                await self._put([note])
        except (PlacementError, TimeoutError) as error:
            self.counts["unspooled"] += 1
            reason = getattr(error, "reason", "DEADLINE_EXCEEDED")
            log.warning("notifications_unspooled", reason=reason, error=str(error))
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            return JSONResponse({"reason": reason}, 503, headers)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        reach(FaultPoint.AFTER_SPOOLED)
        self.counts["spooled"] += 1
        return JSONResponse({"spooled": 1})

    def _refusal(
        self, request: Request, feed: str, body: bytes | None
    ) -> Response | None:
        """Return the answer to a sender that is not let in, or sends too much."""
        if body is None:
            remedy = f"post at most {BODY_BYTES_MAX} bytes"
            return self._refused(413, "body", "too large", remedy)
        if not self._proven(request, body):
            remedy = (
                "send the receiver's token as Authorization: Bearer, or the signature "
                f"of the time and the body as {SIGNATURE}, the time as {TIMESTAMP}"
            )
            return self._refused(401, "Authorization", "no proof", remedy)
        encoding = request.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            remedy = "post it as it is: what is compressed may become any amount"
            return self._refused(415, "Content-Encoding", encoding, remedy)
        region = self._settings.region
        claimed = request.headers.get(REGION_HEADER)
        if claimed is not None and claimed != region:
            remedy = f"this receiver is for {region}; correct the registry's endpoint"
            return self._refused(403, REGION_HEADER, claimed, remedy)
        if feed not in self._settings.feeds:
            remedy = f"post to one of: {', '.join(sorted(self._settings.feeds))}"
            return self._refused(404, "feed", feed, remedy)
        return None

    def _proven(self, request: Request, body: bytes) -> bool:
        """Say whether the sender knows a secret of ours, where there is any."""
        token, key = self._settings.token, self._settings.signature_key
        if not token and not key:
            return True
        if token:
            given = request.headers.get("Authorization", "")
            expected = f"Bearer {token}"
            if hmac.compare_digest(given.encode(), expected.encode()):
                return True
        if not key:
            return False
        if _signs(request.headers.get(HUB_SIGNATURE, ""), key, body):
            return True
        time_s = request.headers.get(TIMESTAMP, "")
        if not self._recent(time_s):
            return False
        timed = time_s.encode() + b"." + body
        return _signs(request.headers.get(SIGNATURE, ""), key, timed)

    def _recent(self, text: str) -> bool:
        """Say whether *text*, in seconds since 1970, is now, about."""
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
            return False
        return abs(int(text) - self._clock() / 1_000_000_000) <= SIGNED_SECONDS_MAX

    def _hopeless(self, request: Request) -> bool:
        """Say whether no body could make up for what the headers of a request lack."""
        signs = any(name in request.headers for name in (SIGNATURE, HUB_SIGNATURE))
        if self._settings.signature_key and signs:
            return False
        return not self._proven(request, b"")

    def _misunderstood(self, faults: Sequence[Malformed]) -> Response:
        """Answer a body of which nothing is taken, since not all can be understood."""
        self.counts["refused"] += 1
        shown = [asdict(fault) for fault in faults[:FAULTS_SHOWN_MAX]]
        log.warning("starts_refused", faults=len(faults), **shown[0])
        return JSONResponse({"malformed": shown, "spooled": 0}, 422)

    def _refused(self, status: int, field: str, value: str, remedy: str) -> Response:
        self.counts["refused"] += 1
        error = InputError(field, value, remedy)
        log.warning("notifications_refused", status=status, **error.metadata)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None  # noqa: PLR2004 - HTTP
        return JSONResponse({"error": str(error)}, status, headers)


def _signs(given: str, key: bytes, signed: bytes) -> bool:
    """Say whether *given* is the HMAC-SHA256 of what is *signed*, and of no other."""
    expected = f"sha256={hmac.new(key, signed, hashlib.sha256).hexdigest()}"
    return hmac.compare_digest(given.lower().encode(), expected.encode())


def _no_faults(_body: bytes) -> tuple[Malformed, ...]:
    return ()


Health = Callable[[], dict[str, object]]


def receiver_app(receiver: Receiver, health: Health, *pages: Route) -> Starlette:
    """Return the door as an ASGI app; *pages* are served beside it."""

    async def healthz(_request: Request) -> Response:
        """Say that the door is open, and what became of all that came through it."""
        return JSONResponse({"status": "SERVING", **receiver.counts, **health()})

    post = ["POST"]
    return Starlette(
        routes=[
            Route("/v1/notifications/{feed}", receiver.notifications, methods=post),
            Route("/v1/starts/{kind}", receiver.starts, methods=post),
            Route("/", receiver.notifications, methods=post),
            Route("/healthz", healthz, methods=["GET"]),
            *pages,
        ]
    )


def health_of(figures: SpoolFigures, now_ns: int) -> dict[str, object]:
    """Return what people want to know of a spool."""
    oldest_ns = figures.oldest_waiting_ns
    age_s = 0.0 if oldest_ns is None else max(0, now_ns - oldest_ns) / 1_000_000_000
    return {
        "waiting": figures.waiting_count,
        "waiting_bytes": figures.waiting_bytes,
        "oldest_waiting_seconds": round(age_s, 3),
        "sent": figures.sent_count,
        "kept": figures.kept_count,
        "set_aside": figures.set_aside_count,
    }


def _kept_headers(request: Request) -> dict[str, str]:
    """Return those that say what a body means, and of which trace it is."""
    kept = {
        name: value[:HEADER_LENGTH_MAX]
        for name, value in request.headers.items()
        if name == "content-type" or name.startswith("ce-")
    }
    trace = parsed(request.headers.get(HEADER))
    return kept | {HEADER: trace} if sampled(trace) else kept


async def _body(request: Request) -> bytes | None:
    """Return the whole body, or None as soon as it is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            return None
    return bytes(body)


async def serve_receiver(app: Starlette, listener: socket.socket) -> None:
    """Serve *app* until cancelled; then finish the open answers, and stop.

    The listener is closed at the end.
    """
    port = port_of(listener)
    log.info("receiver_listening", port=port)
    try:
        await host_app(app, listener, Hosting(CONNECTIONS_MAX))
    finally:
        log.info("receiver_stopped", port=port)
