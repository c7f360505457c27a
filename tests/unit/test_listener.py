"""The socket of metrics and health: there while it is served, and no longer."""

import contextlib

from starlette.applications import Starlette

from placement.hosting import open_listener
from placement.telemetry.listener import listening


async def test_listener_that_is_stopped_before_it_serves_is_closed() -> None:
    """A program that fails right after the beginning leaves no port taken."""
    for fails in (False, True):
        with contextlib.suppress(LookupError):
            async with listening(Starlette(), "127.0.0.1", 0) as port:
                if fails:
                    raise LookupError
        open_listener("127.0.0.1", port).close()
