"""The words of scenarios about decisions: what is decided now, and how copies go on."""

from collections.abc import Sequence
from functools import cache

from placement.config import Config, load_topology
from placement.core.deciding.decide import decide
from placement.core.deciding.desk import desk_at
from placement.core.deciding.wants import wants_of
from placement.core.decisions import DecisionRecord, decisions_of, open_copies
from placement.core.event import (
    ContentReplicated,
    Event,
    Fact,
    Identifier,
    ReplicationCompleted,
    ReplicationPlanned,
    ReplicationStarted,
    ReplicationSubject,
    ReplicationWithheld,
)
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.topology import Region, Topology
from tests.scenario_words import Names

EPOCH = "scenario"
NOTHING = "nothing"


@cache
def shipped_catalogue() -> Topology:
    """The nineteen regions that the package carries."""
    return load_topology(Config())


def decided(state: State, topology: Topology, now_ns: int) -> list[Event]:
    """Return what a planner decides now about all that is due."""
    desk = desk_at(state, topology, EPOCH, now_ns)
    due = state.indexes.agenda.take()
    wants = [want for each in due for want in wants_of(desk, each)]
    return decide(desk, wants, "planner").events


def decision_line(event: Event, names: Names) -> str:
    """Return a decision for people."""
    fact = event.fact
    assert isinstance(fact, ReplicationPlanned | ReplicationWithheld)
    what = "copy" if isinstance(fact, ReplicationPlanned) else "withhold"
    subject = fact.subject
    source = fact.source_region or "?"
    return (
        f"{what} {subject.repository} {names.name(subject.digest)}  "
        f"{source} -> {subject.target_region}  {fact.transfer_bytes} B  "
        f"{fact.reason} at {fact.trigger.name.lower().replace('_', ' ')}: "
        f"{fact.explanation}"
    )


def copies_under_way(state: State, names: Names, now_ns: int) -> list[str]:
    """Return the copies that are open, for people, by target and id."""
    lines = []
    for target in state.indexes.decisions.open_targets():
        for one in open_copies(state, target):
            _, digest = state.placement_at(one.placement)
            left_ns = max(0, one.change_ns + one.expected_ns - now_ns)
            lines.append(
                f"{names.name(digest)}  {one.source} -> {one.target}  "
                f"{one.status.name.lower()}  {left_ns / 1e9:.2f} s left of "
                f"{one.expected_ns / 1e9:.2f} s"
            )
    return lines


def copy_begins(state: State, names: Names, words: Sequence[str]) -> list[Fact]:
    """Return that the copy of ``begin region repository name`` leaves its source."""
    found, subject = _open(state, names, words)
    return [ReplicationStarted(subject, found.source, 1)]


def copy_ends(state: State, names: Names, words: Sequence[str]) -> list[Fact]:
    """Return that the copy of ``finish region repository name`` is there."""
    found, subject = _open(state, names, words)
    arrived = ContentReplicated((names.describe(words[2], {}),), subject.repository)
    return [arrived, ReplicationCompleted(subject, found.transfer_bytes, attempt=1)]


def _open(
    state: State, names: Names, words: Sequence[str]
) -> tuple[DecisionRecord, ReplicationSubject]:
    target, repository, name = words
    owner, digest = Repository(repository), names.digest(name)
    placement = state.find_placement(owner, digest)
    found = [
        one
        for one in decisions_of(state, placement)
        if one.open and one.target == target
    ]
    assert found, f"no copy of {name} into {target} is open"
    own_id = Identifier(found[-1].replication_id)
    return found[-1], ReplicationSubject(own_id, owner, digest, Region(target))
