"""The columns of every table, by position, and what their codes mean.

A link is a row plus one, of the same table or another one; 0 leads nowhere. Links are
derived from keys, and are followed where a question begins at their other end.
"""

from enum import IntEnum
from functools import lru_cache
from typing import Final


class ReplicaPhase(IntEnum):
    """How far content has arrived in a region; ABSENT is none of the API's."""

    ABSENT = 0
    ANNOUNCED = 1
    PARTIAL = 2
    COMPLETE = 3
    VERIFIED = 4


class DecisionStatus(IntEnum):
    """How far a decision has come; a later one is never undone by an earlier one."""

    PLANNED = 1
    STARTED = 2
    FAILED = 3
    WITHHELD = 4
    CANCELLED = 5
    EXPIRED = 6
    COMPLETED = 7
    DEFERRED = 8
    """Over budget: the only one that may become PLANNED after all."""


class StartOutcome(IntEnum):
    """Whether a machine found its image in its region, and if not, why."""

    LOCAL = 1
    UNKNOWN = 2
    NEVER_PREDICTED = 3
    PREDICTED_LATE = 4
    EVICTED = 5
    COPY_FAILED = 6
    COPY_EXPIRED = 7
    COPY_UNUSED = 8
    CANCELLED = 9
    CONTROL_GROUP = 10
    OBSERVE_ONLY = 11
    OVER_BUDGET = 12
    SOURCE_UNHEALTHY = 13


class Region(IntEnum):
    """Of ``regions``; key: the code. LAST_START: of any app."""

    STATE, STATE_ORDER, STATE_EXPIRE, INVENTORY_TIME, LAST_START = range(5)


class App(IntEnum):
    """Of ``apps``; key: organization, name. NEWEST: its last version's row, plus one.

    FIRST_START is 0 while it never started anywhere.
    """

    PUSHES, FIRST_START, NEWEST = range(3)


class AppLink(IntEnum):
    """Links of ``apps``, after its columns."""

    FIRST_MEMBER = len(App)


class Version(IntEnum):
    """Of ``versions``; key: placement. ORDER: when it was pushed, or first seen.

    NUMBER: how many versions of the app were pushed by then, this one included.
    """

    APP, SHAPE, ORDER, NUMBER = range(4)


class Trial(IntEnum):
    """Of ``trials``; key: version, trigger, sixtieth of the regions.

    The class of each region whose outcome is open, in four bits, fifteen a column.
    """

    ORDER, TIME, CLASSES = range(3)


class StartClass(IntEnum):
    """What is known of an app in a region before a version of it starts there."""

    NONE = 0
    FIRST = 1
    MEMBER = 2
    FORMER = 3
    YOUNG = 4
    SECOND = 5
    OTHER = 6
    REQUESTED = 7
    RUNNING = 8


class Repository(IntEnum):
    """Of ``repositories``; key: the name. Rows are kept plus one, 0 is none."""

    APP, DECLARED_ORDER, NAMED_ORDER = range(3)


class RepositoryLink(IntEnum):
    """Links of ``repositories``, after its columns."""

    FIRST_PLACEMENT = len(Repository)


class Digest(IntEnum):
    """Of ``digests``; key: a SHA-256's bytes, or the text of another one.

    MEDIA, SUBJECT, ORIGINAL: row plus one.
    """

    SIZE, MEDIA, EDGES, SUBJECT, ORIGINAL = range(5)


class DigestLink(IntEnum):
    """Links of ``digests``, after its columns."""

    FIRST_PLACEMENT = len(Digest)


class Edge(IntEnum):
    """Of ``edges``; key: parent digest, position. PLATFORM: row plus one."""

    CHILD, PLATFORM = range(2)


class PlacementLink(IntEnum):
    """Links of ``placements``, which has no other columns.

    PRESENT: a bit for each of the first PRESENT_BITS regions that hold the content
    whole, by row; BEYOND_BIT where any other one does. DETAILED: 1 where it is on its
    way to any region, or was read back from one: then its replicas tell more.
    """

    NEXT_IN_REPOSITORY, NEXT_OF_DIGEST, FIRST_REPLICA, FIRST_USE, PRESENT = range(5)
    DETAILED = 5


PRESENT_BITS: Final = 62
BEYOND_BIT: Final = 1 << PRESENT_BITS


class Replica(IntEnum):
    """Of ``replicas``; key: placement, region. Times of order, held bytes."""

    GONE, ANNOUNCED, COMPLETE, VERIFIED, HELD, CREATE_TIME, CHANGE_TIME = range(7)


