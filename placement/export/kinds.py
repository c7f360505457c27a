"""What the values of a column are, and what each kind is called in DuckDB."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    """A column's kind."""

    INT = auto()
    FLOAT = auto()
    BOOL = auto()
    TIME = auto()
    """UTC, to the microsecond."""
    DURATION = auto()
    """Whole nanoseconds: sums are exact."""
    TEXT = auto()
    """What names nobody: regions, digests, kinds."""
    NAME = auto()
    """What names somebody, or may: hashed on request."""
    MEDIA = auto()
    """A media type, or a platform: hashed with names unless it is a standard one."""
    WORDS = auto()
    """For people, in any words; where names are hashed, only our own rules stay."""
    TEXTS = auto()
    DESCRIPTORS = auto()
    CONTENTS = auto()
    ABSENCES = auto()
    GROUPS = auto()
    FACTORS = auto()

    @property
    def sql(self) -> str:
        """Return the type's name in DuckDB."""
        return _SQL[self]


_DESCRIPTOR: Final = (
    "media_type VARCHAR, digest VARCHAR, size_bytes BIGINT, platform VARCHAR"
)
_SQL: Final = {
    Kind.INT: "BIGINT",
    Kind.FLOAT: "DOUBLE",
    Kind.BOOL: "BOOLEAN",
    Kind.TIME: "TIMESTAMP",
    Kind.DURATION: "BIGINT",
    Kind.TEXT: "VARCHAR",
    Kind.NAME: "VARCHAR",
    Kind.MEDIA: "VARCHAR",
    Kind.WORDS: "VARCHAR",
    Kind.TEXTS: "VARCHAR[]",
    Kind.DESCRIPTORS: f"STRUCT({_DESCRIPTOR})[]",
    Kind.CONTENTS: (
        f'STRUCT({_DESCRIPTOR}, repository VARCHAR, "references" VARCHAR[], '
        "tags VARCHAR[])[]"
    ),
    Kind.ABSENCES: "STRUCT(digest VARCHAR, repository VARCHAR)[]",
    Kind.GROUPS: "STRUCT(repository VARCHAR, digest VARCHAR, machine_ids VARCHAR[])[]",
    Kind.FACTORS: 'STRUCT("name" VARCHAR, "value" DOUBLE)[]',
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    kind: Kind
    meaning: str
