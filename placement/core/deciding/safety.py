"""Why content may not leave a storage region: planners, executors and tests ask this.

Whatever a policy says, the last complete copy stays, and what is pinned or runs. While
any region still keeps an image, at least ``min_copies`` of it stay; of one that no
region keeps any longer the last one does, or every version ever pushed would need
a second home for ever. A copy counts if its region is in the catalogue, stores, is
neither drained nor down, holds all that this one holds of the image, and if no removal
of it is decided, or was called off and may have been carried out. Nor does one count
that was seen again so soon after it was gone that the word may be of before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from placement.core.deciding.guardrails import Guardrails
from placement.core.deciding.shelf import HeldImage
from placement.core.deciding.storehouse import Estate, Storehouse, used
from placement.core.event import RegionState
from placement.core.graph import contents
from placement.core.network import Network
from placement.core.tables import cells
from placement.core.tables.keys import PAIR
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region

REFUSALS: Final = {
    "region-unknown": "the region is not in the catalogue, or stores nothing",
    "region-down": "the region is down",
    "not-held": "the region does not hold it",
    "contents-unknown": "nobody has told all that the images there consist of",
    "part-of-image": "an image there refers to it",
    "attached": "it is about an image that is there, such as a signature",
    "running": "machines run it",
    "used-lately": "it was started or pulled within keep.pull_days",
    "pinned": "it is pinned",
    "in-flight": "it moves just now, or is needed by a copy that does",
    "requested": "somebody asked for it there, and it has not been used since",
    "current": "it is the version that the app runs there",
    "previous": "it is one of the keep.previous_versions before the current one",
    "grace": "it was replaced there less than keep.grace_days ago",
    "newest": "it is the newest version, or a tag such as latest points to it",
    "min-copies": "too few other complete copies would stay in active regions",
}
"""What each refusal means, for people."""


def refusal(
    network: Network, guardrails: Guardrails, placement: Row, region: Region
) -> str:
    """Return why a placement may not leave *region*, a key of REFUSALS; else ``""``.

    What this allows may be removed at the network's time: after any other fact it has
    to be asked again.
    """
    return refused(Estate(network, guardrails), placement, region)


def refused(estate: Estate, placement: Row, region: Region) -> str:
    """Return the same as ``refusal``, from what was surveyed already."""
    state, house = estate.network.state, estate.house(region)
    if not estate.network.topology.stores(region):
        return "region-unknown"
    if estate.network.region_state(region) is RegionState.DOWN:
        return "region-down"
    owner, digest = map(Row, PAIR.unpack(state.placements.key(placement)))
    if house.row == ABSENT or digest not in house.shelf(owner).held:
        return "not-held"
    shelf = house.shelf(owner)
    if not shelf.is_known:
        return "contents-unknown"
    image = shelf.images.get(digest)
    if image is None and digest in shelf.users:
        return "part-of-image"
    whole = image or HeldImage(placement, digest, (digest,))
    return _Case(estate, house, owner, whole, is_image=image is not None).refusal()


@dataclass(frozen=True)
class _Case:
    """What may leave: an image with all that it refers to, or a blob of none."""

    estate: Estate
    house: Storehouse
    owner: Row
    image: HeldImage
    is_image: bool

    def refusal(self) -> str:
        """Return the first reason that applies, or ``""``."""
        reasons: dict[str, Callable[[], bool]] = {
            "attached": self._is_attached,
            "running": lambda: self.house.usage(self.family).running > 0,
            "used-lately": lambda: self._lately(self.house),
            "pinned": lambda: self._is_pinned(self.house),
            "in-flight": self._travels,
            "requested": lambda: self._is_requested(self.house),
        }
        for reason, applies in reasons.items():
            if applies():
                return reason
        said = self._safe_for(self.house)
        if said:
            return said
        wanted = 1
        if self._is_needed():
            wanted = max(wanted, self.estate.guardrails.limits.min_copies)
        return "" if self._other_copies >= wanted else "min-copies"

    @property
    def family(self) -> list[Row]:
        """The placements whose use is a use of it."""
        if not self.is_image:
            return [self.image.placement]
        return self.house.shelf(self.owner).family(self.image)

    @property
    def _now_ns(self) -> int:
        return self.estate.network.now_ns

    def _is_attached(self) -> bool:
        return self.house.shelf(self.owner).is_attached(self.image.digest)

    def _lately(self, house: Storehouse) -> bool:
        last_ns = house.usage(self.family).last_ns
        keep = self.estate.guardrails.keep
        return last_ns > 0 and last_ns + keep.pull_ns > self._now_ns

    def _is_pinned(self, house: Storehouse) -> bool:
        """Say whether it, a part of it, or what it is a part of is pinned there."""
        pinned = house.pinned(self.owner)
        if not pinned:
            return False
        state = self.estate.network.state
        family = {state.content_of(placement) for placement in self.family}
        return not pinned.isdisjoint(family.union(self.image.here))

    def _travels(self) -> bool:
        return not self.house.travelling.isdisjoint(self.image.here)

    def _is_requested(self, house: Storehouse) -> bool:
        """Say whether somebody asked for it and did not use it yet.

        A request is forgotten after keep.unused_days: it holds nothing for ever.
        """
        state, keep = self.estate.network.state, self.estate.guardrails.keep
        times_ns = [house.usage(self.family).last_ns]
        asked_ns = 0
        for placement in self.family:
            row = state.wanted.find(PAIR.pack(placement, house.row))
            if row != ABSENT:
                wanted = state.wanted.values(row)
                deadline_ns = wanted[cells.Wanted.DEADLINE]
                asked_ns = max(asked_ns, wanted[cells.Wanted.TIME], deadline_ns)
            for start in house.served.intersection(state.indexes.awaited_of(placement)):
                row = state.awaited.find(PAIR.pack(placement, start))
                asked_ns = max(asked_ns, state.awaited.get(row, 0))
        return asked_ns > max(times_ns) and asked_ns + keep.unused_ns > self._now_ns

    def _safe_for(self, house: Storehouse) -> str:
        said = house.kept(self.owner).get(self.image.digest)
        if said is None or said.safe_until_ns <= self._now_ns:
            return ""
        return said.reason if said.reason in REFUSALS else "grace"

    @property
    def _other_copies(self) -> int:
        image, region = self.image, self.house.region
        held = self.estate.holders(self.owner, image.digest, image.here, region)
        return len(held)

    def _is_needed(self) -> bool:
        """Say whether anybody anywhere still keeps it, so that two copies should be."""
        network, every = (
            self.estate.network,
            range(len(self.estate.network.state.regions)),
        )
        usage = used(network, self.family, map(Row, every))
        keep = self.estate.guardrails.keep
        lately = usage.last_ns > 0 and usage.last_ns + keep.pull_ns > self._now_ns
        if usage.running or lately:
            return True
        state = network.state
        for row in map(Row, every):
            house = self.estate.house(state.region_at(row))
            if self._is_pinned(house) or self._is_requested(house):
                return True
            if any(self._is_kept_in(house, root) for root in self._related(house)):
                return True
        return False

    def _related(self, house: Storehouse) -> list[Row]:
        """Return the images of a region that it is, is a part of, or has a part of."""
        own = {
            *self.image.here,
            *contents(self.estate.network.state, self.image.digest),
        }
        return [
            digest
            for digest, root in house.shelf(self.owner).images.items()
            if digest in own or self.image.digest in root.here
        ]

    def _is_kept_in(self, house: Storehouse, digest: Row) -> bool:
        return house.kept(self.owner)[digest].safe_until_ns > self._now_ns
