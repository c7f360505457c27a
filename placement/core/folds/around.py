"""What the events of a block that are no columns may change for those that are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from placement.core.block import Block
from placement.core.event import (
    AppWithdrawn,
    Event,
    EvictionPlanned,
    Fact,
    MachinesCounted,
    MachineStarted,
    MachineStopped,
    OwnershipDeclared,
    ReplicationPlanned,
    ReplicationWithheld,
    SetAside,
)
from placement.core.folds.description import descriptors_of
from placement.core.folds.presence import default_app, find_app
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables.keys import SHA256_BYTES, digest_key
from placement.core.tables.table import ABSENT, Row

_PARTS: Final = ("groups", "contents", "absences")
"""Fields of facts whose items name repositories of their own."""
NEVER: Final = 1 << 62
"""The place of an event that is not there: after all others."""


@dataclass(slots=True)
class Around:
    """What the events of a block that are no columns may change."""

    described: set[bytes] = field(default_factory=set)
    """Keys of digests, of 32 bytes, whose kind may become known."""
    repositories: set[str] = field(default_factory=set)
    """Repositories of which anything may be learned."""
    owned: set[str] = field(default_factory=set)
    """Repositories that may come to belong to another app."""
    disowned: bool = False
    """Whether any repository, known or new, may come to belong to another app."""
    decided: set[str] = field(default_factory=set)
    """Repositories about whose content something may be decided."""
    apps: set[Row] = field(default_factory=set)
    """Apps that start somewhere, or are withdrawn."""
    machines: list[str] = field(default_factory=list)
    """Machines that are named, each as often as it is."""
    start_count: int = 0
    """How many starts there are."""
    recounted: bool = False
    """Whether all machines of a region were counted."""
    stop_place: int = NEVER
    """The place of the first event that may stop machines."""


def around_of(state: State, block: Block) -> Around:
    """Return what the events of *block* that are no columns may change."""
    around = Around()
    for place, item in enumerate(block.items):
        if item is None or isinstance(item, SetAside):
            continue
        event = item.event
        for content in descriptors_of(event.fact):
            key = digest_key(content.digest.encode())
            if len(key) == SHA256_BYTES:
                around.described.add(key)
        owning = isinstance(event.fact, OwnershipDeclared)
        named = owning or event.app or event.organization
        for repository in _repositories(event.fact):
            around.repositories.add(repository)
            if named:
                _note_owner(state, around, repository, event)
        _note_use(state, around, place, event)
    return around


def _repositories(fact: Fact) -> Iterator[Repository]:
    """Yield the repositories that *fact* is about."""
    parts = (fact, *(part for name in _PARTS for part in getattr(fact, name, ())))
    for part in (*parts, getattr(fact, "subject", None)):
        repository = getattr(part, "repository", None)
        if repository is not None:
            yield repository


def _note_use(state: State, around: Around, place: int, event: Event) -> None:
    match event.fact:
        case MachineStarted(repository=repository, machine_id=machine):
            around.machines.append(machine)
            around.apps.add(app_used(state, repository))
            around.start_count += 1
        case MachineStopped(machine_id=machine):
            around.machines.append(machine)
            around.stop_place = min(around.stop_place, place)
        case MachinesCounted(groups=groups, complete=complete):
            around.machines += [each for group in groups for each in group.machine_ids]
            if complete:
                around.recounted = True
                around.stop_place = min(around.stop_place, place)
        case AppWithdrawn(repository=repository):
            around.apps.add(app_used(state, repository))
        case ReplicationPlanned(subject=subject) | ReplicationWithheld(subject=subject):
            around.decided.add(subject.repository)
        case EvictionPlanned(repository=repository):
            around.decided.add(repository)
        case _:
            pass


def app_used(state: State, repository: Repository) -> Row:
    """Return the app that a use of *repository* counts for; ABSENT: a new one."""
    row = state.find_repository(repository)
    app = ABSENT if row == ABSENT else state.app_of(row)
    return find_app(state, *default_app(repository)) if app == ABSENT else app


def _note_owner(
    state: State, around: Around, repository: Repository, event: Event
) -> None:
    """Note whether *event* may let a repository belong to another app."""
    row = state.find_repository(repository)
    app = ABSENT if row == ABSENT else state.app_of(row)
    if app == ABSENT:
        around.disowned = True
        return
    organization, name = state.app_name(app)
    fact = event.fact
    said: tuple[str, str] = (event.organization or organization, event.app or name)
    if isinstance(fact, OwnershipDeclared):
        said = (fact.organization, fact.app or repository)
    if said != (organization, name):
        around.owned.add(repository)
        around.disowned = True
