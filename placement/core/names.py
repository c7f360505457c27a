"""Rows of things by their names and back, and whether they may be told of.

A state tells of everything; one that is seen as a tenant sees it (see ``sight``) finds
and tells less.
"""

from placement.core.oci import Digest, Repository
from placement.core.tables.keys import PAIR, digest_key, digest_text
from placement.core.tables.schema import Tables
from placement.core.tables.table import ABSENT, Row


class NamedTables(Tables):
    """Tables in which repositories, digests and placements are found by name."""

    def find_repository(self, repository: Repository) -> Row:
        """Return the repository's row, or ABSENT."""
        return self.repositories.find(repository.encode())

    def find_digest(self, digest: Digest) -> Row:
        """Return the digest's row, or ABSENT."""
        return self.digests.find(digest_key(digest.encode()))

    def find_placement(self, repository: Repository, digest: Digest) -> Row:
        """Return the row of *digest* in *repository*, or ABSENT."""
        owner, content = self.find_repository(repository), self.find_digest(digest)
        if ABSENT in (owner, content):
            return ABSENT
        return self.placements.find(PAIR.pack(owner, content))

    def repository_at(self, row: Row) -> Repository:
        """Return the name of a repository's row."""
        return Repository(self.repositories.key(row).decode())

    def digest_at(self, row: Row) -> Digest:
        """Return the text of a digest's row."""
        return Digest(digest_text(self.digests.key(row)))

    def placement_at(self, row: Row) -> tuple[Repository, Digest]:
        """Return what a placement's row stands for."""
        owner, content = self.placements.part(row, 0), self.placements.part(row, 1)
        return self.repository_at(Row(owner)), self.digest_at(Row(content))

    def content_in(self, repository: Row, digest: Digest) -> Row:
        """Return the digest's row, for who asks about *repository*, or ABSENT."""
        del repository  # whoever sees everything may know of it
        return self.find_digest(digest)

    def named_repositories(self) -> list[tuple[Repository, Row]]:
        """Return all repositories by name, each with its row."""
        named = self.repositories.rows()
        return sorted((Repository(key.decode()), row) for key, row in named)

    def sees_repository(self, repository: Row) -> bool:
        """Say whether a repository may be told of."""
        del repository  # any may
        return True

    def sees_placement(self, placement: Row) -> bool:
        """Say whether a placement may be told of."""
        return self.sees_repository(Row(self.placements.part(placement, 0)))

    def sees_app(self, app: Row) -> bool:
        """Say whether an app may be told of."""
        del app  # any may
        return True

    @property
    def sees_all(self) -> bool:
        """Whether nothing is hidden."""
        return True
