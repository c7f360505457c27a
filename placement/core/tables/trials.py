"""Which trials are open, by app, by version and by age; derived, never saved."""

from collections import deque
from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

from placement.core.tables.table import Row


class EndedTrial(NamedTuple):
    """A trial with its outcome; rows, and the trigger as in ``Trigger``."""

    version: Row
    region: Row
    trigger: int
    hit: bool


class VersionRecord(NamedTuple):
    """A version as it is kept: rows, and when it was pushed or first seen."""

    placement: Row
    app: Row
    shape: Row
    order_ns: int


class OpenTrials:
    """Which trials are open, by app, by version and by age; derived, never saved."""

    def __init__(self) -> None:
        """Begin with none."""
        self.ended: list[EndedTrial] | None = None
        """What ended since it was emptied; None while nobody wants to know."""
        self._versions: dict[Row, dict[Row, VersionRecord]] = {}
        self._keys: dict[Row, dict[bytes, int]] = {}
        self._ages: deque[tuple[int, Row, bytes]] = deque()

    def add(self, about: VersionRecord, key: bytes, order_ns: int) -> None:
        """Index a trial that was opened at *order_ns*, after all that are indexed."""
        version = about.placement
        self._add_version(about)
        self._keys.setdefault(version, {})[key] = order_ns
        self._ages.append((order_ns, version, key))

    def _add_version(self, about: VersionRecord) -> None:
        versions = self._versions.setdefault(about.app, {})
        if about.placement in versions:
            return
        newest = next(reversed(versions.values()), about)
        versions[about.placement] = about
        if about.order_ns < newest.order_ns:
            in_order = sorted(versions.values(), key=attrgetter("order_ns"))
            self._versions[about.app] = {each.placement: each for each in in_order}

    def drop(self, app: Row, version: Row, key: bytes) -> None:
        """Forget a trial."""
        keys = self._keys[version]
        del keys[key]
        if not keys:
            del self._keys[version]
            versions = self._versions[app]
            del versions[version]
            if not versions:
                del self._versions[app]

    def end(self, version: Row, region: Row, trigger: int, *, hit: bool) -> None:
        """Tell whoever wants to know that a trial has an outcome."""
        if self.ended is not None:
            self.ended.append(EndedTrial(version, region, trigger, hit))

    def versions_of(self, app: Row) -> list[Row]:
        """Return the versions of *app* with open trials, the oldest version first."""
        return list(self._versions.get(app, ()))

    def records_of(self, app: Row) -> list[VersionRecord]:
        """Return what ``versions_of`` does, with what is kept of each."""
        return list(self._versions[app].values()) if app in self._versions else []

    def of_version(self, version: Row) -> list[bytes]:
        """Return the keys of the version's open trials."""
        return list(self._keys.get(version, ()))

    def opened_before(self, order_ns: int) -> Iterator[tuple[Row, bytes]]:
        """Yield (version, key) of trials opened before *order_ns*, the oldest first.

        What is yielded leaves the queue, so it must be dropped before the next one.
        """
        while self._ages and self._ages[0][0] < order_ns:
            opened_ns, version, key = self._ages.popleft()
            if self._keys.get(version, {}).get(key) == opened_ns:
                yield version, key
