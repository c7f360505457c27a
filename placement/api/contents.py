"""How many contents that nobody announced before a caller may publish.

Each costs memory for ever: what is known of a content is never thrown away to make room
for another, or a flood would push out what others rely on. So a flood is stopped before
it is in the log, where every replica would have to fold it.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from placement.api.clients import CALLERS_KNOWN_MAX, Buckets
from placement.core.errors import PlacementError
from placement.core.event import Event, contents_named
from placement.core.state import State
from placement.core.tables.table import ABSENT
from placement.runtime.limits import LimitSettings

FULL_RETRY_MS: Final = 60_000
"""Where no more contents are taken at all, an operator has to make room."""
UNHEARD_NS_MAX: Final = 1_000_000_000
"""Whoever was refused is not read at all before it may come again, for so long."""


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


class TooSoonError(ContentLimitError):
    """The caller was refused just now, and did not wait as it was told to."""


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
        self._clock_ns = clock_ns
        self._unheard: OrderedDict[str, tuple[int, str, int]] = OrderedDict()
        """Until when a caller is not read, and for which limit and count."""
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

    def hear(self, caller: str) -> None:
        """Raise TooSoonError for a *caller* who comes again too soon."""
        told = self._unheard.get(caller)
        if told is None:
            return
        until_ns, limit, new_count = told
        left_ns = until_ns - self._clock_ns()
        if left_ns > 0:
            self._refused["contents"] += 1
            raise TooSoonError(limit, new_count, left_ns // 1_000_000 + 1)
        del self._unheard[caller]

    def admit(self, events: Iterable[Event], state: State, caller: str) -> None:
        """Take *events* of *caller*; raises ContentLimitError, and then takes none."""
        named = {digest for event in events for digest in contents_named(event)}
        new = sum(state.find_digest(digest) == ABSENT for digest in named)
        if not new:
            return
        if self._contents_max and len(state.digests) + new > self._contents_max:
            raise self._refusal(caller, "contents_max", new, FULL_RETRY_MS)
        delay_ms = 0
        if self._buckets is not None and caller:
            delay_ms = self._buckets.take(caller, new)
        if delay_ms:
            limit = "caller_new_contents_per_second"
            raise self._refusal(caller, limit, new, delay_ms)

    def _refusal(
        self, caller: str, limit: str, new_count: int, delay_ms: int
    ) -> ContentLimitError:
        """Return why *caller* is refused, and do not read it again at once."""
        self._refused["contents"] += 1
        unheard_ns = min(delay_ms * 1_000_000, UNHEARD_NS_MAX)
        self._unheard[caller] = self._clock_ns() + unheard_ns, limit, new_count
        if len(self._unheard) > CALLERS_KNOWN_MAX:
            self._unheard.popitem(last=False)
        return ContentLimitError(limit, new_count, delay_ms)
