"""What is learned: whether a version starts in a region where it has not started.

A version's push, and its first start in each region, open one trial for each live
region where it has not started. The trial ends as a hit when the version starts there.
It ends as a miss when a newer version starts there, after TRIAL_NS, and, where the app
had never been, at the app's next push: else what never happens would never count. What
happens at the same instant as its own trigger could not be foretold and is no outcome.

The rules here belong to FOLD_VERSION; how outcomes are weighed belongs to the policy.
"""

from typing import Final

from placement.core.counts import DAY_NS
from placement.core.folds.bursts import burst_began, burst_went_on
from placement.core.folds.demand import Start
from placement.core.folds.due import trials_opened
from placement.core.folds.outcomes import SharedKeys, outcome_keys
from placement.core.folds.presence import At
from placement.core.folds.versions import (
    CLASS_BITS,
    CLASS_MASK,
    CLASSES,
    CLASSES_PER_COLUMN,
    classes_of,
    holds_class,
    images_of,
    live_regions,
    open_classes,
    started_in,
    starts_of,
    version_of,
    version_record,
    what_starts,
)
from placement.core.oci import ContentKind, Tag
from placement.core.shapes import NO_TAG, tag_shape
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import StartClass
from placement.core.tables.keys import (
    PAIR,
    SHAPES_MAX,
    TRIAL_CLASS_COLUMNS,
    TRIAL_REGIONS,
    TRIPLE,
    VERSIONS_OPEN_MAX,
    version_key,
)
from placement.core.tables.outcomes import Trigger, append_outcome, lag_code
from placement.core.tables.table import ABSENT, Row
from placement.core.tables.trials import VersionRecord

TRIAL_NS: Final = 30 * DAY_NS
"""What has not started after so long counts as not starting."""
INSTANT_NS: Final = 1_000_000_000
"""Starts within so long of a trigger belong to the same instant."""

_SECOND_NS: Final = 1_000_000_000


def version_tagged(state: State, at: At, placement: Row, app: Row, tag: Tag) -> None:
    """Open the trials of a version when it gets its first tag; blobs have none."""
    kind = state.kind(state.content_of(placement))
    key = version_key(placement)
    if at.late or kind is ContentKind.BLOB or state.versions.find(key) != ABSENT:
        return
    _expire(state)
    state.apps.increase(app, cells.App.PUSHES)
    for other in state.indexes.trials.records_of(app):
        for region in _open_regions(state, other.placement, StartClass.OTHER):
            _settle(state, at, other, region, only=StartClass.OTHER)
    version = _add_version(state, placement, app, tag_shape(tag))
    _open(state, at, version, Trigger.PUSH)


def version_started(state: State, at: At, start: Start, tag: Tag | None) -> None:
    """Settle what a start decides, and open new trials if it is the first there."""
    placement, app, region, times = start
    state.regions.raise_to(region, cells.Region.LAST_START, at.time_ns)
    if not state.apps.get(app, cells.App.FIRST_START):
        state.apps.set(app, cells.App.FIRST_START, at.time_ns)
    if times > 1:
        burst_went_on(state, app, region, at.time_ns)
        return
    found = version_of(state, placement)
    images = [placement] if found == ABSENT else images_of(state, found)
    if starts_of(state, images, region, what_starts(state)) > 1:
        burst_went_on(state, app, region, at.time_ns)
        return  # another platform of it has started there
    burst_began(state, app, region, at.time_ns)
    _expire(state)
    if found == ABSENT:
        version = _add_version(state, placement, app, tag_shape(tag or NO_TAG))
    else:
        version = version_record(state, found)
    _settle(state, at, version, region, hit=True)
    for other in state.indexes.trials.records_of(app):
        if other.order_ns < version.order_ns:
            _settle(state, at, other, region)
    _open(state, at, version, Trigger.BY_REGION + region)


# What the facts above are made of.


def _add_version(state: State, placement: Row, app: Row, shape: str) -> VersionRecord:
    row, _ = state.versions.add(version_key(placement))
    found = state.shapes.find(shape.encode())
    if found == ABSENT:
        full = len(state.shapes) >= SHAPES_MAX
        found = state.shapes.find_or_add((NO_TAG if full else shape).encode())
    version = VersionRecord(placement, app, found, state.latest_order_ns)
    pushes = state.apps.get(app, cells.App.PUSHES)
    state.versions.set_all(row, (*version[1:], pushes))
    state.apps.set(app, cells.App.NEWEST, placement + 1)
    owner, _ = PAIR.unpack(state.placements.key(placement))
    state.indexes.add_version(Row(owner), placement)
    return version


