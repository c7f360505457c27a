"""What a tenant sees of the state: its own repositories, and nothing of any other.

What others have looks as if nobody had ever named it: the same look-ups are made, and
find nothing. So no question has to know who asks it, and none takes longer for one.
"""

from collections.abc import Sequence

from placement.core.oci import Digest, Repository
from placement.core.state import State
from placement.core.tables.indexes import Indexes
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row


def owns(organization: str, repository: str) -> bool:
    """Say whether *repository* is the organization's: by its first path component."""
    return repository.partition("/")[0] == organization


class SeenState(State):
    """A state as one organization sees it, now; for questions, which only read."""

    def __init__(self, state: State, organization: str) -> None:
        """See of *state*, whose tables these are, what is the organization's."""
        self.__dict__.update(vars(state))
        self._organization = organization
        self.indexes = _SeenIndexes(self, state.indexes)

    def find_repository(self, repository: Repository) -> Row:
        """Return the repository's row, or ABSENT for whatever is not its own."""
        if not owns(self._organization, repository):
            return ABSENT
        return super().find_repository(repository)

    def content_in(self, repository: Row, digest: Digest) -> Row:
        """Return the digest's row, or ABSENT where *repository* does not have it."""
        row = self.find_digest(digest)
        # Looked up in any case, so that what is elsewhere takes no longer.
        pair = PAIR.pack(max(repository, 0), max(row, 0))
        placed = self.placements.find(pair) != ABSENT
        return row if placed and ABSENT not in {repository, row} else ABSENT

    def named_repositories(self) -> list[tuple[Repository, Row]]:
        """Return its repositories by name, each with its row."""
        return [
            (name, row)
            for name, row in super().named_repositories()
            if owns(self._organization, name)
        ]

    def sees_repository(self, repository: Row) -> bool:
        """Say whether a repository's row is of its own."""
        return owns(self._organization, self.repository_at(repository))

    def sees_app(self, app: Row) -> bool:
        """Say whether an app's row is of its own; one that nobody owns is not."""
        if app == ABSENT:
            return False
        organization, name = self.app_name(app)
        return owns(self._organization, organization or name)

    @property
    def sees_all(self) -> bool:
        """Whether nothing is hidden."""
        return False


class _SeenIndexes(Indexes):
    """The indexes of a state, without what others have of the same content."""

    def __init__(self, seen: SeenState, indexes: Indexes) -> None:
        self.__dict__.update(vars(indexes))
        self._seen = seen

    def placements_of(self, digest: Row) -> Sequence[Row]:
        """Return the placements of a digest in repositories that are seen."""
        found = super().placements_of(digest)
        return [row for row in found if self._seen.sees_placement(row)]
