"""How many contents that nobody announced before a caller may publish.

Each costs memory for ever: what is known of a content is never thrown away to make room
for another, or a flood would push out what others rely on. So a flood is stopped before
it is in the log, where every replica would have to fold it.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from placement.api.clients import Buckets
from placement.core.errors import PlacementError
from placement.core.event import Event, contents_named
from placement.core.state import State
from placement.core.tables.table import ABSENT
from placement.runtime.limits import LimitSettings

FULL_RETRY_MS = 60_000
"""Where no more contents are taken at all, an operator has to make room."""


class ContentLimitError(PlacementError):
    """The events would bring more new contents than their caller may."""

    reason = "CONTENT_LIMIT"

    def __init__(self, limit: str, new_count: int, retry_delay_ms: int) -> None:
        """Name the *limit*, and keep when there is room again."""
        super().__init__(
            f"the events name {new_count} contents that nobody announced before, more "
            f"than {limit} allows",
            limit=limit,
            new_contents=str(new_count),
        )
        self.retry_delay_ms = retry_delay_ms


class NewContents:
    """Counts what is new in what callers publish."""

    def __init__(
        self,
        settings: LimitSettings,
        clock_ns: Callable[[], int],
        refused: Counter[str],
    ) -> None:
        """Hold callers to *settings*, and count in *refused* what is not taken."""
        self._contents_max = settings.contents_max
        self._refused = refused
        self._buckets: Buckets | None = None
        if settings.caller_new_contents_per_second:
            self._buckets = Buckets(
                settings.caller_new_contents_per_second,
                clock_ns,
                settings.new_contents_burst or None,
            )

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._buckets is not None or self._contents_max > 0

    def admit(self, events: Iterable[Event], state: State, caller: str) -> None:
        """Take *events* of *caller*; raises ContentLimitError, and then takes none."""
        named = {digest for event in events for digest in contents_named(event)}
        new = sum(state.find_digest(digest) == ABSENT for digest in named)
        if not new:
            return
        if self._contents_max and len(state.digests) + new > self._contents_max:
            self._refused["contents"] += 1
            raise ContentLimitError("contents_max", new, FULL_RETRY_MS)
        delay_ms = 0
        if self._buckets is not None and caller:
            delay_ms = self._buckets.take(caller, new)
        if delay_ms:
            self._refused["contents"] += 1
            limit = "caller_new_contents_per_second"
            raise ContentLimitError(limit, new, delay_ms)
