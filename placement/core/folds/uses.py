"""Uses of content as columns: what most pulls mean, many at a time.

A pull is calm if it commutes with all events around it: it names nothing new, it is not
late, and nothing that stands beside it in the block changes what it means or reads what
it changes. Any other pull is folded by itself, in its turn (``demand.content_pulled``);
both ways lead to the same state, to the bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.core.block import Bytes, Numbers, Pulls
from placement.core.counts import HOUR_NS, WINDOW_HOURS
from placement.core.event import ClientKind
from placement.core.folds.around import Around
from placement.core.folds.calm import Mask, Names, are_among, value_at
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
    demand: Mask
    """Whether it is demand; of one that is not, only the transfer counts."""
    digests: Bytes
    repository: Numbers
    placement: Numbers
    """ABSENT for what no event was about before."""
    app: Numbers
    client: Numbers
    source: Numbers
    image: Mask
    """Whether it is the pull of an image."""


def calm_pulls(state: State, pulls: Pulls, around: Around, late_ns: int) -> CalmPulls:
    """Return the calm ones of *pulls*; those older than *late_ns* are not.

    Content that is new is calm if nothing else is said of its repository; what of the
    pulls themselves is not calm counts as such, too.
    """
    names = Names(state, pulls.names)
    told = (pulls.region, pulls.client, pulls.source)
    region, client, source = names.regions_of_each(*told)
    client = np.where(pulls.client < 0, region, client)
    source = np.where(pulls.source < 0, region, source)
    known = (region >= 0) & (client >= 0) & (source >= 0)
    known &= pulls.store_time_ns - pulls.time_ns <= late_ns
    demand = _DEMAND[pulls.client_kind]
    repository, app = names.owners(pulls.repository)
    digest = state.digests.find_many(pulls.digests)
    placement = _placements(state, repository, digest)
    image, settled, sure = _kinds(state, pulls, names, digest)
    settled &= ~_described(state, pulls, digest, around)
    settled &= ~(image & names.among(pulls.repository, around.owned))
    settled &= app >= 0
    alone = ~names.among(pulls.repository, around.repositories)
    mask = known & (~demand | (settled & (sure | alone)))
    if not mask.all():
        others = frozenset(pulls.names[n] for n in pulls.repository[~mask].tolist())
        alone &= ~names.among(pulls.repository, others)
        mask &= ~demand | sure | alone
    return CalmPulls(
        mask,
        pulls.time_ns[mask],
        demand[mask],
        pulls.digests[mask],
        repository[mask],
        placement[mask],
        app[mask],
        client[mask],
        source[mask],
        image[mask],
    )


def _placements(state: State, repository: Numbers, digest: Numbers) -> Numbers:
    """Return the rows of digests in repositories; ABSENT where either is."""
    found = (repository >= 0) & (digest >= 0)
    if found.all():
        return state.placements.find_many(pair_keys(repository, digest))
    placement = np.full(len(digest), ABSENT, np.int64)
    pairs = pair_keys(repository[found], digest[found])
    placement[found] = state.placements.find_many(pairs)
    return placement


def _kinds(
    state: State, pulls: Pulls, names: Names, digest: Numbers
) -> tuple[Mask, Mask, Mask]:
    """Return which pulls are of images, which may be calm, and which are for sure.

    Where pulls stand in for starts, only those of blobs may be. What is not known to be
    a blob may be a version whose uses are counted by what is said of its repository.
    """
    stored = _stored_kinds(state, digest)
    told = names.each(pulls.media, _kinds_of)
    kind = np.where(told == ContentKind.UNKNOWN, stored, told)
    image = kind == ContentKind.MANIFEST
    if state.count("machine_started"):
        return image, np.ones(len(kind), np.bool_), np.ones(len(kind), np.bool_)
    return image, kind == ContentKind.BLOB, stored == ContentKind.BLOB


def _described(state: State, pulls: Pulls, digest: Numbers, around: Around) -> Mask:
    """Return which pulls are of content whose kind may become known."""
    if not around.described:
        return np.zeros(len(digest), np.bool_)
    packed = np.frombuffer(b"".join(around.described), np.uint8)
    rows = state.digests.find_many(packed.reshape(-1, pulls.digests.shape[1]))
    described = are_among(digest, rows[rows >= 0])
    for place in np.flatnonzero(digest < 0).tolist():
        described[place] = pulls.digests[place].tobytes() in around.described
    return described


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
    placement = calm.placement.copy()
    new = calm.demand & (placement < 0)
    if new.any():
        placement[new] = _added(state, calm.repository[new], calm.digests[new])
    demand = calm.demand
    placement, client = placement[demand], calm.client[demand]
    time_ns = calm.time_ns[demand]
    use, new = state.uses.find_or_add_many(pair_keys(placement, client))
    state.indexes.add_uses(use[new], placement[new])
    state.uses.add_at(use, cells.Use.PULLS, 1)
    state.uses.raise_many(use, cells.Use.LAST_TIME, time_ns)
    image = demand & calm.image
    if image.any():
        _count_images(state, calm.app[image], calm.client[image], calm.time_ns[image])


def _added(state: State, repository: Numbers, digests: Bytes) -> Numbers:
    """Return the placements' rows of content that is new, at least to a repository."""
    digest, _ = state.digests.find_or_add_many(digests)
    placement, new = state.placements.find_or_add_many(pair_keys(repository, digest))
    state.indexes.add_placements(placement[new], repository[new], digest[new])
    return placement


def _count_images(
    state: State, app: Numbers, client: Numbers, time_ns: Numbers
) -> None:
    members = state.memberships
    member, new = members.find_or_add_many(pair_keys(app, client))
    for one in np.flatnonzero(new):
        state.indexes.add_member(Row(int(member[one])), Row(int(app[one])))
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
