"""What the events of a block that are no columns may change for those that are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from placement.core.block import Block, Bytes
from placement.core.event import (
    AppWithdrawn,
    Event,
    EvictionPlanned,
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

NEVER: Final = 1 << 62
"""The place of an event that is not there: after all others."""


@dataclass(slots=True)
class Around:
    """What the events of a block that are no columns may change."""

    described: Bytes = field(default_factory=lambda: np.empty((0, 32), np.uint8))
    """Digests, of shape (n, 32), whose kind may become known."""
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
    described: dict[bytes, None] = {}
    for place, item in enumerate(block.items):
        if item is None or isinstance(item, SetAside):
            continue
        for content in descriptors_of(item.event.fact):
            key = digest_key(content.digest.encode())
            if len(key) == SHA256_BYTES:
                described[key] = None
        for repository in _named_by_owner(item.event):
            _note_owner(state, around, repository, item.event)
        _note_use(state, around, place, item.event)
    packed: Bytes = np.frombuffer(b"".join(described), np.uint8)
    around.described = packed.reshape(-1, SHA256_BYTES)
    return around


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


def _named_by_owner(event: Event) -> Iterator[Repository]:
    """Yield the repositories that *event* says an owner of."""
    fact = event.fact
    if not (event.app or event.organization or isinstance(fact, OwnershipDeclared)):
        return
    parts = (fact, *getattr(fact, "groups", ()), *getattr(fact, "contents", ()))
    for part in parts:
        repository = getattr(part, "repository", None)
        if repository is not None:
            yield repository


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
