"""How long an answer may take, by our own clock.

aiohttp's may start again for a connection that was given back already (its issue 12953,
in 3.14.5 still where reading was held up): it then ends somebody else's next request.
"""

import asyncio
from types import SimpleNamespace
from typing import Final

import aiohttp


class Patience:
    """The time for an answer to begin; it runs once the whole request has left.

    Of a body that is still made each piece has a time of its own to leave; making the
    next one may take as long as it likes.
    """

    def __init__(
        self, seconds: float | None, write_seconds: float | None, *, streams: bool
    ) -> None:
        """Wait for *seconds*, None: for ever; *streams*: its body is still made.

        Each piece of such a body may take *write_seconds* to leave.
        """
        self._seconds = seconds
        self._write_seconds = write_seconds
        self._streams = streams
        self._due: asyncio.Timeout | None = None
        self.leaving = False
        """Whether a piece of the body is on its way out."""

    def until_answered(self) -> asyncio.Timeout:
        """Return a block that ends with TimeoutError when the answer comes too late."""
        self._due = asyncio.timeout(None)
        return self._due

    def answered(self) -> None:
        """Know that the block is over, though the body may still be on its way."""
        self._due = None

    def headers_left(self) -> None:
        """Know that the head of the request is written."""
        if not self._streams:
            self.request_left()

    def piece_leaves(self) -> None:
        """Know that a piece of the body was made, and has to leave now."""
        self.leaving = True
        self._wait(self._write_seconds)

    def piece_left(self) -> None:
        """Know that it was taken: whoever makes the next one has all the time."""
        self.leaving = False
        self._wait(None)

    def request_left(self) -> None:
        """Know that all of the request is written: now the answer is waited for."""
        self._wait(self._seconds)

    def _wait(self, seconds: float | None) -> None:
        """Wait for *seconds* from now on; None: for ever."""
        if self._due is None or self._due.expired():
            return
        now = asyncio.get_running_loop().time()
        self._due.reschedule(None if seconds is None else now + seconds)


async def _headers_left(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _told: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    patience = context.trace_request_ctx
    assert isinstance(patience, Patience), "each request is made with one"
    patience.headers_left()


def traced() -> aiohttp.TraceConfig:
    """Return what tells each request's Patience, its trace_request_ctx, of its way."""
    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(_headers_left)
    config.freeze()
    return config


TRACED: Final = traced()
