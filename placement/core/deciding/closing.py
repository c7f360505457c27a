"""Open decisions that nobody should carry out any more, and why."""

from collections.abc import Iterator

from placement.core.deciding.desk import Desk
from placement.core.deciding.safety import REFUSALS, refused
from placement.core.deciding.storehouse import Estate
from placement.core.decisions import DecisionRecord, open_copies, open_removals
from placement.core.event import (
    Event,
    EvictionCancelled,
    Fact,
    Identifier,
    Name,
    ReplicationCancelled,
    ReplicationExpired,
    ReplicationSubject,
    Text,
)
from placement.core.graph import to_move
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.keys import PAIR
from placement.core.tables.table import Row


def closings(desk: Desk, target: Row, publisher: str) -> Iterator[Event]:
    """Yield what closes open copies into *target*.

    They expired, are needless, or may not be made any more.
    """
    for decision in open_copies(desk.state, target):
        fact = _closing(desk, decision, target)
        if fact is not None:
            end = "expired" if isinstance(fact, ReplicationExpired) else "cancelled"
            own_id = Identifier(f"{decision.replication_id}-{end}")
            yield Event(own_id, decision.target, fact, publisher=Name(publisher))


def _closing(desk: Desk, decision: DecisionRecord, target: Row) -> Fact | None:
    state = desk.state
    repository, digest = state.placement_at(decision.placement)
    own_id = Identifier(decision.replication_id)
    subject = ReplicationSubject(own_id, repository, digest, decision.target)
    if decision.expire_ns and decision.expire_ns <= desk.now_ns:
        begun = decision.status is DecisionStatus.STARTED
        said = "was not done in time" if begun else "nobody began it in time"
        return ReplicationExpired(subject, Text(said))
    owner, content = map(Row, PAIR.unpack(state.placements.key(decision.placement)))
    waits = decision.status is DecisionStatus.PLANNED
    if waits and not to_move(state, owner, content, target):
        said = "all of it is there by other means"
        return ReplicationCancelled(subject, Name("planner"), Text(said))
    if waits and decision.target not in desk.permitted(repository):
        said = "by the rules of residency it may not be there any more"
        return ReplicationCancelled(subject, Name("planner"), Text(said))
    return None


def kept_after_all(desk: Desk, target: Row, publisher: str) -> Iterator[Event]:
    """Yield what calls off removals from *target* that expired, or are not safe."""
    estate = Estate(desk.network, desk.guardrails)
    for removal in open_removals(desk.state, target):
        said = ""
        if removal.expire_ns and removal.expire_ns <= desk.now_ns:
            said = "it was not carried out in time"
        else:
            refusal = refused(estate, removal.placement, removal.target)
            said = REFUSALS.get(refusal, refusal)
        if said:
            own_id = Identifier(f"{removal.replication_id}-cancelled")
            about = Identifier(removal.replication_id)
            fact = EvictionCancelled(about, removal.target, Text(said), Name("planner"))
            yield Event(own_id, removal.target, fact, publisher=Name(publisher))
