"""How runs of messages are read: by compiled code, once there are many of them.

Making the compiled code ready takes seconds of a core, so it begins on a thread once
there is a backlog that is worth it; until then, and without the extra ``fast``, the
plain way reads the same.
"""

import asyncio
from typing import Final

from placement.core.tables.compiled import use_compiled
from placement.wire.columns import Read, fastest
from placement.wire.pull_reading import read_messages

RUNS_MIN: Final = 256
"""So many long runs are read before more of them are expected."""


def compiled() -> Read:
    """Return the quickest way to read runs, and let keys be found in that way, too.

    The first call takes seconds; more where numba has not kept what it compiled.
    """
    use_compiled()
    return fastest()


class Reader:
    """Reads runs for one line."""

    def __init__(self) -> None:
        """Read plainly for now."""
        self._read: Read = read_messages
        self._count = 0
        self._ready: asyncio.Task[Read] | None = None

    def next_way(self) -> Read:
        """Return how the next run is to be read; called once for each."""
        self._count += 1
        if self._ready is None:
            if self._count == RUNS_MIN:
                self._ready = asyncio.create_task(asyncio.to_thread(compiled))
        elif self._ready.done() and not self._ready.cancelled():
            self._read = self._ready.result()
        return self._read
