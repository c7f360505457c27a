"""What facts about use mean: pulls, starts, and where machines run now.

Demand is counted where the user is, never where the bytes came from. Copies, scans and
facts that are too old change no demand.
"""

from hashlib import blake2b
from typing import NamedTuple

from placement.core.counts import DAY_NS, hour_of, slot_of
from placement.core.event import (
    AppWithdrawn,
    CacheKind,
    ClientKind,
    ContentPulled,
    MachinesCounted,
    MachineStarted,
    MachineStopped,
)
from placement.core.folds.presence import At, own
from placement.core.folds.transfers import keep, noted
from placement.core.oci import ContentKind, content_kind
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import PAIR, TRIPLE
from placement.core.tables.table import ABSENT, Row

NO_DEMAND = frozenset({ClientKind.SCANNER, ClientKind.REPLICATOR})


class Start(NamedTuple):
    """A start, or the pull of an image: of which app, where, and how often until now.

    *times* this very content was started or pulled in the region, now included.
    """

    placement: Row
    app: Row
    region: Row
    times: int


class Run(NamedTuple):
    """A machine that was reported to run; *start* is None where that is old news."""

    placement: Row
    machine: Row
    start: Start | None


def content_pulled(state: State, at: At, fact: ContentPulled) -> Start | None:
    """Count one use where the client is; presence is none of its business.

    Returns the use, if it is one of an image.
    """
    client = at.region
    if fact.client_region is not None:
        client = state.region_row(fact.client_region)
    source = at.region
    if fact.source_region is not None:
        source = state.region_row(fact.source_region)
    duration_ns = fact.pull_duration_ns or 0
    keep(state, noted(source, client, fact.transferred_bytes, duration_ns, at))
    if at.late or fact.client_kind in NO_DEMAND:
        return None
    placement = state.placement_row(fact.repository, fact.digest)
    use = use_row(state, placement, client)
    state.uses.increase(use, cells.Use.PULLS)
    state.uses.raise_to(use, cells.Use.LAST_TIME, at.time_ns)
    app = own(state, at, state.repository_row(fact.repository))
    kind = content_kind(fact.media_type) or state.kind(state.content_of(placement))
    # A client that pulls an image asks for exactly one image manifest, whatever else.
    if kind is not ContentKind.MANIFEST and (kind or not fact.tag):
        return None
    member = member_row(state, app, client)
    state.memberships.increase(member, cells.Membership.PULLS)
    state.memberships.raise_to(member, cells.Membership.LAST_PULL, at.time_ns)
    count_hour(state, at, app, client, cells.Demand.PULLS)
    return Start(placement, app, client, state.uses.get(use, cells.Use.PULLS))


def machine_started(state: State, at: At, fact: MachineStarted) -> Run:
    """Count one start, unless it is old news, and remember that the machine runs."""
    placement = state.placement_row(fact.repository, fact.digest)
    app = own(state, at, state.repository_row(fact.repository))
    state.add_count("machine_started")
    machine = _run(state, at, machine_key(fact.machine_id), placement)
    if fact.source_region is not None and fact.cache is not CacheKind.HOST:
        source = state.region_row(fact.source_region)
        wait_ns = fact.image_wait_ns or 0
        keep(state, noted(source, at.region, fact.transferred_bytes, wait_ns, at))
    calibrate(state, at, fact)
    if at.late:
        return Run(placement, machine, None)
    use = use_row(state, placement, at.region)
    state.uses.increase(use, cells.Use.STARTS)
    state.uses.raise_to(use, cells.Use.LAST_TIME, at.time_ns)
    member = member_row(state, app, at.region)
    state.memberships.increase(member, cells.Membership.STARTS)
    state.memberships.raise_to(member, cells.Membership.LAST_START, at.time_ns)
    first = state.memberships.get(member, cells.Membership.FIRST_START)
    if not first or at.time_ns < first:
        state.memberships.set(member, cells.Membership.FIRST_START, at.time_ns)
    count_hour(state, at, app, at.region, cells.Demand.STARTS)
    times = state.uses.get(use, cells.Use.STARTS)
    return Run(placement, machine, Start(placement, app, at.region, times))


def calibrate(state: State, at: At, fact: MachineStarted) -> None:
    """Keep score of an estimate where its truth is told; a host's cache tells none."""
    expected = (fact.expected_wait_p50_ns, fact.expected_wait_p90_ns)
    waited, host = fact.image_wait_ns, fact.cache is CacheKind.HOST
    if waited is None or None in expected or host:
        return
    source = state.region_row(fact.source_region or at.event.region)
    row = state.calibration.find_or_add(PAIR.pack(source, at.region))
    state.calibration.increase(row, cells.Calibration.SAMPLES)
    for cell, limit in zip(list(cells.Calibration)[1:], expected, strict=True):
        if limit is not None and waited <= limit:
            state.calibration.increase(row, cell)


def machine_stopped(state: State, at: At, fact: MachineStopped) -> None:
    """Remember that the machine no longer runs, even if its start comes later."""
    key = machine_key(fact.machine_id)
    row = state.machines.find(key)
    if row == ABSENT:
        row, _ = state.machines.add(key)
        state.machines.set(row, cells.Machine.REGION, at.region)
        state.indexes.add_machine(at.region, key)
    _stop(state, key, at.order_ns)


