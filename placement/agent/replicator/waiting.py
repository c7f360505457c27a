"""What waits to be copied, in the order in which it is taken up; pure."""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

from placement.core.oci import Digest, Repository

FIRST: Final = 0
"""Before every priority of a decision: somebody waits for the pull."""

Key = tuple[Repository, Digest]
ItemType = TypeVar("ItemType")


@dataclass(order=True, slots=True)
class _Entry(Generic[ItemType]):
    rank: int
    order: int
    key: Key = field(compare=False)
    items: list[ItemType] = field(compare=False)


class Waiting(Generic[ItemType]):
    """A queue by rank, then arrival; what is about the same content is one entry.

    Content that is taken up stays known until ``finished``: what arrives for it
    meanwhile is handed out then.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        self._entries: dict[Key, _Entry[ItemType]] = {}
        self._heap: list[_Entry[ItemType]] = []
        self._taken: set[Key] = set()
        self._order = 0

    def __len__(self) -> int:
        """Return how many contents wait."""
        return len(self._entries)

    def add(self, key: Key, rank: int, item: ItemType) -> None:
        """Let *item* wait; a better rank is its whole entry's."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.items.append(item)
            if rank < entry.rank:
                moved = _Entry(rank, entry.order, key, entry.items)
                self._entries[key] = moved
                heappush(self._heap, moved)
            return
        self._order += 1
        entry = _Entry(rank, self._order, key, [item])
        self._entries[key] = entry
        heappush(self._heap, entry)

    def take(
        self, rank_max: int | None = None
    ) -> tuple[Key, int, list[ItemType]] | None:
        """Return the first content that nobody is at, its rank, and who wants it.

        Only one of *rank_max* at the most, if that is given.
        """
        passed: list[_Entry[ItemType]] = []
        found: _Entry[ItemType] | None = None
        while self._heap and found is None:
            if rank_max is not None and self._heap[0].rank > rank_max:
                break
            entry = heappop(self._heap)
            if self._entries.get(entry.key) is not entry:
                continue  # it was raised, and is in the heap again
            if entry.key in self._taken:
                passed.append(entry)
            else:
                found = entry
        for entry in passed:
            heappush(self._heap, entry)
        if found is None:
            return None
        del self._entries[found.key]
        self._taken.add(found.key)
        return found.key, found.rank, found.items

    def finished(self, key: Key) -> None:
        """Say that nobody is at *key* any more."""
        self._taken.discard(key)

    def remove(self, key: Key, item: ItemType) -> None:
        """Let *item* wait no longer."""
        entry = self._entries.get(key)
        if entry is not None and item in entry.items:
            entry.items.remove(item)
            if not entry.items:
                del self._entries[key]
