"""Decisions as rows: about what, how far they are, and what came of them."""

from dataclasses import dataclass
from typing import Final

from placement.console.moment import Moment
from placement.console.telling import (
    STATUSES,
    TRIGGERS,
    Mark,
    Told,
    cause_of,
    told,
)
from placement.core.deciding.ruling import ruling_in_force
from placement.core.decisions import DecisionRecord, decisions_of
from placement.core.payoff import Judge, Judged
from placement.core.tables.table import Row
from placement.core.topology import Region

SHOWN_MAX: Final = 20
"""Decisions about one image on its page; the list of decisions has all of them."""


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One decision; times in nanoseconds, sizes in bytes."""

    replication_id: str
    removal: bool
    repository: str
    digest: str
    tag: str
    """The first tag that points to it; empty: none does."""
    source: Region | None
    target: Region
    start_regions: tuple[Region, ...]
    transfer_bytes: int
    time_ns: int
    status: Mark
    cause: str
    trigger: str
    reason: str
    told: Told


def local_ns(now: Moment) -> int:
    """Return what a local start waits, by the policy in force, in nanoseconds."""
    policy = ruling_in_force(now.state, now.now_ns).policy
    return round(policy.local_start_seconds * 1e9)


def row_of(judged: Judged, local_start_ns: int, now_ns: int) -> DecisionRow:
    """Return one decision as a row, as it is known by *now_ns*."""
    record = judged.record
    return DecisionRow(
        record.replication_id,
        record.removal,
        judged.repository,
        judged.digest,
        judged.tags[0] if judged.tags else "",
        record.source,
        record.target,
        record.start_regions,
        record.transfer_bytes,
        record.time_ns,
        STATUSES[record.status],
        cause_of(record.status, record.cause),
        trigger_of(record),
        record.reason,
        told(judged, local_start_ns, now_ns),
    )


def trigger_of(record: DecisionRecord) -> str:
    """Return what made a decision due, for people."""
    if record.removal:
        return "a look at what may leave"
    return TRIGGERS.get(record.kind, TRIGGERS[0])


def rows_about(now: Moment, placement: Row, target: Region | None) -> list[DecisionRow]:
    """Return the newest decisions about a placement, into *target* or anywhere."""
    judge, local = Judge(now.state, now.now_ns), local_ns(now)
    found = [
        record
        for record in reversed(decisions_of(now.state, placement))
        if target in {None, record.target}
    ]
    return [
        row_of(judge.judged(record), local, now.now_ns) for record in found[:SHOWN_MAX]
    ]