class ReplicaLink(IntEnum):
    """Links of ``replicas``, after its columns."""

    NEXT = len(Replica)


class Cleared(IntEnum):
    """Of ``cleared``; key: repository, region. When all of it last left there."""

    ORDER, TIME = range(2)


class Use(IntEnum):
    """Of ``uses``; key: placement, start region."""

    PULLS, STARTS, RUNNING, LAST_TIME = range(4)


class UseLink(IntEnum):
    """Links of ``uses``, after its columns."""

    NEXT = len(Use)


class Tag(IntEnum):
    """Of ``tags``; key: repository, tag. DIGEST: row plus one, 0 is removed."""

    DIGEST, REGION, ORDER, TIME, SEQUENCE = range(5)


class Demand(IntEnum):
    """Of ``demand``; key: app, start region, slot of the hour ring."""

    HOUR, PULLS, STARTS = range(3)


class Membership(IntEnum):
    """Of ``memberships``; key: app, start region."""

    FIRST_START, LAST_START, STARTS, LAST_PULL, PULLS = range(5)
    LAST_REQUEST, WITHDRAWN = range(5, 7)


class MembershipLink(IntEnum):
    """Links of ``memberships``, after its columns."""

    NEXT = len(Membership)


class Burst(IntEnum):
    """Of ``bursts``; key: app, start region. LAST_TIME: of the latest first start."""

    FIRST_STARTS, STARTS, LAST_TIME = range(3)


class Machine(IntEnum):
    """Of ``machines``; key: the id's hash. Runs while STARTED > STOPPED.

    Of its last start: OUTCOME, a StartOutcome; WAIT, plus one; DECISION: row plus one.
    """

    PLACEMENT, REGION, STARTED, STOPPED, SEEN = range(5)
    OUTCOME, WAIT, DECISION = range(5, 8)


class Calibration(IntEnum):
    """Of ``calibration``; key: source, target: starts that said what was expected."""

    SAMPLES, BELOW_P50, BELOW_P90 = range(3)


class Transfer(IntEnum):
    """Of ``transfers``; key: source, target, slot."""

    BYTES, DURATION, TIME, CONCURRENCY, OUTCOME = range(5)


class Decision(IntEnum):
    """Of ``decisions``; key: the id. SOURCE, POLICY, REASON: row plus one.

    KIND: a ReplicationTrigger, or EVICTION, whose BYTES are negative. PROBABILITY: in
    millionths. CAUSE: a WithholdReason or FailureCause. REGIONS_0 and on: the start
    regions that it is for, sixty bits each. USED: the first start in one of them after
    it was decided; STARTS: of that burst; WAITED of those said what they WAIT, in all.
    ORDER: the log's time of the decision, which no other event shares.
    """

    STATUS, PLACEMENT, SOURCE, TARGET, BYTES, TRIGGER, TIME, CHANGE, ATTEMPT = range(9)
    SEQUENCE, KIND, EXPIRE, PRIORITY, PROBABILITY, SAVED, EXPECTED = range(9, 16)
    MOVED, TOOK, POLICY, REASON, CAUSE, COMPLETE, USED = range(16, 23)
    STARTS, WAITED, WAIT, ORDER = range(23, 27)
    REGIONS_0, REGIONS_1, REGIONS_2, REGIONS_3 = range(27, 31)


EVICTION: Final = 100
"""The KIND of a decision to remove content; a ReplicationTrigger is less."""


class Decided(IntEnum):
    """Of ``decided``; key: digest, target. DECISION: the last one's row, plus one.

    TRIGGER: the latest that opened one. FAILURES: in a row, expiries too.
    """

    TRIGGER, DECISION, FAILURES = range(3)


class Wanted(IntEnum):
    """Of ``wanted``; key: placement, target. What somebody asked to have copied."""

    TIME, SEQUENCE, DEADLINE = range(3)


class Request(IntEnum):
    """Of ``requests``; key: the id's hash. PLACEMENT: of a wanted copy, plus one."""

    TIME, PLACEMENT, TARGET = range(3)


class StartDay(IntEnum):
    """Of ``start_days``; key: app, start region, StartOutcome, day since 1970."""

    STARTS, WAITED, WAIT = range(3)


class Order(IntEnum):
    """Of ``pins``, ``pauses`` and ``policies``: the last order given."""

    ACTIVE, ORDER, EXPIRE = range(3)


@lru_cache
def column_names(cells: type[IntEnum]) -> tuple[str, ...]:
    """Return the column names of *cells*, in order."""
    return tuple(cell.name.lower() for cell in cells)