def _open(state: State, at: At, version: VersionRecord, trigger: int) -> None:
    """Open a trial for each live region where the version has not started.

    Not again, where pulls stood in for starts until now and so it started here twice.
    """
    trials = state.indexes.trials
    before = (TRIPLE.unpack(key)[1] for key in trials.of_version(version.placement))
    if trigger in before:
        return
    images, what = images_of(state, version.placement), what_starts(state)
    started = started_in(state, images, what)
    known, elsewhere = classes_of(state, version.app, what)
    words: dict[int, list[int]] = {}
    for region in live_regions(state, at.time_ns):
        if region not in started:
            word, place = divmod(region, TRIAL_REGIONS)
            column, slot = divmod(place, CLASSES_PER_COLUMN)
            classes = words.setdefault(word, [0] * TRIAL_CLASS_COLUMNS)
            here = known.get(region, elsewhere)
            classes[column] |= here << (CLASS_BITS * slot)
    order_ns = state.latest_order_ns
    for word, classes in words.items():
        key = TRIPLE.pack(version.placement, trigger, word)
        row, _ = state.trials.add(key)
        state.trials.set_all(row, (order_ns, at.time_ns, *classes))
        trials.add(version, key, order_ns)
    trials_opened(state, at, version.placement, trigger)
    _close_oldest(state, at, version.app)


def _close_oldest(state: State, at: At, app: Row) -> None:
    """Settle as misses what is open of an app's versions beyond VERSIONS_OPEN_MAX."""
    versions = state.indexes.trials.records_of(app)
    for oldest in versions[: max(0, len(versions) - VERSIONS_OPEN_MAX)]:
        for region in _open_regions(state, oldest.placement):
            _settle(state, at, oldest, region)


def _expire(state: State) -> None:
    """Settle as misses the trials that were opened too long ago."""
    oldest_ns = state.latest_order_ns - TRIAL_NS
    for placement, key in state.indexes.trials.opened_before(oldest_ns):
        version = version_record(state, placement)
        row, (_, trigger, word) = state.trials.find(key), TRIPLE.unpack(key)
        for place, known in open_classes(state, row):
            region = Row(word * TRIAL_REGIONS + place)
            _learn(state, version, region, trigger, known, SharedKeys())
        _remove(state, version, key)


def _settle(  # noqa: PLR0913 - a trial and how it ended
    state: State,
    at: At,
    version: VersionRecord,
    region: Row,
    *,
    hit: bool = False,
    only: StartClass | None = None,
) -> None:
    """End the open trials of a version in a region, each with one outcome."""
    shared = SharedKeys()
    wanted, place = divmod(region, TRIAL_REGIONS)
    number, slot = divmod(place, CLASSES_PER_COLUMN)
    column, shift = cells.Trial.CLASSES + number, CLASS_BITS * slot
    for key in state.indexes.trials.of_version(version.placement):
        _, trigger, word = TRIPLE.unpack(key)
        if word != wanted:
            continue
        row = state.trials.find(key)
        classes = state.trials.get(row, column)
        code = classes >> shift & CLASS_MASK
        if not code or (only is not None and code != only):
            continue
        known = CLASSES[code]
        lag_ns = at.time_ns - state.trials.get(row, cells.Trial.TIME)
        if not hit:
            _learn(state, version, region, trigger, known, shared)
        elif lag_ns >= INSTANT_NS:
            after = lag_code(lag_ns // _SECOND_NS)
            _learn(state, version, region, trigger, known, shared, after)
        state.trials.set(row, column, classes ^ (code << shift))
        if not any(state.trials.values(row)[cells.Trial.CLASSES :]):
            _remove(state, version, key)


def _learn(  # noqa: PLR0913, PLR0917 - a trial and its outcome
    state: State,
    version: VersionRecord,
    region: Row,
    trigger: int,
    known: StartClass,
    shared: SharedKeys,
    code: int = 0,
) -> None:
    placement, app, shape, _ = version
    state.indexes.trials.end(placement, region, trigger, hit=code > 0)
    for table, key in outcome_keys(state, app, region, trigger, shape, known):
        if shared.first(table, key):
            append_outcome(table, key, hit=code > 0, lag_code=code)


def _remove(state: State, version: VersionRecord, key: bytes) -> None:
    state.indexes.trials.drop(version.app, version.placement, key)
    state.trials.remove(key)


def _open_regions(
    state: State, version: Row, only: StartClass | None = None
) -> list[Row]:
    found: dict[Row, None] = {}
    for key in state.indexes.trials.of_version(version):
        _, _, word = TRIPLE.unpack(key)
        row = state.trials.find(key)
        if only is not None and not holds_class(state, row, only):
            continue
        for place, known in open_classes(state, row):
            if only is None or known is only:
                found[Row(word * TRIAL_REGIONS + place)] = None
    return sorted(found)
