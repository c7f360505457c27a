"""A scheduler's HTTP API: whole answers, and streams of JSON lines that never end.

Everything has a limit: a body, a line, the seconds without a byte. A stream that ends
is the follower's to open again, from where it had come to.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httpx
import structlog

from placement.agent.starts.lines import Lines
from placement.core.errors import PlacementError

BODY_BYTES_MAX: Final = 64 << 20
CONNECT_SECONDS_MAX: Final = 5.0
ANSWER_SECONDS_MAX: Final = 30.0
SHOWN_BYTES: Final = 200
BACKOFF_SECONDS: Final = 0.5
BACKOFF_SECONDS_MAX: Final = 60.0

log = structlog.get_logger(__name__)

Chance = Callable[[], float]
"""A number from 0 up to 1, another each time."""
Sleep = Callable[[float], Awaitable[None]]


Params = Mapping[str, str | int]
"""A query, by name."""


class SchedulerError(PlacementError):
    """A scheduler's API did not do what it was asked; it is asked again."""

    reason = "SCHEDULER_UNAVAILABLE"


class GoneError(SchedulerError):
    """What was asked for is no longer kept: begin anew (410)."""


class AbsentError(SchedulerError):
    """There is no such thing (404)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """Where an API is, and how we say who we are."""

    url: str
    token: Callable[[], str] | None = field(default=None, repr=False)
    """Reads the token anew for every request, since it may be changed any time."""
    header: str = "Authorization"
    scheme: str = "Bearer "
    """What stands before the token in its header."""


class Api:
    """One scheduler's API over *http*, which holds its certificates."""

    def __init__(self, settings: ApiSettings, http: httpx.AsyncClient) -> None:
        """Ask by *http*."""
        self._settings = settings
        self._http = http

    async def get(
        self, path: str, params: Params | None = None
    ) -> tuple[Any, Mapping[str, str]]:
        """Return the decoded answer and its headers; raises SchedulerError."""
        body = bytearray()
        async with self._answered(path, params, ANSWER_SECONDS_MAX) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    message = f"{path} is longer than {BODY_BYTES_MAX} bytes"
                    raise SchedulerError(message, path=path)
            headers = response.headers
        try:
            return json.loads(body), headers
        except (ValueError, RecursionError) as error:
            message = f"{path} is no JSON"
            raise SchedulerError(message, path=path) from error

    async def lines(
        self, path: str, params: Params, silent_seconds_max: float
    ) -> AsyncGenerator[Any, None]:
        """Yield the JSON lines of a stream, until it ends; raises SchedulerError.

        A line that is no JSON, or too long, is passed over: it would be again. What a
        broken connection cut off is not a line.
        """
        lines = Lines()
        async with self._answered(path, params, silent_seconds_max) as response:
            async for chunk in response.aiter_bytes():
                for line in lines.fed(chunk):
                    try:
                        document = json.loads(line)
                    except (ValueError, RecursionError):
                        log.warning("stream_line_unread", path=path, bytes=len(line))
                        continue
                    yield document
        if lines.skipped_count:
            log.warning("stream_lines_skipped", path=path, lines=lines.skipped_count)

    @asynccontextmanager
    async def _answered(
        self,
        path: str,
        params: Params | None,
        silent_seconds_max: float,
    ) -> AsyncIterator[httpx.Response]:
        timeout = httpx.Timeout(silent_seconds_max, connect=CONNECT_SECONDS_MAX)
        headers = self._headers(path)
        try:
            async with self._http.stream(
                "GET",
                self._settings.url.rstrip("/") + path,
                params=params,
                headers=headers,
                timeout=timeout,
            ) as response:
                if response.status_code != HTTPStatus.OK:
                    raise await _unexpected(path, response)
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            message = f"{path}: {error!r}"
            raise SchedulerError(message, path=path) from error

    def _headers(self, path: str) -> dict[str, str]:
        """Return what every request says; raises SchedulerError without its token."""
        settings = self._settings
        headers = {"Accept": "application/json"}
        if settings.token is None:
            return headers
        try:
            headers[settings.header] = settings.scheme + settings.token()
        except (OSError, PlacementError) as error:
            message = f"the token cannot be read: {type(error).__name__}"
            raise SchedulerError(message, path=path) from error
        return headers


async def _unexpected(path: str, response: httpx.Response) -> SchedulerError:
    status = response.status_code
    text = ""
    async for chunk in response.aiter_bytes(SHOWN_BYTES):
        text = chunk[:SHOWN_BYTES].decode("utf-8", "replace")
        break
    message = f"{path} answered {status} {text}".rstrip()
    kinds: dict[int, type[SchedulerError]] = {404: AbsentError, 410: GoneError}
    kind = kinds.get(status, SchedulerError)
    return kind(message, path=path, status=str(status))


class Backoff:
    """How long to wait before the next try: doubled each time, and jittered."""

    def __init__(self, chance: Chance, sleep: Sleep = asyncio.sleep) -> None:
        """Begin with the shortest."""
        self._chance = chance
        self._sleep = sleep
        self._tries = 0

    def reset(self) -> None:
        """Begin again with the shortest: something worked."""
        self._tries = 0

    async def wait(self) -> None:
        """Wait from half of the whole time to all of it."""
        whole = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2.0 ** min(self._tries, 16))
        self._tries += 1
        await self._sleep(whole * (0.5 + self._chance() / 2))
