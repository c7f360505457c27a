"""A hash of the whole state, equal on any machine for the same events.

What was stored twice changes nothing, so neither the sequence nor the number of
duplicates is part of it; a position is always shown beside a fingerprint.

Each row is written with names in place of row numbers and hashed by itself; the sums of
the hashes do not depend on the order in which rows are kept. The reference model of the
tests produces the same rows from plain objects.
"""

from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Final

from placement.core.decisions import decision_at, judging
from placement.core.folds.description import platform_key
from placement.core.folds.orders import EVERYWHERE
from placement.core.folds.progress import last_decided
from placement.core.folds.versions import open_classes
from placement.core.state import State
from placement.core.tables.keys import PAIR, START_DAY, TRIAL_REGIONS, TRIPLE
from placement.core.tables.outcomes import (
    OUTCOME_KEY,
    Kept,
    Trigger,
    lag_codes,
    newest_first,
)
from placement.core.tables.table import ABSENT, Row, Table

CanonicalRow = tuple[str | int | bytes, ...]

Pick = Callable[[Table], Iterable[tuple[bytes, Row]]]
"""Returns the rows of a table that are looked at, each with its key."""

_SUM_BYTES: Final = 32
_NAMED_OTHERWISE: Final = (
    "row",
    "placement",
    "source",
    "target",
    "start_regions",
    "sequence",
)
"""Of a decision: written by name, or no part of what was decided."""
_POSITIONS: Final = frozenset({b"duplicate", b"tick_sequence"})
"""Counters that depend on what was stored twice."""


def fingerprint(state: State) -> str:
    """Return the hash of *state* in hexadecimal; reads every row."""
    return fingerprint_of(canonical_rows(state))


def fingerprint_of(rows: Iterable[CanonicalRow]) -> str:
    """Return the hash of canonical *rows*, in whatever order they come."""
    return shown_sum(sum(map(row_hash, rows)))


def row_hash(row: CanonicalRow) -> int:
    """Return the number that a row adds to the sum of all."""
    written = ascii(row).encode()
    return int.from_bytes(blake2b(written, digest_size=_SUM_BYTES).digest())


def shown_sum(total: int) -> str:
    """Return the hash of rows whose numbers add up to *total*."""
    total %= 1 << (8 * _SUM_BYTES)
    return blake2b(f"{total:064x}".encode(), digest_size=16).hexdigest()


def every_row(table: Table) -> Iterable[tuple[bytes, Row]]:
    """Return all rows of *table*."""
    return table.rows()


def canonical_rows(state: State, pick: Pick = every_row) -> Iterator[CanonicalRow]:
    """Yield every row of *state* that *pick* gives, with names instead of numbers."""
    for part in (
        _vocabulary,
        _content,
        _demand,
        _learned,
        _machines,
        _transfers,
        _calibration,
        _decisions,
        _start_days,
        _orders,
    ):
        yield from part(state, pick)


