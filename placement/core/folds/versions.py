"""What is known of versions and apps in regions, for the fold and for forecasts."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from placement.core.counts import DAY_NS
from placement.core.oci import ContentKind
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.cells import StartClass
from placement.core.tables.keys import PAIR, VERSIONS_OPEN_MAX, version_key
from placement.core.tables.table import ABSENT, Row
from placement.core.tables.trials import VersionRecord

LIVE_NS: Final = 120 * DAY_NS
"""A region is live if anything started there within so long."""
CLASS_BITS: Final = 4
CLASS_MASK: Final = 15
CLASSES_PER_COLUMN: Final = 15
CLASSES: Final = tuple(StartClass)
"""Each class at its own number."""


def version_record(state: State, version: Row) -> VersionRecord:
    """Return what is kept of a version, which must be one."""
    row = state.versions.find(version_key(version))
    app, shape, order_ns, _ = state.versions.values(row)
    return VersionRecord(version, Row(app), Row(shape), order_ns)


def version_of(state: State, placement: Row) -> Row:
    """Return the version that a placement is, or is a platform of; else ABSENT.

    Of several indexes of its repository that hold it, the one that is newest.
    """
    if state.versions.find(version_key(placement)) != ABSENT:
        return placement
    owner, content = PAIR.unpack(state.placements.key(placement))
    newest_first = reversed(state.indexes.versions_in(Row(owner)))
    for version in islice(newest_first, VERSIONS_OPEN_MAX):
        index = state.content_of(version)
        is_index = state.kind(index) is ContentKind.INDEX
        if is_index and any(child == content for child, _ in state.children(index)):
            return version
    return ABSENT


def classes_of(
    state: State, app: Row, what: cells.Use
) -> tuple[dict[Row, StartClass], StartClass]:
    """Return what is known of *app* where it started, and what in all other regions.

    *what* counts as a start.
    """
    if app == ABSENT or not state.apps.get(app, cells.App.FIRST_START):
        return {}, StartClass.FIRST
    members, known = state.memberships, {}
    pulls = what is cells.Use.PULLS
    last = cells.Membership.LAST_PULL if pulls else cells.Membership.LAST_START
    for row in state.indexes.memberships_of(app):
        last_ns = members.get(row, last)
        if last_ns:
            was = members.get(row, cells.Membership.WITHDRAWN) > last_ns
            region = Row(members.part(row, 1))
            known[region] = StartClass.FORMER if was else StartClass.MEMBER
    return known, _class_elsewhere(state.apps.get(app, cells.App.PUSHES))


def _class_elsewhere(pushes: int) -> StartClass:
    if pushes <= 1:
        return StartClass.YOUNG
    return StartClass.SECOND if pushes == 2 else StartClass.OTHER  # noqa: PLR2004 - the second


def live_regions(state: State, time_ns: int) -> list[Row]:
    """Return the regions where anything started within LIVE_NS before *time_ns*."""
    last, oldest_ns = cells.Region.LAST_START, max(1, time_ns - LIVE_NS)
    rows = range(len(state.regions))
    return [Row(row) for row in rows if state.regions.get(Row(row), last) >= oldest_ns]


def has_started(state: State, version: Row, region: Row) -> bool:
    """Say whether a version, or a platform of it, was ever used in *region*."""
    return starts_of(state, images_of(state, version), region, what_starts(state)) > 0


def what_starts(state: State) -> cells.Use:
    """Return what counts as a start: pulls, while nobody reports machines."""
    return cells.Use.STARTS if state.count("machine_started") else cells.Use.PULLS


def images_of(state: State, version: Row) -> list[Row]:
    """Return the placements of a version: its own, and its platforms'."""
    owner, content = PAIR.unpack(state.placements.key(version))
    if state.kind(Row(content)) is not ContentKind.INDEX:
        return [version]
    children = {child: None for child, _ in state.children(Row(content))}
    platforms = (state.placements.find(PAIR.pack(owner, child)) for child in children)
    return [version, *(row for row in platforms if row not in {ABSENT, version})]


def starts_of(state: State, images: list[Row], region: Row, what: cells.Use) -> int:
    """Return how often any of a version's *images* was used in *region*."""
    count = 0
    for image in images:
        row = state.uses.find(PAIR.pack(image, region))
        if row != ABSENT:
            count += state.uses.get(row, what)
    return count


def started_in(state: State, images: list[Row], what: cells.Use) -> set[Row]:
    """Return the regions where any of a version's *images* was used."""
    uses, uses_of = state.uses, state.indexes.uses_of
    return {
        Row(uses.part(use, 1))
        for image in images
        for use in uses_of(image)
        if uses.get(use, what)
    }


def holds_class(state: State, row: Row, wanted: StartClass) -> bool:
    """Say whether any open outcome of a row of trials is of a class.

    Four bits are one hexadecimal digit, and digits are found faster than taken apart.
    """
    columns = state.trials.values(row)[cells.Trial.CLASSES :]
    return any(f"{wanted:x}" in f"{classes:x}" for classes in columns)


def open_classes(state: State, row: Row) -> Iterator[tuple[int, StartClass]]:
    """Yield the place and class of each open outcome of a row of trials."""
    columns = state.trials.values(row)[cells.Trial.CLASSES :]
    for number, classes in enumerate(columns):
        place = number * CLASSES_PER_COLUMN
        left = classes
        while left:
            if left & CLASS_MASK:
                yield place, CLASSES[left & CLASS_MASK]
            left >>= CLASS_BITS
            place += 1
