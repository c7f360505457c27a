"""Starts of machines as columns: what most of them mean, many at a time.

A start is calm if it commutes with all events around it: it is of a new machine, of an
image that started in its region before, in time; nothing was decided about its
repository; and no event beside it in the block begins a burst of its app, decides, or
withdraws. Any other start is folded by itself, in its turn (``demand.machine_started``
and what follows it); both ways lead to the same state, to the bit.
"""

from dataclasses import dataclass, fields

import numpy as np

from placement.core.block import Numbers, Starts
from placement.core.counts import DAY_NS
from placement.core.event import CacheKind
from placement.core.folds.around import Around, app_used
from placement.core.folds.bursts import BURST_NS
from placement.core.folds.calm import Machines, Mask, Names, Span, value_at
from placement.core.folds.transfers import timed_rows
from placement.core.folds.uses import count_hours
from placement.core.folds.versions import LIVE_NS
from placement.core.oci import Repository
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import StartOutcome
from placement.core.tables.keys import pair_keys, start_day_keys
from placement.core.tables.table import ABSENT, KeyBytes, Row
from placement.core.tables.waits import CameFrom

_LOCAL = np.array(
    [cache in {CacheKind.HOST, CacheKind.REGION} for cache in CacheKind], np.bool_
)
"""By cache: whether what was fetched from it was in the region."""
_CAME_FROM = np.array(
    [CameFrom[cache.name] if cache else CameFrom.UNKNOWN for cache in CacheKind],
    np.int64,
)
"""By cache: where the image was; of the first, which says nothing, unknown."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """What starts are about: rows, ABSENT where there is none."""

    repository: Numbers
    app: Numbers
    region: Numbers
    source: Numbers
    """The start's own region where it does not say."""
    placement: Numbers
    use: Numbers
    member: Numbers
    day: Numbers
    pairs: KeyBytes
    """Of app and region."""
    outcome: Numbers

    def at(self, numbers: Numbers) -> "_Rows":
        """Return those of some of the starts."""
        found = (getattr(self, each.name)[numbers] for each in fields(self))
        return _Rows(*found)


@dataclass(frozen=True, slots=True)
class CalmStarts:
    """The calm ones of a block's starts."""

    numbers: Numbers
    """Which they are, of all starts; the rows are only theirs."""
    rows: _Rows


def calm_starts(
    state: State, starts: Starts, machines: Machines, around: Around, span: Span
) -> CalmStarts:
    """Return the calm ones of *starts*, in a block whose events rise in order."""
    rows = _rows(state, starts)
    calm = rows.source >= 0
    calm &= span.in_time(starts)
    calm &= machines.alone & (machines.row == ABSENT)
    calm &= _usual(state, rows, span)
    about = state.indexes.decisions.about
    decided = [about(Row(row)) for row in rows.repository.tolist()]
    calm &= ~np.array(decided, np.bool_)
    if around.decided:
        names = Names(state, starts.names)
        calm &= ~names.among(starts.repository, around.decided)
    calm &= (rows.day >= 0) & state.start_days.stay(
        rows.day, len(starts) + around.start_count
    )
    if around.disowned or around.recounted:
        calm[:] = False
    calm &= _apart(state, starts, rows.app, calm, around)
    numbers = np.flatnonzero(calm)
    return CalmStarts(numbers, rows.at(numbers))


