"""What removals free in a storage region, one after another.

A repository's contents go when no image of it there needs them any longer; their bytes
are free when no other repository of the region holds them either, as blobs that were
mounted from one repository into another are stored once.
"""

from functools import cached_property
from typing import NamedTuple

from placement.core.deciding.shelf import HeldImage, Shelf
from placement.core.deciding.storehouse import Storehouse
from placement.core.tables.keys import PAIR
from placement.core.tables.table import Row


class Freed(NamedTuple):
    """What one removal deletes from its repository, and the bytes that are free."""

    contents: tuple[Row, ...]
    reclaimed_bytes: int


class Freeing:
    """A region's contents as they are after the removals so far, decided ones first."""

    def __init__(self, house: Storehouse) -> None:
        """Begin with what stays of a region once the open removals are done."""
        self._house = house
        self._stored: dict[Row, int] = {}
        self._less: dict[Row, dict[Row, int]] = {}
        self._freed_bytes = 0

    def remove(self, shelf: Shelf, digest: Row) -> Freed:
        """Take an image, or a loose blob, off its shelf and return what that frees."""
        gone = self._take(shelf, digest, self._less_of(shelf))
        reclaimed = sum(map(self._free, gone))
        self._freed_bytes += reclaimed
        return Freed(tuple(gone), reclaimed)

    def _less_of(self, shelf: Shelf) -> dict[Row, int]:
        """Return how many users of each content are gone, decided removals included."""
        found = self._less.get(shelf.owner)
        if found is None:
            found = self._less[shelf.owner] = {}
            for digest in sorted(self._house.going(shelf.owner)):
                self._take(shelf, digest, found)
        return found

    @staticmethod
    def _take(shelf: Shelf, digest: Row, less: dict[Row, int]) -> list[Row]:
        image, gone = shelf.images.get(digest), []
        for row in (digest,) if image is None else image.here:
            less[row] = less.get(row, 0) + 1
            if less[row] == shelf.users.get(row, 1):
                gone.append(row)
        return gone

    def _free(self, digest: Row) -> int:
        self._stored[digest] = self._holders(digest) - 1
        return (
            0 if self._stored[digest] else self._house.network.state.size_bytes(digest)
        )

    def _holders(self, digest: Row) -> int:
        """Return how many repositories of the region hold a content by now."""
        found = self._stored.get(digest)
        if found is None:
            state = self._house.network.state
            owners = (
                Row(PAIR.unpack(state.placements.key(placement))[0])
                for placement in state.indexes.placements_of(digest)
            )
            found = sum(digest in self._house.staying(owner) for owner in owners)
            self._stored[digest] = found
        return found

    def alone_bytes(self, shelf: Shelf, image: HeldImage) -> int:
        """Return what removing just this image would free."""
        less, size = self._less_of(shelf), self._house.network.state.size_bytes
        return sum(
            size(row)
            for row in image.here
            if shelf.users[row] - less.get(row, 0) <= 1 and self._holders(row) <= 1
        )

    @property
    def stored_bytes(self) -> int:
        """Return what the region stores by now, each content once."""
        return self._stored_at_first - self._freed_bytes

    @cached_property
    def _stored_at_first(self) -> int:
        state = self._house.network.state
        every: set[Row] = set()
        for owner in range(len(state.repositories)):
            every |= self._house.staying(Row(owner))
        return sum(map(state.size_bytes, every))
