"""What is looked up the other way round; derived from the tables, never saved."""

from collections.abc import Sequence

from placement.core.tables.changes import Changes
from placement.core.tables.table import Row
from placement.core.tables.trials import OpenTrials


class Indexes:
    """What is looked up the other way round; derived from the tables, never saved."""

    def __init__(self) -> None:
        """Begin empty, as the tables do."""
        self.changes = Changes()
        self.trials = OpenTrials()
        self._by_repository: dict[Row, list[Row]] = {}
        self._by_digest: dict[Row, list[Row]] = {}
        self._regions: dict[Row, list[Row]] = {}
        self._users: dict[Row, list[Row]] = {}
        self._tags: dict[Row, list[Row]] = {}
        self._machines: dict[Row, dict[bytes, None]] = {}
        self._flows: dict[Row, dict[Row, None]] = {}
        self._conversions: dict[Row, list[Row]] = {}
        self._members: dict[Row, list[Row]] = {}
        self._versions: dict[Row, list[Row]] = {}

    def add_placement(self, row: Row, repository: Row, digest: Row) -> None:
        """Index a new placement."""
        self._by_repository.setdefault(repository, []).append(row)
        self._by_digest.setdefault(digest, []).append(row)

    def add_replica(self, placement: Row, region: Row) -> None:
        """Index a new replica."""
        self._regions.setdefault(placement, []).append(region)

    def add_use(self, placement: Row, region: Row) -> None:
        """Index the first use of a placement in a region."""
        self._users.setdefault(placement, []).append(region)

    def add_tag(self, repository: Row, tag: Row) -> None:
        """Index a new tag."""
        self._tags.setdefault(repository, []).append(tag)

    def add_machine(self, region: Row, key: bytes) -> None:
        """Index a machine in its region."""
        self._machines.setdefault(region, {})[key] = None

    def drop_machine(self, region: Row, key: bytes) -> None:
        """Forget that a machine is in a region."""
        del self._machines[region][key]

    def add_flow(self, source: Row, decision: Row) -> None:
        """Index a copy that began to leave *source*."""
        self._flows.setdefault(source, {})[decision] = None

    def drop_flow(self, source: Row, decision: Row) -> None:
        """Forget a copy that left *source*, if it is known."""
        self._flows.get(source, {}).pop(decision, None)

    def flows_from(self, source: Row) -> list[Row]:
        """Return the decisions whose copies began to leave *source*."""
        return list(self._flows.get(source, ()))

    def add_conversion(self, original: Row, converted: Row) -> None:
        """Index a digest that a copy made of another one."""
        self._conversions.setdefault(original, []).append(converted)

    def conversions_of(self, original: Row) -> Sequence[Row]:
        """Return the digests that copies made of *original*."""
        return self._conversions.get(original, ())

    def add_member(self, app: Row, region: Row) -> None:
        """Index the first demand of an app in a region."""
        self._members.setdefault(app, []).append(region)

    def add_version(self, repository: Row, version: Row) -> None:
        """Index a version of a repository, the newest one."""
        self._versions.setdefault(repository, []).append(version)

    def versions_in(self, repository: Row) -> Sequence[Row]:
        """Return the versions of a repository, the oldest first."""
        return self._versions.get(repository, ())

    def placements_in(self, repository: Row) -> Sequence[Row]:
        """Return the placements of a repository."""
        return self._by_repository.get(repository, ())

    def placements_of(self, digest: Row) -> Sequence[Row]:
        """Return the placements of a digest, one for each repository."""
        return self._by_digest.get(digest, ())

    def regions_of(self, placement: Row) -> Sequence[Row]:
        """Return the regions that have, or once had, a replica."""
        return self._regions.get(placement, ())

    def users_of(self, placement: Row) -> Sequence[Row]:
        """Return the start regions that used the content."""
        return self._users.get(placement, ())

    def tags_of(self, repository: Row) -> Sequence[Row]:
        """Return the rows of a repository's tags, removed ones too."""
        return self._tags.get(repository, ())

    def machines_in(self, region: Row) -> list[bytes]:
        """Return the keys of the machines last seen in a region."""
        return list(self._machines.get(region, ()))

    def members_of(self, app: Row) -> Sequence[Row]:
        """Return the start regions with any demand for an app."""
        return self._members.get(app, ())
