"""The ids that a log remembers, so that a repeat is not stored again."""

from collections import OrderedDict

DUPLICATE_WINDOW_NS = 120_000_000_000
REMEMBERED_IDS_MAX = 1 << 20


class MessageIds:
    """Message ids with their sequences, for as long as a window lasts."""

    def __init__(self, window_ns: int) -> None:
        """Remember nothing yet; later each id for *window_ns*."""
        self._window_ns = window_ns
        self._ids: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def sequence(self, message_id: str, now_ns: int) -> int:
        """Return where the message of that id is stored; 0: not within the window."""
        self._forget_old(now_ns)
        sequence, _ = self._ids.get(message_id, (0, 0))
        return sequence

    def remember(self, message_id: str, sequence: int, now_ns: int) -> None:
        """Note that a message was stored at *sequence* and *now_ns*."""
        self._ids[message_id] = (sequence, now_ns)

    def forget_after(self, last_sequence: int) -> None:
        """Forget what was stored after *last_sequence*."""
        for message_id, (sequence, _) in list(self._ids.items()):
            if sequence > last_sequence:
                del self._ids[message_id]

    def clear(self) -> None:
        """Forget everything."""
        self._ids.clear()

    def _forget_old(self, now_ns: int) -> None:
        """Forget the ids that are out of the window, and the oldest of too many."""
        while self._ids:
            oldest = next(iter(self._ids))
            _, stored_ns = self._ids[oldest]
            within = now_ns - stored_ns < self._window_ns
            if within and len(self._ids) < REMEMBERED_IDS_MAX:
                return
            del self._ids[oldest]
