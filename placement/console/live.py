"""What keeps open pages up to date: server-sent events, each a fragment of the page.

A stream keeps what it showed, and no queue: who reads slowly is told how things look by
then. Streams of the same page share one rendering.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from placement.core.errors import PlacementError
from placement.runtime.view import View

INTERVAL_SECONDS: Final = 1.0
"""Between two looks at what may have moved."""
AGE_SECONDS: Final = 15.0
"""What did not move is shown anew so often: ages and staleness grow by themselves."""
SEND_SECONDS_MAX: Final = 10.0
"""Who takes nothing for so long has gone."""
EASE: Final = 4
"""After a rendering, of whichever page, so many times as long are left to others.

As long as it had the loop: what it waited for left that to others already.
"""
RETRY_MS: Final = 2_000
HEARTBEAT: Final = b": still here\n\n"
MEDIA_TYPE: Final = "text/event-stream"
HEADERS: Final = [
    (b"content-type", f"{MEDIA_TYPE}; charset=utf-8".encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

Render = Callable[[], Awaitable[Mapping[str, str]]]
"""Makes a page's fragments, by the id of their element."""

log = structlog.get_logger(__name__)


class LiveHub:
    """All streams of one service."""

    def __init__(self, view: View, streams_max: int) -> None:
        """Look at *view*; let *streams_max* pages be kept up to date at once."""
        self._view = view
        self._streams_max = streams_max
        self._stopped = asyncio.Event()
        self._shared: dict[str, _Shared] = {}
        self._turns = _Turns()
        self.stream_count = 0

    def stop(self) -> None:
        """End every stream, for good."""
        self._stopped.set()

    def position(self) -> tuple[object, ...]:
        """Return what is different when a page would look otherwise."""
        view = self._view
        return (*view.position, view.serving_state(), view.trouble, view.rebuilding)

    async def respond(
        self, address: str, render: Render, receive: Receive, send: Send
    ) -> None:
        """Answer one request for the fragments of the page at *address*.

        Raises what *render* does at first, before anything is sent.
        """
        if self._stopped.is_set() or self.stream_count >= self._streams_max:
            await self._refuse(receive, send)
            return
        self.stream_count += 1
        begun = asyncio.Event()
        shared = self._shared.setdefault(address, _Shared(self._turns, render))
        shared.readers += 1
        gone = asyncio.create_task(_disconnected(receive))
        telling = asyncio.create_task(self._tell(shared, send, begun))
        stopping = asyncio.create_task(self._stopped.wait())
        tasks: set[asyncio.Task[object]] = {gone, telling, stopping}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self.stream_count -= 1
            shared.readers -= 1
            if not shared.readers:
                self._shared.pop(address, None)
        error = None if telling.cancelled() else telling.exception()
        here = not gone.done() or gone.cancelled()
        if not begun.is_set():
            if error is not None:
                raise error
            if here:
                await self._refuse(receive, send)
            return
        if here:
            with suppress(TimeoutError):  # then the connection is given up
                await _push(send, b"", more=False)
        if error is not None:
            expected = isinstance(error, PlacementError)  # by whoever comes again
            write = log.debug if expected else log.warning
            write("console_stream_ended", error=repr(error))

    async def _refuse(self, receive: Receive, send: Send) -> None:
        said = f"{self._streams_max} pages are kept up to date: reload this one\n"
        busy = PlainTextResponse(said, 503, {"retry-after": "30"})
        await busy(_NO_SCOPE, receive, send)

    async def _tell(self, shared: "_Shared", send: Send, begun: asyncio.Event) -> None:
        """Send each fragment that looks otherwise than what was sent of it.

        It is *begun* once there is something to be sent.
        """
        shown: dict[str, str] = {}
        async for fragments in self._looks(shared):
            if not begun.is_set():
                begun.set()
                await send(_START)
                await _push(send, f"retry: {RETRY_MS}\n\n".encode())
            told = 0
            for name, html in fragments.items():
                if shown.get(name) != html:
                    shown[name] = html
                    told += 1
                    data = json.dumps({"id": name, "html": html})
                    await _push(send, f"event: fragment\ndata: {data}\n\n".encode())
            if not told:
                await _push(send, HEARTBEAT)

    async def _looks(self, shared: "_Shared") -> AsyncIterator[Mapping[str, str]]:
        """Yield the fragments now, and whenever they may look otherwise."""
        loop = asyncio.get_running_loop()
        while True:
            position = self.position()
            began_s = loop.time()
            yield await shared.look(position)
            await asyncio.sleep(INTERVAL_SECONDS)
            while self.position() == position and loop.time() - began_s < AGE_SECONDS:
                with suppress(TimeoutError):
                    async with asyncio.timeout(INTERVAL_SECONDS):
                        await self._view.changed(self._view.position)


class _Turns:
    """Lets one page be rendered at a time, and others work after it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._free_s = 0.0

    async def render(self, render: Render) -> Mapping[str, str]:
        """Return what *render* gives, when it is its turn."""
        clock = asyncio.get_running_loop().time
        async with self._lock:
            await asyncio.sleep(max(0.0, self._free_s - clock()))
            timed = _Timed(render(), clock)
            try:
                return await timed
            finally:
                self._free_s = clock() + EASE * timed.spent_s


class _Timed:
    """Awaits something, and counts how long that has the loop."""

    def __init__(
        self, awaited: Awaitable[Mapping[str, str]], clock: Callable[[], float]
    ) -> None:
        self.spent_s = 0.0
        self._steps = awaited.__await__()
        self._clock = clock

    def __await__(self) -> Generator[Any, Any, Mapping[str, str]]:
        step: Callable[[], Any] = partial(next, self._steps)
        while True:
            began_s = self._clock()
            try:
                waited = step()
            except StopIteration as end:
                found: Mapping[str, str] = end.value
                return found
            finally:
                self.spent_s += self._clock() - began_s
            try:
                yield waited
                step = partial(next, self._steps)
            except BaseException as error:  # noqa: BLE001 - for what is awaited
                step = partial(self._steps.throw, error)


class _Shared:
    """One page's fragments, rendered once for all who read it."""

    def __init__(self, turns: _Turns, render: Render) -> None:
        self.readers = 0
        self._turns = turns
        self._render = render
        self._lock = asyncio.Lock()
        self._found: Mapping[str, str] = {}
        self._of: tuple[object, ...] = ()
        self._at_s = 0.0

    async def look(self, position: tuple[object, ...]) -> Mapping[str, str]:
        """Return the fragments at *position*, or a moment later."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            old = loop.time() - self._at_s >= AGE_SECONDS / 2
            if position != self._of or old:
                self._found = await self._turns.render(self._render)
                self._of, self._at_s = position, loop.time()
        return self._found


_START: Final = {"type": "http.response.start", "status": 200, "headers": HEADERS}
_NO_SCOPE: Final[Scope] = {"type": "http", "method": "GET", "headers": []}


async def _push(send: Send, body: bytes, *, more: bool = True) -> None:
    """Send a piece; raises TimeoutError where nobody takes it."""
    async with asyncio.timeout(SEND_SECONDS_MAX):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
