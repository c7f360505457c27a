"""How calls are given a state of the past: charged for it, and for as long as they run.

One fold costs as much as thousands of calls, so each of them weighs as a preview does,
and goes first when there is too much to do.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc

from placement.api.clients import caller_of
from placement.runtime.past import Past
from placement.runtime.past_states import Held
from placement.wire.as_of import AsOf

WAIT_SECONDS: Final = 60.0
"""So long may a call wait for its state that has no deadline of its own."""
MARGIN_SECONDS: Final = 0.025
"""Kept of a caller's deadline, so that the answer still reaches it."""

Context = grpc.aio.ServicerContext[Any, Any]


class PastReading:
    """The past states of a service, for those who call it."""

    def __init__(self, past: Past, charge: Callable[[Context], None]) -> None:
        """Give what *past* folds, to whom *charge* lets in."""
        self._past = past
        self._charge = charge

    async def held(self, as_of: AsOf, context: Context) -> Held:
        """Return the state of a point, which is let go when the call's task ends.

        Raises what *charge* and ``Past.take`` do.
        """
        self._charge(context)
        remaining_s = context.time_remaining()
        wait_s = WAIT_SECONDS
        if remaining_s is not None:
            wait_s = max(0.0, remaining_s - MARGIN_SECONDS)
        held = await self._past.take(as_of, wait_s, caller_of(context))
        task = asyncio.current_task()
        assert task is not None, "each call runs in a task of its own"
        task.add_done_callback(lambda _: held.release())
        return held
