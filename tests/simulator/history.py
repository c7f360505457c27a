"""What happened in a run, as those saw it who used the service."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from placement.core.oci import Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables.records import ReplicaRecord, TagPointer
from placement.core.tables.table import ABSENT
from placement.core.watched import (
    Watched,
    WatchedPlacement,
    WatchedReplica,
    WatchedTag,
)
from placement.runtime.tokens import Token
from placement.runtime.view import ServingState
from tests.simulator.log import Life

Placed = tuple[tuple[ReplicaRecord, ...], TagPointer | None]
"""An answer to a question: where the content is, and what the tag points to."""


@dataclass(frozen=True, slots=True)
class Question:
    """Asks where content is, and what a tag points to."""

    repository: Repository
    digest: Digest
    tag: Tag


@dataclass(frozen=True, slots=True)
class Position:
    """How far a state is: a sequence, and the hash of the very message there."""

    sequence: int
    message_hash: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A publisher was told that its event is stored."""

    publisher: str
    event_id: str
    epoch: str
    sequence: int
    seconds: float
    mark: str = ""
    """That of the token it got."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A client asked, perhaps with a token, and was answered."""

    client: str
    replica: str
    question: Question
    token: Token | None
    """What it asked to see at least."""
    reached: bool
    """Whether the answer claims to be as fresh as was asked."""
    epoch: str
    sequence: int
    serving: ServingState
    position: Position
    """Where the state was from which the answer was made."""
    answer: Placed
    seconds: float
    wanted: Position | None = None
    """What the token stands for, if it came with an answer."""


@dataclass(frozen=True, slots=True)
class Probed:
    """Somebody looked at a replica's whole state."""

    replica: str
    epoch: str
    position: Position
    fingerprint: str
    seconds: float


Held = tuple[Watched, ...]
"""What a watcher holds: placements and tags that are somewhere, in order."""


@dataclass(frozen=True, slots=True)
class Bookmarked:
    """A watcher was told that it holds everything up to a sequence."""

    watcher: str
    session: int
    """Grows whenever the watcher connects anew."""
    epoch: str
    sequence: int
    """That of the bookmark's token."""
    store_time_ns: int
    """When the message at *sequence* was stored, as the bookmark says."""
    held: Held
    seconds: float


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What a local replica knew when a bookmark came."""

    follower: str
    sequence: int
    store_time_ns: int
    known: tuple[str, ...]
    """A line for each placement and tag, in order."""


@dataclass(frozen=True, slots=True)
class Connected:
    """For how long a watcher was connected, without a fault on the way."""

    watcher: str
    session: int
    began_seconds: float
    ended_seconds: float
    unmarked_seconds: float
    """The longest time from a change until the bookmark that followed it."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Somebody carried a decision out."""

    decision_id: str
    digest: str
    region: str
    trigger_sequence: int
    epoch: str
    by: str
    repository: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a replica was at the end of the run."""

    replica: str
    serving: ServingState
    epoch: str
    position: Position
    fingerprint: str
    trouble: str


Place = tuple[Repository, Digest]
"""A repository, and a content in it."""


@dataclass(frozen=True, slots=True)
class Received:
    """A registry was told by its agent that a notification is taken."""

    region: str
    notification_id: str
    status: int
    is_told: bool
    """Whether the log has to hold it in the end."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """A replicator removed content from its registry."""

    region: str
    place: Place
    elsewhere: tuple[str, ...]
    """The other regions that held all of it at that moment."""
    was_whole: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What a region's registry held in the end, in order."""

    region: str
    places: tuple[Place, ...]
    tagged: tuple[Place, ...]
    """All of it that tags lead to."""
    wrong: tuple[Place, ...]
    """What is kept under a digest that is not its own."""


@dataclass
class History:
    """Everything that a run left behind."""

    lives: Sequence[Life] = ()
    """The logs, of which the last is the one that remains."""
    acknowledged: list[Acknowledged] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    probed: list[Probed] = field(default_factory=list)
    bookmarked: list[Bookmarked] = field(default_factory=list)
    mirrored: list[Mirrored] = field(default_factory=list)
    connected: list[Connected] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    posted_uses: list[str] = field(default_factory=list)
    """Notifications that somebody but us fetched content, the only demand that there
    is, as they are posted: an agent may keep one, die, and never hear of it again, as
    its registry is restarted."""
    received: list[Received] = field(default_factory=list)
    evicted: list[Evicted] = field(default_factory=list)
    asked: Counter[tuple[str, Place]] = field(default_factory=Counter)
    """How often each content came through each region's router, whole."""
    left: Counter[tuple[str, Place]] = field(default_factory=Counter)
    """How often anything left a region's registry, by whomever."""
    stored: list[Stored] = field(default_factory=list)
    """Empty in a world without registries."""
    ended: list[Ended] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What the world did: faults, crashes, restarts. For people."""
    failures: list[str] = field(default_factory=list)
    """What nobody should ever see: callbacks and tasks that raised."""

    def trace_hash(self) -> str:
        """Return a hash of all of it, equal for equal runs."""
        whole = blake2b(digest_size=16)
        for name, records in sorted(vars(self).items()):
            for record in records:
                whole.update(f"{name} {record!r}\n".encode())
        return whole.hexdigest()


def position_of(state: State) -> Position:
    """Return how far *state* is."""
    return Position(state.sequence, state.message_hash)


def placed(state: State, question: Question) -> Placed:
    """Answer *question* from *state*."""
    row = state.find_placement(question.repository, question.digest)
    replicas = () if row == ABSENT else tuple(state.replicas_of(row))
    return replicas, state.tag(question.repository, question.tag)


def held_by(state: State) -> Held:
    """Return what somebody who watches everything holds at *state*."""
    found: list[Watched] = []
    for _, row in state.placements.rows():
        repository, digest = state.placement_at(row)
        replicas = tuple(
            WatchedReplica(record.region, record.phase, record.held_bytes)
            for record in state.replicas_of(row)
        )
        size_bytes = state.size_bytes(state.content_of(row))
        found.append(WatchedPlacement(repository, digest, size_bytes, replicas))
    for _, row in state.repositories.rows():
        owner = state.repository_at(row)
        found += (
            WatchedTag(owner, tag, pointer.digest)
            for tag, pointer in state.tags_in(row)
        )
    return in_order(found)


def in_order(watched: Iterable[Watched]) -> Held:
    """Return what is not gone, sorted."""
    return tuple(sorted((item for item in watched if not item.gone), key=thing))


def thing(item: Watched) -> tuple[str, str]:
    """Return what *item* is about."""
    if isinstance(item, WatchedPlacement):
        return item.repository, item.digest
    return item.repository, f":{item.tag}"
