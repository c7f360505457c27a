"""What is looked up the other way round.

What there is much of is found by links, which are columns of the tables themselves:
whoever adds a row puts it before all that it is found with. The rest is derived from
the tables and never saved.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from placement.core.tables import cells
from placement.core.tables.agenda import Agenda
from placement.core.tables.changes import Changes
from placement.core.tables.decided import DecisionIndex
from placement.core.tables.records import Transfer
from placement.core.tables.schema import Tables
from placement.core.tables.table import ABSENT, Row, RowNumbers, Table
from placement.core.tables.trials import OpenTrials
from placement.core.tables.waits import StartWaits

Chain = tuple[int, int]
"""Columns: the link with which a chain begins, and that by which it goes on."""

_IN_REPOSITORY: Final[Chain] = (
    cells.RepositoryLink.FIRST_PLACEMENT,
    cells.PlacementLink.NEXT_IN_REPOSITORY,
)
_OF_DIGEST: Final[Chain] = (
    cells.DigestLink.FIRST_PLACEMENT,
    cells.PlacementLink.NEXT_OF_DIGEST,
)
_REPLICAS: Final[Chain] = (cells.PlacementLink.FIRST_REPLICA, cells.ReplicaLink.NEXT)
_USES: Final[Chain] = (cells.PlacementLink.FIRST_USE, cells.UseLink.NEXT)
_MEMBERS: Final[Chain] = (cells.AppLink.FIRST_MEMBER, cells.MembershipLink.NEXT)
_REGION: Final = 1
"""The part of a key of PAIR that is a region."""


class Indexes:
    """What is looked up the other way round."""

    def __init__(self, tables: Tables) -> None:
        """Find rows of *tables*; what is not linked there begins empty."""
        self._repositories, self._apps = tables.repositories, tables.apps
        self._digests, self._placements = tables.digests, tables.placements
        self._replicas, self._uses = tables.replicas, tables.uses
        self._memberships = tables.memberships
        self.agenda = Agenda()
        self.changes = Changes()
        self.decisions = DecisionIndex()
        self.trials = OpenTrials()
        self.waits = StartWaits()
        self.kinds: list[int] = [0]
        """Of each media type, by its row plus one, what kind of content it says."""
        self.measured: list[Transfer] = []
        """Transfers of the message that is being folded; none between messages."""
        self._tags: dict[Row, list[Row]] = {}
        self._machines: dict[Row, dict[bytes, None]] = {}
        self._conversions: dict[Row, list[Row]] = {}
        self._wanted: dict[Row, list[Row]] = {}
        self._awaited: dict[Row, list[Row]] = {}
        self._versions: dict[Row, list[Row]] = {}

    def add_placement(self, row: Row, repository: Row, digest: Row) -> None:
        """Index a new placement."""
        first, following = _IN_REPOSITORY
        before = self._repositories.get(repository, first)
        self._placements.set(row, following, before)
        self._repositories.set(repository, first, row + 1)
        first, following = _OF_DIGEST
        before = self._digests.get(digest, first)
        self._placements.set(row, following, before)
        self._digests.set(digest, first, row + 1)

    def add_placements(
        self, rows: RowNumbers, repositories: RowNumbers, digests: RowNumbers
    ) -> None:
        """Index new placements, each of the repository and digest beside it."""
        placements = self._placements
        _join(placements, rows, self._repositories, repositories, _IN_REPOSITORY)
        _join(placements, rows, self._digests, digests, _OF_DIGEST)

    def add_replica(self, row: Row, placement: Row) -> None:
        """Index a new replica."""
        first, following = _REPLICAS
        self._replicas.set(row, following, self._placements.get(placement, first))
        self._placements.set(placement, first, row + 1)

    def add_replicas(self, rows: RowNumbers, placements: RowNumbers) -> None:
        """Index new replicas, each of the placement beside it."""
        _join(self._replicas, rows, self._placements, placements, _REPLICAS)

    def add_use(self, row: Row, placement: Row) -> None:
        """Index the first use of a placement in a region."""
        first, following = _USES
        self._uses.set(row, following, self._placements.get(placement, first))
        self._placements.set(placement, first, row + 1)

    def add_uses(self, rows: RowNumbers, placements: RowNumbers) -> None:
        """Index first uses, each of the placement beside it."""
        _join(self._uses, rows, self._placements, placements, _USES)

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

    def add_member(self, row: Row, app: Row) -> None:
        """Index the first demand of an app in a region."""
        first, following = _MEMBERS
        self._memberships.set(row, following, self._apps.get(app, first))
        self._apps.set(app, first, row + 1)

    def add_version(self, repository: Row, version: Row) -> None:
        """Index a version of a repository, the newest one."""
        self._versions.setdefault(repository, []).append(version)

    def versions_in(self, repository: Row) -> Sequence[Row]:
        """Return the versions of a repository, the oldest first."""
        return self._versions.get(repository, ())

    def placements_in(self, repository: Row) -> Sequence[Row]:
        """Return the placements of a repository."""
        if repository == ABSENT:
            return ()
        first, following = _IN_REPOSITORY
        begin = self._repositories.get(repository, first)
        return self._placements.chain(begin, following)

    def placements_of(self, digest: Row) -> Sequence[Row]:
        """Return the placements of a digest, one for each repository."""
        if digest == ABSENT:
            return ()
        first, following = _OF_DIGEST
        return self._placements.chain(self._digests.get(digest, first), following)

    def replicas_of(self, placement: Row) -> Sequence[Row]:
        """Return the rows of a placement's replicas, those that are gone, too."""
        if placement == ABSENT:
            return ()
        first, following = _REPLICAS
        return self._replicas.chain(self._placements.get(placement, first), following)

    def regions_of(self, placement: Row) -> Sequence[Row]:
        """Return the regions that have, or once had, a replica."""
        part = self._replicas.part
        return [Row(part(row, _REGION)) for row in self.replicas_of(placement)]

    def users_of(self, placement: Row) -> Sequence[Row]:
        """Return the start regions that used the content."""
        part = self._uses.part
        return [Row(part(row, _REGION)) for row in self.uses_of(placement)]

    def uses_of(self, placement: Row) -> Sequence[Row]:
        """Return the rows of the content's uses, one for each start region."""
        if placement == ABSENT:
            return ()
        first, following = _USES
        return self._uses.chain(self._placements.get(placement, first), following)

    def tags_of(self, repository: Row) -> Sequence[Row]:
        """Return the rows of a repository's tags, removed ones too."""
        return self._tags.get(repository, ())

    def machines_in(self, region: Row) -> list[bytes]:
        """Return the keys of the machines last seen in a region."""
        return list(self._machines.get(region, ()))

    def members_of(self, app: Row) -> Sequence[Row]:
        """Return the start regions with any demand for an app."""
        part = self._memberships.part
        return [Row(part(row, _REGION)) for row in self.memberships_of(app)]

    def memberships_of(self, app: Row) -> Sequence[Row]:
        """Return the rows of an app's memberships, one for each start region."""
        if app == ABSENT:
            return ()
        first, following = _MEMBERS
        return self._memberships.chain(self._apps.get(app, first), following)

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


def _join(
    table: Table, rows: RowNumbers, owned_by: Table, owners: RowNumbers, chain: Chain
) -> None:
    """Put each of *rows* before what its owner's chain begins with, in their order."""
    if not len(rows):
        return
    first, following = chain
    order = np.argsort(owners, kind="stable")
    rows, owners = rows[order], owners[order]
    links = np.concatenate(([0], rows[:-1] + 1))
    begins = np.diff(owners, prepend=ABSENT) != 0
    links[begins] = owned_by.column(first)[owners[begins]]
    table.set_many(rows, following, links)
    owned_by.set_many(owners, first, rows + 1)
