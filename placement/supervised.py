"""Tells a supervisor such as systemd how the process is: sd_notify(3), and no more."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

STATUS_SECONDS: Final = 5.0
"""Between two looks at how the process is."""
BEATS_A_LIMIT: Final = 3
"""So often a supervisor's watchdog hears of the loop within its limit."""
STATUS_LENGTH_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Who started this process and wants to hear of it."""

    address: str = ""
    """A datagram socket's path, or with @ its abstract name; empty: nobody."""
    watchdog_seconds: float = 0.0
    """Unless it hears of the loop so often, it starts the process anew; 0: never."""

    def tell(self, *lines: str) -> None:
        """Send *lines*, such as READY=1, now or never; raises nothing.

        A supervisor may be gone, and this process may have no file left to open.
        """
        if not self.address:
            return
        name = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            sender.settimeout(0)
            sender.connect(name)
            sender.send("\n".join(lines).encode("utf-8", "replace"))


@asynccontextmanager
async def supervised(
    supervisor: Supervisor, status: Callable[[], str]
) -> AsyncIterator[None]:
    """Be ready within the block, with a pulse of the running loop, and a *status*."""
    supervisor.tell("READY=1", _said(status))
    telling = asyncio.create_task(_tell(supervisor, status))
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.wait({telling})
        supervisor.tell("STOPPING=1", "STATUS=stopping")


async def _tell(supervisor: Supervisor, status: Callable[[], str]) -> None:
    """Send a pulse and what is new, for ever; the loop's standstill ends the pulse."""
    if not supervisor.address:
        return
    pause_s, limit_s = STATUS_SECONDS, supervisor.watchdog_seconds
    if limit_s:
        pause_s = min(pause_s, limit_s / BEATS_A_LIMIT)
    while True:
        supervisor.tell(*(["WATCHDOG=1"] * bool(limit_s)), _said(status))
        await asyncio.sleep(pause_s)


def _said(status: Callable[[], str]) -> str:
    line = " ".join(status().split())
    return f"STATUS={line[:STATUS_LENGTH_MAX]}"
