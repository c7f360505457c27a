"""How long calls wait for their turn: a call of our own, through the same queue.

A server of ``grpc.aio`` takes one call after the other from a queue inside gRPC, which
nothing tells the length of: a handler runs at once whenever its call was taken, and the
event loop turns quickly however many wait (measured: never more than two calls are in
Python at once, at 1 caller and at 48). So the queue's length is measured as a caller
sees it: while calls come in, now and then one of our own goes through it, over a socket
in a directory that only this user can enter. Whatever a server of gRPC answers it
answers on each of its addresses: so the method has a name that nobody can guess, and
answers on that socket alone. To everybody else it is not there.
"""

import asyncio
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import grpc
import structlog

from placement.runtime.pressure import Pressure

SERVICE: Final = "placement.internal.Queue"
NAME_BYTES: Final = 16
"""Of chance, in the name of the method."""
EVERY_SECONDS: Final = 0.05
PRESSED_SECONDS: Final = 0.02
"""While a queue stands it is measured more often."""
LOOK_SECONDS: Final = 0.05
"""A wait that is not over is told so often, too."""
WAIT_SECONDS_MAX: Final = 10.0
ALONE: Final = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
LOCAL: Final = "unix:"
"""How the peer of such a call begins: nobody else has one."""

Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger(__name__)


class Turns:
    """Measures the queue of one server for as long as that serves."""

    def __init__(self, pressure: Pressure, clock_ns: Callable[[], int]) -> None:
        """Tell *pressure* what is measured by *clock_ns*."""
        self._pressure = pressure
        self._clock_ns = clock_ns
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._name = secrets.token_hex(NAME_BYTES)
        self._begun_ns = 0
        """When the last call of ours was begun to be answered."""
        self._ahead = 0
        """How many calls had been begun by then."""

    def listen(self, server: grpc.aio.Server) -> None:
        """Let *server*, which is not started yet, take calls of ours."""
        self._directory = tempfile.TemporaryDirectory(prefix="placement-queue-")
        handler: Any = grpc.unary_unary_rpc_method_handler(self._answer)
        handlers = grpc.method_handlers_generic_handler(SERVICE, {self._name: handler})
        server.add_generic_rpc_handlers((handlers,))
        server.add_insecure_port(self._target)

    @property
    def method(self) -> str:
        """Return the name of the call of ours."""
        return f"/{SERVICE}/{self._name}"

    @property
    def _target(self) -> str:
        assert self._directory is not None, "it listens"
        return f"unix:{Path(self._directory.name) / 'queue'}"

    def start(self) -> None:
        """Begin to measure."""
        self._task = asyncio.create_task(self._measure())

    async def stop(self) -> None:
        """Measure no more, and leave nothing behind."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._directory is not None:
            self._directory.cleanup()

    async def _answer(self, _body: bytes, context: Context) -> bytes:
        if not context.peer().startswith(LOCAL):
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        self._begun_ns, self._ahead = self._clock_ns(), self._pressure.entered
        return b""

    async def _measure(self) -> None:
        async with grpc.aio.insecure_channel(self._target, ALONE) as channel:
            ask: Any = channel.unary_unary(self.method)
            entered, quiet = -1, False
            while True:
                pressed = self._pressure.pressed
                await asyncio.sleep(PRESSED_SECONDS if pressed else EVERY_SECONDS)
                if entered == self._pressure.entered:
                    if not quiet:  # nobody came meanwhile: nobody waits
                        self._pressure.waited(0, 0)
                    quiet = True
                    continue
                entered, quiet = self._pressure.entered, False
                try:
                    await self._wait(ask)
                except grpc.aio.AioRpcError as error:
                    log.debug("queue_not_measured", code=error.code().name)

    async def _wait(self, ask: Callable[..., Any]) -> None:
        """Ask once, and tell how long that waited, also while it waits."""
        began_ns, entered = self._clock_ns(), self._pressure.entered
        call = ask(b"", timeout=WAIT_SECONDS_MAX)
        answered = asyncio.ensure_future(call)
        try:
            while not (await asyncio.wait({answered}, timeout=LOOK_SECONDS))[0]:
                ahead = self._pressure.entered - entered
                self._pressure.waited(self._clock_ns() - began_ns, ahead)
            await answered
            ahead = self._ahead - entered
            self._pressure.waited(max(0, self._begun_ns - began_ns), ahead)
        finally:
            call.cancel()  # grpc.aio never collects what is abandoned