def _rows(state: State, starts: Starts) -> _Rows:
    names = Names(state, starts.names)
    region, source = names.regions_of_each(starts.region, starts.source)
    source = np.where(starts.source < 0, region, source)
    repository, app = names.owners(starts.repository)
    digest = state.digests.find_many(starts.digests)
    placement = state.placements.find_many(pair_keys(repository, digest))
    pairs = pair_keys(app, region)
    outcome = _outcome(starts, starts.source == starts.region)
    days = start_day_keys(app, region, outcome, starts.time_ns // DAY_NS)
    return _Rows(
        repository,
        app,
        region,
        source,
        placement,
        state.uses.find_many(pair_keys(placement, region)),
        state.memberships.find_many(pairs),
        state.start_days.find_many(days),
        pairs,
        outcome,
    )


def _outcome(starts: Starts, from_here: Mask) -> Numbers:
    """Return why each was as it was, if nothing was decided about it."""
    unsaid = starts.cache == CacheKind.UNSPECIFIED
    local = _LOCAL[starts.cache] | (unsaid & from_here)
    outcome = np.where(local, StartOutcome.LOCAL, StartOutcome.NEVER_PREDICTED)
    outcome[unsaid & (starts.source < 0)] = StartOutcome.UNKNOWN
    return outcome


def _usual(state: State, rows: _Rows, span: Span) -> Mask:
    """Return which starts change nothing that any other event reads.

    The image started in the region before, the app was not withdrawn since it did, and
    the region is one of those where anything started lately.
    """
    usual = value_at(state.uses, cells.Use.STARTS, rows.use) > 0
    usual &= value_at(state.apps, cells.App.FIRST_START, rows.app) > 0
    last_ns = value_at(state.memberships, cells.Membership.LAST_START, rows.member)
    left_ns = value_at(state.memberships, cells.Membership.WITHDRAWN, rows.member)
    usual &= left_ns <= last_ns
    live_ns = value_at(state.regions, cells.Region.LAST_START, rows.region)
    usual &= live_ns >= span.latest_ns - LIVE_NS
    return usual


def _apart(
    state: State, starts: Starts, app: Numbers, calm: Mask, around: Around
) -> Mask:
    """Return which starts are of no app that starts, or is withdrawn, in its turn."""
    others = set(around.apps)
    for number in np.flatnonzero(~calm).tolist():
        repository = starts.names[starts.repository[number]]
        others.add(app_used(state, Repository(repository)))
    if not others:
        return calm
    return np.array([row not in others for row in app.tolist()], np.bool_)


def count_starts(
    state: State,
    starts: Starts,
    machines: Machines,
    calm: CalmStarts,
    order_ns: Numbers,
) -> None:
    """Count each of *calm*, and remember that its machine runs since *order_ns*."""
    numbers, rows = calm.numbers, calm.rows
    wait_ns = starts.wait_ns[numbers]
    state.add_count("machine_started", len(numbers))
    _run(state, machines.keys[numbers], rows, order_ns[numbers], wait_ns)
    _count(state, rows, starts.time_ns[numbers])
    days, waited = state.start_days, np.flatnonzero(wait_ns >= 0)
    days.add_at(rows.day, cells.StartDay.STARTS, 1)
    days.add_at(rows.day[waited], cells.StartDay.WAITED, 1)
    days.add_at(rows.day[waited], cells.StartDay.WAIT, wait_ns[waited])
    _calibrate(state, starts, calm)
    _note_waits(state, starts, calm)


def _run(
    state: State, keys: KeyBytes, rows: _Rows, order_ns: Numbers, wait_ns: Numbers
) -> None:
    machine, _ = state.machines.add_many(keys)
    told = {
        cells.Machine.PLACEMENT: rows.placement,
        cells.Machine.REGION: rows.region,
        cells.Machine.STARTED: order_ns,
        cells.Machine.OUTCOME: rows.outcome,
        cells.Machine.WAIT: wait_ns + 1,
    }
    for column, values in told.items():
        state.machines.set_many(machine, column, values)
    for region, key in zip(rows.region.tolist(), map(bytes, keys), strict=True):
        state.indexes.add_machine(region, key)
    state.uses.add_at(rows.use, cells.Use.RUNNING, 1)


def _count(state: State, rows: _Rows, time_ns: Numbers) -> None:
    """Count what demand it is, and what went on with it."""
    state.uses.add_at(rows.use, cells.Use.STARTS, 1)
    state.uses.raise_many(rows.use, cells.Use.LAST_TIME, time_ns)
    members, first = state.memberships, cells.Membership.FIRST_START
    members.add_at(rows.member, cells.Membership.STARTS, 1)
    members.raise_many(rows.member, cells.Membership.LAST_START, time_ns)
    earlier = np.flatnonzero(time_ns < members.column(first)[rows.member])
    for number in earlier.tolist():
        row, told_ns = Row(rows.member[number]), int(time_ns[number])
        members.set(row, first, min(told_ns, members.get(row, first)))
    count_hours(state, rows.app, rows.region, time_ns, cells.Demand.STARTS)
    state.regions.raise_many(rows.region, cells.Region.LAST_START, time_ns)
    burst = state.bursts.find_many(rows.pairs)
    since_ns = time_ns - value_at(state.bursts, cells.Burst.LAST_TIME, burst)
    went_on = (burst >= 0) & (since_ns >= 0) & (since_ns <= BURST_NS)
    state.bursts.add_at(burst[went_on], cells.Burst.STARTS, 1)


def _calibrate(state: State, starts: Starts, calm: CalmStarts) -> None:
    """Keep score of estimates, as ``demand.calibrate`` does."""
    numbers, rows = calm.numbers, calm.rows
    p50_ns, p90_ns = starts.expected_p50_ns[numbers], starts.expected_p90_ns[numbers]
    wait_ns = starts.wait_ns[numbers]
    told = (p50_ns >= 0) & (p90_ns >= 0) & (wait_ns >= 0)
    told &= starts.cache[numbers] != CacheKind.HOST
    if not told.any():
        return
    keys = pair_keys(rows.source[told], rows.region[told])
    row, _ = state.calibration.find_or_add_many(keys)
    state.calibration.add_at(row, cells.Calibration.SAMPLES, 1)
    limits = (
        (p50_ns, cells.Calibration.BELOW_P50),
        (p90_ns, cells.Calibration.BELOW_P90),
    )
    for limit_ns, cell in limits:
        state.calibration.add_at(row[(wait_ns <= limit_ns)[told]], cell, 1)


def _note_waits(state: State, starts: Starts, calm: CalmStarts) -> None:
    """Note how long starts waited, as ``payoff.machine_started`` does."""
    waits, numbers = state.indexes.waits, calm.numbers
    told = starts.store_time_ns[numbers] >= waits.since_ns
    told &= starts.wait_ns[numbers] >= 0
    if not told.any():
        return
    numbers = numbers[told]
    source, cache = starts.source[numbers], starts.cache[numbers]
    here = np.where(source == starts.region[numbers], CameFrom.REGION, CameFrom.REMOTE)
    unsaid = np.where(source < 0, CameFrom.UNKNOWN, here)
    said = _CAME_FROM[cache]
    came_from = np.where(cache == CacheKind.UNSPECIFIED, unsaid, said)
    waits.note_many(calm.rows.region[told], came_from, starts.wait_ns[numbers])


def start_transfers(starts: Starts, calm: CalmStarts) -> Numbers:
    """Return the transfers of *calm*, as ``timed_rows`` does."""
    numbers, rows = calm.numbers, calm.rows
    fetched = (starts.source >= 0) & (starts.cache != CacheKind.HOST)
    return timed_rows(
        starts.index[numbers],
        rows.source,
        rows.region,
        np.where(fetched, starts.transferred_bytes, 0)[numbers],
        starts.wait_ns[numbers],
        starts.time_ns[numbers],
    )
