"""Which event loop a process runs on: uvloop where it is installed, else Python's."""

import asyncio
from collections.abc import Callable

from placement.core.errors import InputError


def loop_factory(wanted: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop; None: Python's own. Raises InputError."""
    if wanted == "asyncio":
        return None
    try:
        import uvloop  # noqa: PLC0415 - an extra, and there need not be one
    except ImportError:
        if wanted == "auto":
            return None
        remedy = "install it, as pip install 'placement[fast]' does, or give asyncio"
        raise InputError("event_loop", wanted, remedy) from None
    return uvloop.new_event_loop