def _vocabulary(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for key, row in pick(state.counters):
        if key not in _POSITIONS:
            yield ("counter", key, state.counters.get(row, 0))
    for key, _ in pick(state.event_ids):
        yield ("event_id", key)
    for key, row in pick(state.set_aside):
        yield ("set_aside", key, state.set_aside.get(row, 0))
    for key, row in pick(state.requests):
        time, placement, target = state.requests.values(row)
        asked = (*_placement(state, placement - 1),) if placement else ("", "")
        where = _region(state, target) if placement else ""
        yield ("request", key, time, *asked, where)
    for key, row in pick(state.regions):
        yield ("region", key, *state.regions.values(row))
    for key, row in pick(state.repositories):
        app, *orders = state.repositories.values(row)
        yield ("repository", key, _app(state, app - 1), *orders)


def _content(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for _, row in pick(state.digests):
        key = state.digest_at(row).encode()
        size, _, edges, subject, original = state.digests.values(row)
        yield (
            "digest",
            key,
            size,
            state.media_type(row),
            edges,
            state.digest_at(Row(subject - 1)) if subject else "",
            state.digest_at(Row(original - 1)) if original else "",
        )
        for position, (child, platform) in enumerate(state.children(row)):
            shown = () if platform is None else platform_key(platform).split("\0")
            yield ("edge", key, position, state.digest_at(child), *shown)
    for _, row in pick(state.placements):
        yield ("placement", *_placement(state, row))
    for key, row in pick(state.replicas):
        placement, region = PAIR.unpack(key)
        named = _placement(state, placement)
        yield ("replica", *named, _region(state, region), *state.replicas.values(row))
    for key, row in pick(state.cleared):
        repository, region = PAIR.unpack(key)
        named = (state.repository_at(Row(repository)), _region(state, region))
        yield ("cleared", *named, *state.cleared.values(row))
    for key, row in pick(state.tags):
        owner = state.repository_at(Row(int.from_bytes(key[:4], "little")))
        digest, region, order, time, _ = state.tags.values(row)
        pointed = state.digest_at(Row(digest - 1)) if digest else ""
        yield ("tag", owner, key[4:], pointed, _region(state, region), order, time)


def _demand(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for key, row in pick(state.uses):
        placement, region = PAIR.unpack(key)
        named = _placement(state, placement)
        yield ("use", *named, _region(state, region), *state.uses.values(row))
    for key, row in pick(state.demand):
        app, region, slot = TRIPLE.unpack(key)
        named = (_app(state, app), _region(state, region))
        yield ("demand", *named, slot, *state.demand.values(row))
    for key, row in pick(state.memberships):
        app, region = PAIR.unpack(key)
        named = (_app(state, app), _region(state, region))
        yield ("membership", *named, *state.memberships.values(row))


def _learned(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for key, row in pick(state.apps):
        pushes, first_ns, newest = state.apps.values(row)
        named = _placement(state, newest - 1) if newest else ("", "")
        yield ("app", key, pushes, first_ns, *named)
    for key, row in pick(state.bursts):
        app, region = PAIR.unpack(key)
        where = _region(state, region)
        yield ("burst", _app(state, app), where, *state.bursts.values(row))
    for key, row in pick(state.versions):
        app, shape, *rest = state.versions.values(row)
        named = _placement(state, int.from_bytes(key, "little"))
        yield ("version", *named, _app(state, app), state.shapes.key(Row(shape)), *rest)
    for key, row in pick(state.trials):
        version, trigger, word = TRIPLE.unpack(key)
        order, time, *_ = state.trials.values(row)
        for place, known in open_classes(state, row):
            where = _region(state, word * TRIAL_REGIONS + place)
            about = (*_placement(state, version), _trigger(state, trigger), where)
            yield ("trial", *about, int(known), order, time)
    for table, scope in (
        (state.app_outcomes, state.apps),
        (state.pooled_outcomes, state.organizations),
    ):
        for key, row in pick(table):
            owner, region, trigger, shape, known = OUTCOME_KEY.unpack(key)
            if scope is state.organizations:
                owned = scope.key(Row(owner - 1)) if owner else b"*"
            else:
                owned = scope.key(Row(owner))
            where = _region(state, region - 1) if region else "*"
            shown = state.shapes.key(Row(shape))
            bits, _ = newest_first(table, row)
            kept = (table.get(row, Kept.TOTAL), bits, *lag_codes(table, row))
            keyed = (owned, where, _trigger(state, trigger), shown, known)
            yield ("outcomes", table.name, *keyed, *kept)


def _trigger(state: State, trigger: int) -> str:
    if trigger < Trigger.BY_REGION:
        return Trigger(trigger).name
    return _region(state, trigger - Trigger.BY_REGION)


def _machines(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for key, row in pick(state.machines):
        placement, region, *told, _ = state.machines.values(row)
        named = _placement(state, placement) if told[0] else ("", "")
        judged = _decision(state, judging(state, row))
        yield ("machine", key, *named, _region(state, region), *told, judged)
    for key, _ in pick(state.stopped):
        yield ("stopped", key)


def _transfers(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for key, row in pick(state.routes):
        source, target = PAIR.unpack(key)
        named = (_region(state, source), _region(state, target))
        yield ("route", *named, state.routes.get(row, 0))
    for key, row in pick(state.transfers):
        source, target, slot = TRIPLE.unpack(key)
        named = (_region(state, source), _region(state, target))
        yield ("transfer", *named, slot, *state.transfers.values(row))


def _calibration(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for key, row in pick(state.calibration):
        named = [_region(state, region) for region in PAIR.unpack(key)]
        yield ("calibration", *named, *state.calibration.values(row))
    for key, row in pick(state.wanted):
        placement, region = PAIR.unpack(key)
        named = [*_placement(state, placement), _region(state, region)]
        time, _, deadline = state.wanted.values(row)
        yield ("wanted", *named, time, deadline)
    for key, row in pick(state.awaited):
        placement, region = PAIR.unpack(key)
        named = [*_placement(state, placement), _region(state, region)]
        yield ("awaited", *named, state.awaited.get(row, 0))


def _decisions(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for _, row in pick(state.decisions):
        about = decision_at(state, row)
        named = _placement(state, about.placement)
        where = (about.source or "", about.target, " ".join(about.start_regions))
        told = about._asdict() | {"status": int(about.status)}
        for name in _NAMED_OTHERWISE:
            del told[name]
        yield ("decision", *named, *where, *told.values())
    for key, row in pick(state.decided):
        digest, target = PAIR.unpack(key)
        trigger, _, failures = state.decided.values(row)
        named = (state.digest_at(Row(digest)), _region(state, target))
        last = _decision(state, last_decided(state, row))
        yield ("decided", *named, trigger, last, failures)


def _decision(state: State, row: Row) -> bytes:
    return b"" if row == ABSENT else state.decisions.key(row)


def _start_days(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for key, row in pick(state.start_days):
        app, region, outcome, day = START_DAY.unpack(key)
        named = (_app(state, app), _region(state, region))
        yield ("start_day", *named, outcome, day, *state.start_days.values(row))


def _orders(state: State, pick: Pick) -> Iterator[CanonicalRow]:
    for key, row in pick(state.pins):
        owner, digest, region = TRIPLE.unpack(key)
        named = (state.repository_at(Row(owner)), state.digest_at(Row(digest)))
        yield ("pin", *named, _region(state, region), *state.pins.values(row))
    for key, row in pick(state.pauses):
        where = _region(state, int.from_bytes(key, "little"))
        yield ("pause", where, *state.pauses.values(row))
    for key, row in pick(state.policies):
        yield ("policy", key, *state.policies.values(row))


def _placement(state: State, row: int) -> tuple[str, str]:
    return state.placement_at(Row(row))


def _region(state: State, row: int) -> str:
    return "*" if row == EVERYWHERE else state.region_at(Row(row))


def _app(state: State, row: int) -> str:
    return "\0".join(state.app_name(Row(row))) if row >= 0 else ""
