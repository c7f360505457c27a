"""What changed last: notes in the order of the log, derived and never saved.

A note says that a placement or a tag looks otherwise since a message; how it looks is
read from the state. So whoever follows needs no queue: it keeps its position among the
notes, and what changed several times since is read once.
"""

from array import array
from typing import Final

from placement.core.tables.table import Row

CHANGES_REMEMBERED: Final = 2**17
"""Notes kept; whoever is further behind has to begin anew."""


class Changes:
    """The newest notes, at most *capacity*. A position counts notes from the first."""

    __slots__ = (
        "_capacity",
        "_end",
        "_floor",
        "_horizon",
        "_keys",
        "_latest",
        "_sequence",
        "_sequences",
        "described_again",
    )

    def __init__(self, capacity: int = CHANGES_REMEMBERED) -> None:
        """Begin without notes; what was folded before ``begin`` is forgotten."""
        self._capacity = capacity
        self._keys = array("q")
        self._sequences = array("q")
        self._latest: dict[int, int] = {}
        """The position of the newest note about each key."""
        self._end = 0
        self._floor = 0
        """Whoever is at an earlier position has missed something."""
        self._horizon: int | None = None
        self._sequence = 0
        self.described_again = 0
        """How often the size or kind of content was learned that was known before.

        Those who watch are told it of the content, wherever it is, and of images that
        refer to it only by a snapshot.
        """

    def begin(self, folded: int, sequence: int) -> None:
        """Let further notes be of message *sequence*, the next one after *folded*."""
        if self._horizon is None:
            self._horizon = folded
        self._sequence = sequence

    def note_placement(self, row: Row) -> None:
        """Note that where a content is, how far it arrived or its size changed."""
        self._note(2 * row)

    def note_tag(self, row: Row) -> None:
        """Note that a tag points elsewhere."""
        self._note(2 * row + 1)

    def _note(self, key: int) -> None:
        if len(self._keys) < self._capacity:
            self._keys.append(key)
            self._sequences.append(self._sequence)
        else:
            slot = self._end % self._capacity
            self._forget(self._keys[slot], self._sequences[slot])
            self._keys[slot] = key
            self._sequences[slot] = self._sequence
        self._latest[key] = self._end
        self._end += 1

    def _forget(self, key: int, sequence: int) -> None:
        """Forget the oldest note, which says nothing if there is a newer one."""
        position = self._end - self._capacity
        if self._latest[key] == position:
            del self._latest[key]
            self._floor, self._horizon = position + 1, sequence

    # Read by whoever follows.

    @property
    def end(self) -> int:
        """The position after the newest note."""
        return self._end

    @property
    def last_sequence(self) -> int:
        """The message that the newest note is of; 0 without any."""
        return self._sequences[(self._end - 1) % self._capacity] if self._end else 0

    def position_after(self, sequence: int, folded: int) -> int | None:
        """Return where the notes of the messages after *sequence* begin.

        *folded* is the last message folded, *sequence* that or an earlier one. None:
        some of those notes are forgotten.
        """
        if sequence < (folded if self._horizon is None else self._horizon):
            return None
        low, high = self._start, self._end
        while low < high:
            middle = (low + high) // 2
            if self._sequences[middle % self._capacity] <= sequence:
                low = middle + 1
            else:
                high = middle
        return low

    def lost(self, position: int) -> bool:
        """Say whether notes from *position* on are forgotten."""
        return position < self._floor

    def read(self, position: int) -> tuple[int, tuple[Row, bool] | None]:
        """Return the position after the next note, and whose row it is of, if any.

        The row is a tag's if the second part is true. None: it is the same as a later
        note's. *position* is before ``end`` and not ``lost``.
        """
        position = max(position, self._start)
        key = self._keys[position % self._capacity]
        if self._latest[key] != position:
            return position + 1, None
        return position + 1, (Row(key >> 1), bool(key & 1))

    @property
    def _start(self) -> int:
        return self._end - len(self._keys)
