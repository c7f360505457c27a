"""Whether the server that a connection leads to still belongs to its cluster.

One that is cut off from the others keeps its clients, and JetStream is silent there for
as long as that lasts, while the others may be well.
"""

import asyncio
from typing import Final

UNANSWERED_SECONDS_MAX: Final = 5.0
"""For so long an election alone may keep JetStream silent."""


class Doubts:
    """Since when nothing was heard that only a whole cluster says."""

    def __init__(self, *, several: bool) -> None:
        """Have none; they come to nothing unless *several* servers are known."""
        self._several = several
        self._since: float | None = None

    def dispel(self) -> None:
        """Note an answer of a whole cluster, or a new connection."""
        self._since = None

    def add(self) -> bool:
        """Note that there was none; say whether another server should be tried."""
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
        if not self._several or now - self._since <= UNANSWERED_SECONDS_MAX:
            return False
        self._since = None
        return True
