"""What is looked up the other way round; derived from the tables, never saved."""

from collections.abc import Sequence

from placement.core.tables.agenda import Agenda
from placement.core.tables.changes import Changes
from placement.core.tables.decided import DecisionIndex
from placement.core.tables.records import Transfer
from placement.core.tables.table import Row, RowNumbers
from placement.core.tables.trials import OpenTrials


class Indexes:
    """What is looked up the other way round; derived from the tables, never saved."""

    def __init__(self) -> None:
        """Begin empty, as the tables do."""
        self.agenda = Agenda()
        self.changes = Changes()
        self.decisions = DecisionIndex()
        self.trials = OpenTrials()
        self.kinds: list[int] = [0]
        """Of each media type, by its row plus one, what kind of content it says."""
        self.measured: list[Transfer] = []
        """Transfers of the message that is being folded; none between messages."""
        self._by_repository: dict[Row, list[Row]] = {}
        self._by_digest: dict[Row, list[Row]] = {}
        self._regions: dict[Row, list[Row]] = {}
        self._users: dict[Row, list[Row]] = {}
        self._tags: dict[Row, list[Row]] = {}
        self._machines: dict[Row, dict[bytes, None]] = {}
        self._conversions: dict[Row, list[Row]] = {}
        self._members: dict[Row, list[Row]] = {}
        self._wanted: dict[Row, list[Row]] = {}
        self._awaited: dict[Row, list[Row]] = {}
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

    def add_uses(self, placements: RowNumbers, regions: RowNumbers) -> None:
        """Index the first uses of placements, each in the region beside it."""
        for placement, region in zip(
            placements.tolist(), regions.tolist(), strict=True
        ):
            self.add_use(placement, region)

    def add_tag(self, repository: Row, tag: Row) -> None:
        """Index a new tag."""
        self._tags.setdefault(repository, []).append(tag)

    def add_machine(self, region: Row, key: bytes) -> None:
        """Index a machine in its region."""
        self._machines.setdefault(region, {})[key] = None

    def drop_machine(self, region: Row, key: bytes) -> None:
        """Forget that a machine is in a region."""
        del self._machines[region][key]

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

    def add_wanted(self, placement: Row, target: Row) -> None:
        """Index the first request to copy a placement into a region."""
        self._wanted.setdefault(placement, []).append(target)

    def wanted_of(self, placement: Row) -> Sequence[Row]:
        """Return the regions that somebody ever asked to copy a placement into."""
        return self._wanted.get(placement, ())

    def add_awaited(self, placement: Row, region: Row) -> None:
        """Index the first request for starts of this very image in a start region."""
        self._awaited.setdefault(placement, []).append(region)

    def awaited_of(self, placement: Row) -> Sequence[Row]:
        """Return the start regions where starts of this very image were asked for."""
        return self._awaited.get(placement, ())
