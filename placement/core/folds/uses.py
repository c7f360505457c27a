"""Uses of content as columns: what most pulls mean, many at a time.

A pull is calm if it commutes with all events around it: it names nothing new, it is not
late, and nothing that stands beside it in the block changes what it means or reads what
it changes. Any other pull is folded by itself, in its turn (``demand.content_pulled``);
both ways lead to the same state, to the bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.core.block import Numbers, Pulls
from placement.core.counts import HOUR_NS, WINDOW_HOURS
from placement.core.event import ClientKind
from placement.core.folds.around import Around
from placement.core.folds.calm import Mask, Names, value_at
from placement.core.folds.demand import NO_DEMAND
from placement.core.folds.transfers import timed_rows
from placement.core.oci import ContentKind, content_kind
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import pair_keys, triple_keys
from placement.core.tables.table import ABSENT, Row

_DEMAND = np.array([kind not in NO_DEMAND for kind in ClientKind])
"""By client kind: whether what it pulls is demand."""


@dataclass(frozen=True, slots=True)
class CalmPulls:
    """The calm ones of a block's pulls, with the rows that they are about."""

    mask: Mask
    """Which they are, of all pulls; the columns below hold only those."""
    time_ns: Numbers
    placement: Numbers
    """ABSENT for a pull that is no demand: then only its transfer counts."""
    app: Numbers
    client: Numbers
    source: Numbers
    image: Mask
    """Whether it is the pull of an image."""


def calm_pulls(state: State, pulls: Pulls, around: Around, late_ns: int) -> CalmPulls:
    """Return the calm ones of *pulls*; those older than *late_ns* are not."""
    names = Names(state, pulls.names)
    region = names.regions(pulls.region)
    client = np.where(pulls.client < 0, region, names.regions(pulls.client))
    source = np.where(pulls.source < 0, region, names.regions(pulls.source))
    known = (region >= 0) & (client >= 0) & (source >= 0)
    known &= pulls.store_time_ns - pulls.time_ns <= late_ns
    demand = _DEMAND[pulls.client_kind]
    repository, app = names.owners(pulls.repository)
    digest = state.digests.find_many(pulls.digests)
    found = (app >= 0) & (digest >= 0)
    placement = np.full(len(pulls), ABSENT, np.int64)
    pairs = pair_keys(repository[found], digest[found])
    placement[found] = state.placements.find_many(pairs)
    image, settled = _kinds(state, pulls, names, digest, around)
    if around.owned:
        owned = names.among(pulls.repository, around.owned)
        settled &= ~(image & owned)
    mask = known & (~demand | (settled & (placement >= 0)))
    placement[~demand] = ABSENT
    return CalmPulls(
        mask,
        pulls.time_ns[mask],
        placement[mask],
        app[mask],
        client[mask],
        source[mask],
        image[mask],
    )


def _kinds(
    state: State, pulls: Pulls, names: Names, digest: Numbers, around: Around
) -> tuple[Mask, Mask]:
    """Return which pulls are of images, and which of contents of settled kind.

    Where pulls stand in for starts, only a blob is settled: whatever else may be, or
    become, a version whose uses are counted by what stands around.
    """
    stored = _stored_kinds(state, digest)
    told = names.each(pulls.media, _kinds_of)
    kind = np.where(told == ContentKind.UNKNOWN, stored, told)
    settled = np.ones(len(pulls), np.bool_)
    if not state.count("machine_started"):
        settled = (kind == ContentKind.BLOB) & (stored == ContentKind.BLOB)
    if len(around.described):
        described = state.digests.find_many(around.described)
        settled &= ~np.isin(digest, described[described >= 0])
    return kind == ContentKind.MANIFEST, settled


def _kinds_of(media_types: list[str]) -> list[int]:
    return list(map(content_kind, media_types))


def _stored_kinds(state: State, digest: Numbers) -> NDArray[np.int8]:
    """Return the kind of each row of *digest*; UNKNOWN for what is ABSENT."""
    kinds = state.indexes.kinds
    for row in range(len(kinds) - 1, len(state.media_types)):
        kinds.append(content_kind(state.media_types.key(Row(row)).decode()))
    return np.array(kinds, np.int8)[value_at(state.digests, cells.Digest.MEDIA, digest)]


def count_uses(state: State, calm: CalmPulls) -> None:
    """Count each of *calm* where its client is, and those of images for their apps."""
    used = calm.placement >= 0
    placement, client, time_ns = (
        calm.placement[used],
        calm.client[used],
        calm.time_ns[used],
    )
    use, new = state.uses.find_or_add_many(pair_keys(placement, client))
    state.indexes.add_uses(placement[new], client[new])
    state.uses.add_at(use, cells.Use.PULLS, 1)
    state.uses.raise_many(use, cells.Use.LAST_TIME, time_ns)
    image = used & calm.image
    if image.any():
        _count_images(state, calm.app[image], calm.client[image], calm.time_ns[image])


def _count_images(
    state: State, app: Numbers, client: Numbers, time_ns: Numbers
) -> None:
    members = state.memberships
    member, new = members.find_or_add_many(pair_keys(app, client))
    for one in np.flatnonzero(new):
        state.indexes.add_member(app[one], client[one])
    members.add_at(member, cells.Membership.PULLS, 1)
    members.raise_many(member, cells.Membership.LAST_PULL, time_ns)
    count_hours(state, app, client, time_ns, cells.Demand.PULLS)


def count_hours(
    state: State, app: Numbers, region: Numbers, time_ns: Numbers, cell: cells.Demand
) -> None:
    """Count each in its hour, unless the ring has moved past that hour."""
    demand, newest, hour = state.demand, cells.Demand.HOUR, time_ns // HOUR_NS
    keys = triple_keys(app, region, hour % WINDOW_HOURS)
    row, _ = demand.find_or_add_many(keys)
    before = demand.column(newest)[row]
    demand.raise_many(row, newest, hour)
    begun = row[hour > before]
    for each in (cells.Demand.PULLS, cells.Demand.STARTS):
        demand.set_many(begun, each, 0)
    counted = hour == demand.column(newest)[row]
    demand.add_at(row[counted], cell, 1)


def pull_transfers(pulls: Pulls, calm: CalmPulls) -> Numbers:
    """Return the transfers of *calm*, as ``timed_rows`` does."""
    mask = calm.mask
    moved_bytes, took_ns = pulls.transferred_bytes[mask], pulls.duration_ns[mask]
    told = (pulls.index[mask], calm.source, calm.client, moved_bytes, took_ns)
    return timed_rows(*told, calm.time_ns)