def machines_counted(state: State, at: At, fact: MachinesCounted) -> None:
    """Fold a page of what runs; after the last page, what no page named is gone."""
    scan_ns = min(fact.scan_time_ns, at.order_ns)
    # The pages of a count are known by its own time, even one of a clock that is ahead.
    mark_ns = min(fact.scan_time_ns, at.order_ns + DAY_NS)
    seen = At(at.event, at.region, at.sequence, scan_ns, scan_ns, late=True)
    for group in fact.groups:
        placement = state.placement_row(group.repository, group.digest)
        own(state, at, state.repository_row(group.repository))
        for machine_id in group.machine_ids:
            row = _run(state, seen, machine_key(machine_id), placement)
            state.machines.raise_to(row, cells.Machine.SEEN, mark_ns)
    if not fact.complete:
        return
    # In an order that a restart does not change: the first to stop is forgotten first.
    for key in sorted(state.indexes.machines_in(at.region)):
        row = state.machines.find(key)
        _, _, started, stopped, counted, *_ = state.machines.values(row)
        if started > stopped and started < scan_ns and counted < mark_ns:
            _stop(state, key, scan_ns)


def app_withdrawn(state: State, at: At, fact: AppWithdrawn) -> None:
    """Remember that the app no longer belongs into the region."""
    app = own(state, at, state.repository_row(fact.repository))
    if not at.late:
        member = member_row(state, app, at.region)
        state.memberships.raise_to(member, cells.Membership.WITHDRAWN, at.time_ns)


# What the facts above are made of.


def _run(state: State, at: At, key: bytes, placement: Row) -> Row:
    row = state.machines.find(key)
    if row == ABSENT:
        row, _ = state.machines.add(key)
        state.machines.set(row, cells.Machine.REGION, at.region)
        state.machines.set(row, cells.Machine.PLACEMENT, placement)
        state.indexes.add_machine(at.region, key)
    if at.order_ns <= state.machines.get(row, cells.Machine.STARTED):
        return row
    _count_running(state, row, -1)
    before = Row(state.machines.get(row, cells.Machine.REGION))
    if before != at.region:
        state.indexes.drop_machine(before, key)
        state.indexes.add_machine(at.region, key)
        state.machines.set(row, cells.Machine.REGION, at.region)
    state.machines.set(row, cells.Machine.PLACEMENT, placement)
    state.machines.set(row, cells.Machine.STARTED, at.order_ns)
    if state.machines.get(row, cells.Machine.OUTCOME):
        for told in (cells.Machine.OUTCOME, cells.Machine.WAIT, cells.Machine.DECISION):
            state.machines.set(row, told, 0)
    _count_running(state, row, 1)
    return row


def _stop(state: State, key: bytes, order_ns: int) -> None:
    row = state.machines.find(key)
    _count_running(state, row, -1)
    state.machines.raise_to(row, cells.Machine.STOPPED, order_ns)
    _count_running(state, row, 1)
    if _runs(state, row) or state.stopped.find(key) != ABSENT:
        return
    _, forgotten = state.stopped.add(key)
    if forgotten is not None:
        forget(state, forgotten)


def forget(state: State, key: bytes) -> None:
    """Forget a machine that stopped so long ago, unless it runs again."""
    row = state.machines.find(key)
    if row != ABSENT and not _runs(state, row):
        state.indexes.drop_machine(
            Row(state.machines.get(row, cells.Machine.REGION)), key
        )
        state.machines.remove(key)


def _runs(state: State, machine: Row) -> bool:
    machines = state.machines
    started = machines.get(machine, cells.Machine.STARTED)
    return started > machines.get(machine, cells.Machine.STOPPED)


def _count_running(state: State, machine: Row, by: int) -> None:
    if not _runs(state, machine):
        return
    placement = state.machines.get(machine, cells.Machine.PLACEMENT)
    region = state.machines.get(machine, cells.Machine.REGION)
    use = use_row(state, Row(placement), Row(region))
    state.uses.increase(use, cells.Use.RUNNING, by)


def machine_key(machine_id: str) -> bytes:
    """Return the key of a machine: its id's BLAKE2b-16, so that all keys are short."""
    return blake2b(machine_id.encode(), digest_size=16).digest()


def use_row(state: State, placement: Row, region: Row) -> Row:
    """Return the row of a placement's use in a region, added if it is new."""
    key = PAIR.pack(placement, region)
    row = state.uses.find(key)
    if row == ABSENT:
        row, _ = state.uses.add(key)
        state.indexes.add_use(row, placement)
    return row


def member_row(state: State, app: Row, region: Row) -> Row:
    """Return the row of an app's demand in a region, added if it is new."""
    key = PAIR.pack(app, region)
    row = state.memberships.find(key)
    if row == ABSENT:
        row, _ = state.memberships.add(key)
        state.indexes.add_member(row, app)
    return row


def count_hour(
    state: State, at: At, app: Row, region: Row, column: cells.Demand
) -> None:
    """Count one in the hour of the event, unless the ring has moved past that hour."""
    hour = hour_of(at.time_ns)
    row = state.demand.find_or_add(TRIPLE.pack(app, region, slot_of(hour)))
    newest = state.demand.get(row, cells.Demand.HOUR)
    if hour < newest:
        return
    if hour > newest:
        for cell, value in zip(cells.Demand, (hour, 0, 0), strict=True):
            state.demand.set(row, cell, value)
    state.demand.increase(row, column)
