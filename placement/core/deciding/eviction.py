"""What may leave a storage region now, the first first, and why.

Copies leave by rule: what was replaced and is beyond its grace, what was copied and
never started, contents that no image there refers to. Where a region has a storage
budget, what is worth least for its bytes leaves as well, of what ``safety`` allows.
Home is the archive: nothing leaves it by rule, only over budget. Content that somebody
else put into a region and that never started there is not ours to judge; it leaves
only over budget, too.

What removing an image would cost for each byte that it frees is its value: the lowest
goes first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from placement.core.copies import Image
from placement.core.counts import DAY_NS
from placement.core.deciding.freeing import Freeing
from placement.core.deciding.guardrails import Guardrails
from placement.core.deciding.kept import Kept
from placement.core.deciding.safety import refused
from placement.core.deciding.shelf import HeldImage
from placement.core.deciding.storehouse import Estate, Storehouse
from placement.core.deciding.worth import worth_of
from placement.core.decisions import decision_status
from placement.core.event import Factor, RegionState
from placement.core.facts.values import factors_of
from placement.core.network import Network
from placement.core.oci import Digest
from placement.core.tables.cells import DecisionStatus
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

NEVER_USED: Final = "never-used"
ORPHAN: Final = "orphan"
SUPERSEDED: Final = "superseded"
OVER_BUDGET: Final = "over-budget"
REASONS: Final = (NEVER_USED, ORPHAN, SUPERSEDED, OVER_BUDGET)
"""Why content leaves, in the order in which it does."""
ORPHAN_NS: Final = DAY_NS
"""A layer waits so long for an image that refers to it."""


@dataclass(frozen=True, slots=True)
class Removal:
    """Content that may leave, with the evidence.

    *contents*: what is to be deleted from the repository in this region, once all
    removals before this one in the list are done; *reclaimed_bytes*: what of that no
    repository there holds any longer.
    """

    image: Image
    region: Region
    reason: str
    explanation: str
    reclaimed_bytes: int
    contents: tuple[Digest, ...]
    factors: tuple[Factor, ...]


class _Held(NamedTuple):
    """An image of a repository."""

    owner: Row
    image: HeldImage


class _Candidate(NamedTuple):
    """A content that may leave; sorted by its first four fields, a total order."""

    rank: tuple[int, float]
    repository: str
    digest: str
    placement: Row
    reason: str
    explanation: str
    factors: dict[str, float]


def removable(
    network: Network,
    guardrails: Guardrails,
    region: Region,
    owners: Sequence[Row] | None = None,
) -> list[Removal]:
    """Return what may leave *region* now, in the order in which it should.

    All of it may be planned at once, and any first part of it carried out: none of it
    rests on another one staying. What is decided already is left out. With *owners*
    only of these repositories, and only by rule: a budget is the whole region's.
    """
    estate = Estate(network, guardrails)
    house, state = estate.house(region), network.state
    stores = network.topology.stores(region)
    down = network.region_state(region) is RegionState.DOWN
    if not stores or down or house.row == ABSENT:
        return []
    budget = None if owners is not None else guardrails.keep.budget_bytes(region)
    asked = range(len(state.repositories)) if owners is None else owners
    freeing = Freeing(house)
    due: list[_Candidate] = []
    rest: list[_Held] = []
    for owner in map(Row, asked):
        for placement, image in _contents_of(house, owner):
            candidate = _due(estate, house, owner, placement, image)
            if candidate is None and (budget is None or image is None):
                continue
            if refused(estate, placement, region):
                continue
            if candidate is not None:
                due.append(candidate)
            elif image is not None:
                rest.append(_Held(owner, image))
    chosen = [_carried_out(house, freeing, one) for one in sorted(due)]
    if budget is not None and freeing.stored_bytes > budget:
        spare = [_spare(estate, house, one, freeing) for one in rest]
        chosen += _over_budget(house, freeing, spare, budget)
    return chosen


def removal_contents(
    network: Network, guardrails: Guardrails, placement: Row, region: Region
) -> tuple[Digest, ...]:
    """Return what carrying out the removal of a placement deletes from its repository.

    For whoever carries it out, at that very moment: what other images there refer to
    stays. Empty where the removal is refused now.
    """
    estate = Estate(network, guardrails)
    if refused(estate, placement, region):
        return ()
    house, state = estate.house(region), network.state
    owner, digest = map(Row, PAIR.unpack(state.placements.key(placement)))
    shelf = house.shelf(owner)
    image = shelf.images.get(digest)
    here = (digest,) if image is None else image.here
    alone = (row for row in here if shelf.users.get(row, 0) <= 1)
    return tuple(state.digest_at(row) for row in alone)


def _contents_of(
    house: Storehouse, owner: Row
) -> Iterator[tuple[Row, HeldImage | None]]:
    """Yield the placements of a repository that could leave by themselves."""
    shelf, going = house.shelf(owner), house.going(owner)
    for digest, image in shelf.images.items():
        if digest not in going:
            yield image.placement, image
    for digest in shelf.loose:
        if digest not in going:
            yield shelf.placement(digest), None


def _due(
    estate: Estate,
    house: Storehouse,
    owner: Row,
    placement: Row,
    image: HeldImage | None,
) -> _Candidate | None:
    """Return what leaves by rule, or None where no rule says so."""
    network = estate.network
    if house.region == network.topology.home:
        return None
    if image is None:
        since_ns = house.came_ns(placement) + ORPHAN_NS
        if since_ns > network.now_ns:
            return None
        said = "no image there refers to it, a day after it came"
        return _candidate(house, placement, ORPHAN, said, since_ns)
    known = house.kept(owner)[image.digest]
    if known.until_ns > network.now_ns:
        return None
    if known.waits and not _is_ours(house, owner, image):
        return None
    reason = NEVER_USED if known.waits else SUPERSEDED
    said = _explained(estate, known)
    return _candidate(house, placement, reason, said, known.until_ns)


def _is_ours(house: Storehouse, owner: Row, image: HeldImage) -> bool:
    """Say whether a decision of ours brought it there, or a layer of its own."""
    state, shelf = house.network.state, house.shelf(owner)
    own = [image.digest, *(row for row in image.here if shelf.users[row] == 1)]
    placements = (shelf.placement(row) for row in own)
    return any(
        decision_status(state, placement, house.row) is DecisionStatus.COMPLETED
        for placement in placements
    )


def _explained(estate: Estate, known: Kept) -> str:
    keep, now_ns = estate.guardrails.keep, estate.network.now_ns
    days = (now_ns - known.replaced_ns) / DAY_NS
    if known.reason == "passed-over":
        return "copied, and passed over: a newer version has started there instead"
    if known.waits:
        return f"copied, and not started there within {keep.unused_days:g} d"
    return (
        f"replaced there {days:.0f} d ago; kept are {keep.previous_versions} before"
        f" the current one, {keep.recent_versions} for {keep.recent_days:g} d, and"
        f" all for {keep.grace_days:g} d"
    )


def _candidate(
    house: Storehouse, placement: Row, reason: str, said: str, since_ns: int
) -> _Candidate:
    repository, digest = house.network.state.placement_at(placement)
    overdue = (house.network.now_ns - since_ns) / 1e9
    rank = (REASONS.index(reason), -overdue)
    factors = {"overdue_seconds": overdue}
    return _Candidate(rank, repository, digest, placement, reason, said, factors)


def _spare(
    estate: Estate, house: Storehouse, held: _Held, freeing: Freeing
) -> _Candidate:
    """Return an image that nothing forbids to remove, by what it is worth."""
    owner, image = held
    worth = worth_of(estate, house, owner, image)
    alone_bytes = freeing.alone_bytes(house.shelf(owner), image)
    value = worth.seconds / max(1, alone_bytes)
    repository, digest = estate.network.state.placement_at(image.placement)
    factors = {
        "value_seconds_per_byte": value,
        "expected_starts": worth.expected_starts,
        "refetch_seconds": worth.refetch_seconds,
        "exclusive_bytes": float(alone_bytes),
    }
    rank = (REASONS.index(OVER_BUDGET), value)
    said = "the least worth keeping for its bytes"
    placement = image.placement
    return _Candidate(rank, repository, digest, placement, OVER_BUDGET, said, factors)


def _over_budget(
    house: Storehouse, freeing: Freeing, spare: list[_Candidate], budget: int
) -> Iterator[Removal]:
    """Yield what leaves until the region is within its budget, or nothing more may."""
    for one in sorted(spare):
        over_bytes = freeing.stored_bytes - budget
        if over_bytes <= 0:
            return
        said = f"{over_bytes} B over the region's {budget} B, and {one.explanation}"
        yield _carried_out(house, freeing, one._replace(explanation=said))


def _carried_out(house: Storehouse, freeing: Freeing, one: _Candidate) -> Removal:
    """Return a candidate as a removal, and count it as done."""
    state = house.network.state
    owner, digest = map(Row, PAIR.unpack(state.placements.key(one.placement)))
    shelf = house.shelf(owner)
    freed = freeing.remove(shelf, digest)
    repository, name = state.placement_at(one.placement)
    tags = tuple(shelf.tags.get(digest, ()))
    return Removal(
        Image(repository, name, tags),
        house.region,
        one.reason,
        one.explanation,
        freed.reclaimed_bytes,
        tuple(state.digest_at(row) for row in freed.contents),
        factors_of({"reclaimed_bytes": freed.reclaimed_bytes, **one.factors}),
    )
