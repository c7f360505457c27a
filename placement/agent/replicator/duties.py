"""What a replicator is told to do, and the port that tells it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from placement.core.event import ReplicationSubject
from placement.core.facts.values import Identifier, Name, Text, TimeNs
from placement.core.oci import Digest, Repository
from placement.core.topology import Region

PRIORITY_LEAST: Final = 4
"""Source: events.proto, ReplicationPlanned.priority: 1 is first, 4 is the rest."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Content to be copied into the target region: an image, or one blob alone."""

    subject: ReplicationSubject
    source_region: Region | None = None
    media_type: str = ""
    """Empty when not known."""
    is_blob: bool = False
    """Whether the decision says that it is one: a layer before its manifest."""
    expire_time_ns: TimeNs | None = None
    priority: int = PRIORITY_LEAST
    attempt: int = 1
    trace: str = field(default="", compare=False)
    """The context that the decision came with; empty: none."""

    @property
    def own_id(self) -> str:
        """The decision's id."""
        return self.subject.replication_id

    def again(self) -> "Copy":
        """Return the next attempt of it."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True, slots=True)
class Removal:
    """A manifest or index to be removed from the target region."""

    eviction_id: Identifier
    repository: Repository
    digest: Digest
    target_region: Region
    expire_time_ns: TimeNs | None = None
    reason: Text | Name = Text("")
    attempt: int = 1

    @property
    def own_id(self) -> str:
        """The decision's id."""
        return self.eviction_id

    def again(self) -> "Removal":
        """Return the next attempt of it."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A decision, of either kind, that is not to be carried out any more."""

    own_id: str


Duty = Copy | Removal | Withdrawal


class Assigned(Protocol):
    """One duty in our hands: it comes again unless it is settled.

    To settle it raises nothing: what could not be said comes again.
    """

    @property
    def duty(self) -> Duty:
        """What is to be done."""

    async def done(self) -> None:
        """Say that it needs nothing more, whatever became of it."""

    async def again(self, delay_seconds: float) -> None:
        """Let it come again, not before *delay_seconds*, as its next attempt."""


class Decisions(Protocol):
    """Where duties come from; see ``queue_decisions`` and ``watched_decisions``."""

    def assigned(self) -> AsyncGenerator[Assigned, None]:
        """Yield duties for ever, those of the last run that were not settled as well.

        A duty may come twice. Raises PlacementError when they cannot be had now; then
        it is to be called again.
        """


class Lookup(Protocol):
    """What is known of where content is; answered from memory, perhaps wrongly."""

    def sources(self, repository: Repository, digest: Digest) -> tuple[Region, ...]:
        """Return regions that may have it, the best first."""

    def mountable(self, digest: Digest) -> tuple[Repository, ...]:
        """Return repositories of our own registry that may have the blob."""


class NothingKnown:
    """A Lookup for an agent that follows no service."""

    def sources(self, repository: Repository, digest: Digest) -> tuple[Region, ...]:
        """Return none."""
        del repository, digest
        return ()

    def mountable(self, digest: Digest) -> tuple[Repository, ...]:
        """Return none."""
        del digest
        return ()
