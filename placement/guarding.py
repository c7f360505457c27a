"""Guards a running process: our own watchdog, and whoever supervises us."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from placement.config import supervisor
from placement.runtime.view import View
from placement.runtime.watchdog import watchdog
from placement.supervised import supervised


@asynccontextmanager
async def guarded(
    watchdog_seconds: float, view: View, note_blocked: Callable[[str], None]
) -> AsyncIterator[None]:
    """Be ready within the block; end the process where its loop stands still.

    *note_blocked* is told why before that. The supervisor is told how *view* is.
    """
    last_word = partial(note_blocked, "the event loop stood still")
    with watchdog(watchdog_seconds, last_word):
        async with supervised(supervisor(), lambda: status_of(view)):
            yield


def status_of(view: View) -> str:
    """Return the serving state, how far it is, and what is wrong, in one line."""
    basis = view.basis()
    trouble = f": {view.trouble}" if view.trouble else ""
    return f"{basis.state.name} at sequence {basis.sequence}{trouble}"
