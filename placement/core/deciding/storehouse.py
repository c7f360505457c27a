"""What is asked of storage regions before content leaves one of them.

Who is served from there, what moves just now, what was used when, and what remains once
the removals that are decided already have been carried out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from placement.core.deciding.guardrails import Guardrails
from placement.core.deciding.kept import Kept, Use, kept
from placement.core.deciding.shelf import HeldImage, Shelf
from placement.core.decisions import latest_decision, open_copies, open_removals
from placement.core.event import RegionState
from placement.core.folds.versions import images_of
from placement.core.graph import contents
from placement.core.network import Network
from placement.core.orders import is_pinned
from placement.core.shapes import tag_shape
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import PAIR, TRIPLE, version_key
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region


class Usage(NamedTuple):
    """What some start regions did with an image: machines, last time, how often."""

    running: int
    last_ns: int
    times: int


@dataclass(frozen=True)
class Storehouse:
    """One storage region at one moment."""

    network: Network
    guardrails: Guardrails
    region: Region
    _shelves: dict[Row, Shelf] = field(default_factory=dict, repr=False)
    _kept: dict[Row, dict[Row, Kept]] = field(default_factory=dict, repr=False)
    _staying: dict[Row, frozenset[Row]] = field(default_factory=dict, repr=False)

    @cached_property
    def row(self) -> Row:
        """The region's row; ABSENT: nothing was ever heard of it."""
        return self.network.state.regions.find(self.region.encode())

    @cached_property
    def is_active(self) -> bool:
        """Whether a copy there counts: in the catalogue, storing, in full use."""
        active = self.network.region_state(self.region) is RegionState.ACTIVE
        return self.network.topology.stores(self.region) and active

    @cached_property
    def served(self) -> frozenset[Row]:
        """The start regions that pull from there, now or whenever all is well.

        Those that no catalogue knows are taken to pull from home, as answers tell them.
        """
        network, found = self.network, set()
        for key, row in network.state.regions.rows():
            code = Region(key.decode())
            sources = {network.topology.home}
            if code in network.topology.regions:
                first = network.topology.serving_order(code)[0]
                sources = {code, first, network.storage(code)}
            if self.region in sources:
                found.add(row)
        return frozenset(found)

    @cached_property
    def travelling(self) -> frozenset[Row]:
        """The contents of all copies on their way into or out of the region, by row.

        Whole images: what a copy does not bring it expects to find there.
        """
        state, found = self.network.state, set[Row]()
        for target in state.indexes.decisions.open_targets():
            for copy in open_copies(state, target):
                if self.region in {copy.source, copy.target}:
                    found.update(contents(state, state.content_of(copy.placement)))
        return frozenset(found)

    def shelf(self, owner: Row) -> Shelf:
        """Return what the region holds of a repository."""
        found = self._shelves.get(owner)
        if found is None:
            expected = self.pinned(owner) | self._running(owner)
            found = Shelf(self.network.state, owner, self.row, expected)
            self._shelves[owner] = found
        return found

    @cached_property
    def _pinned(self) -> dict[Row, frozenset[Row]]:
        """The digests that are pinned there, by repository."""
        state, found = self.network.state, dict[Row, frozenset[Row]]()
        for key, _ in state.pins.rows():
            owner, digest, _ = map(Row, TRIPLE.unpack(key))
            if is_pinned(state, owner, digest, self.row, self.network.now_ns):
                found[owner] = found.get(owner, frozenset()) | {digest}
        return found

    def pinned(self, owner: Row) -> frozenset[Row]:
        """Return the digests of a repository that are pinned there."""
        return self._pinned.get(owner, frozenset())

    def _running(self, owner: Row) -> frozenset[Row]:
        """Return the digests that machines run whose region is served from there."""
        state = self.network.state
        return frozenset(
            state.content_of(placement)
            for placement in state.indexes.placements_in(owner)
            if used(self.network, (placement,), self.served).running
        )

    def staying(self, owner: Row) -> frozenset[Row]:
        """Return what the region will hold of a repository once removals are done."""
        found = self._staying.get(owner)
        if found is None:
            found = self._staying[owner] = self._rest(owner)
        return found

    def _rest(self, owner: Row) -> frozenset[Row]:
        shelf, going = self.shelf(owner), self.going(owner)
        if not going:
            return shelf.held
        stay: set[Row] = set()
        for image in shelf.images.values():
            if image.digest not in going:
                stay.update(image.here)
        gone = set(going)
        for digest in going:
            gone.update(contents(self.network.state, digest))
        return frozenset(shelf.held - (gone - stay))

    def going(self, owner: Row) -> frozenset[Row]:
        """Return the digests of a repository whose removal is decided and open."""
        state, found = self.network.state, set[Row]()
        for removal in open_removals(state, self.row):
            if PAIR.unpack(state.placements.key(removal.placement))[0] == owner:
                found.add(state.content_of(removal.placement))
        return frozenset(found)

    def usage(self, family: Iterable[Row]) -> Usage:
        """Return what the start regions that are served did with an image."""
        return used(self.network, family, self.served)

    def kept(self, owner: Row) -> dict[Row, Kept]:
        """Return how long each image of a repository stays, by its digest's row."""
        found = self._kept.get(owner)
        if found is None:
            left_ns = self._withdrawn_ns(owner)
            newest = newest_of(self.network.state, owner)
            told = kept(self._uses(owner), self.guardrails.keep, left_ns, newest)
            found = {Row(version): said for version, said in told.items()}
            self._kept[owner] = found
        return found

    def _uses(self, owner: Row) -> list[Use]:
        state, shelf = self.network.state, self.shelf(owner)
        found = []
        for image in shelf.images.values():
            last_ns = self.usage(shelf.family(image)).last_ns
            order_ns, arrive_ns = self._order_ns(image), self.arrived_ns(image)
            found.append(Use(image.digest, order_ns, arrive_ns, last_ns))
        for version in state.indexes.versions_in(owner):
            digest = state.content_of(version)
            if digest not in shelf.users:
                last_ns = self.usage(images_of(state, version)).last_ns
                if last_ns:
                    order_ns = self._pushed_ns(version)
                    found.append(Use(digest, order_ns, 0, last_ns, held=False))
        return found

    def _order_ns(self, image: HeldImage) -> int:
        pushed_ns = self._pushed_ns(image.placement)
        return pushed_ns or self.arrived_ns(image)

    def _pushed_ns(self, placement: Row) -> int:
        state = self.network.state
        row = state.versions.find(version_key(placement))
        return 0 if row == ABSENT else state.versions.get(row, cells.Version.ORDER)

    def arrived_ns(self, image: HeldImage) -> int:
        """Return when the image came, the last time that it did.

        Whoever says again that it is there does not let it begin anew.
        """
        state, found = self.network.state, self.came_ns(image.placement)
        copy = latest_decision(state, image.placement, self.row)
        if copy != ABSENT:
            found = max(found, state.decisions.get(copy, cells.Decision.COMPLETE))
        return found

    def came_ns(self, placement: Row) -> int:
        """Return when a replica here was first told of since it was last gone."""
        replicas = self.network.state.replicas
        row = replicas.find(PAIR.pack(placement, self.row))
        if row == ABSENT:
            return 0
        gone_ns = replicas.get(row, cells.Replica.GONE)
        return max(gone_ns, replicas.get(row, cells.Replica.CREATE_TIME))

    def _withdrawn_ns(self, owner: Row) -> int:
        """Return when the app left all start regions that are served; 0: it has not."""
        state, app = self.network.state, self.network.state.app_of(owner)
        if app == ABSENT:
            return 0
        newest_ns = 0
        for region in self.served.intersection(state.indexes.members_of(app)):
            row = state.memberships.find(PAIR.pack(app, region))
            member = state.memberships.values(row)
            last = cells.Membership.LAST_START, cells.Membership.LAST_PULL
            last_ns = max(member[cell] for cell in last)
            left_ns = member[cells.Membership.WITHDRAWN]
            if last_ns and left_ns <= last_ns:
                return 0
            newest_ns = max(newest_ns, left_ns)
        return newest_ns


@dataclass(frozen=True)
class Estate:
    """Every storage region at one moment, each surveyed once."""

    network: Network
    guardrails: Guardrails
    _houses: dict[Region, Storehouse] = field(default_factory=dict, repr=False)

    def house(self, region: Region) -> Storehouse:
        """Return a storage region."""
        found = self._houses.get(region)
        if found is None:
            found = Storehouse(self.network, self.guardrails, region)
            self._houses[region] = found
        return found

    def holders(
        self, owner: Row, digest: Row, here: Iterable[Row], without: Region
    ) -> list[Storehouse]:
        """Return the other active regions that go on holding *here*, by code.

        *digest* is one of them. What is to leave by a removal that is decided counts
        as gone, and what is believed to be there and may have left; so does all that a
        region holds which is drained or down.
        """
        state, every = self.network.state, frozenset(here)
        placement = state.placements.find(PAIR.pack(owner, digest))
        codes = (state.region_at(row) for row in state.indexes.regions_of(placement))
        houses = (self.house(code) for code in sorted(codes) if code != without)
        return [
            house
            for house in houses
            if house.is_active
            and every <= house.staying(owner)
            and every.isdisjoint(house.shelf(owner).doubtful)
        ]


def newest_of(state: State, owner: Row) -> frozenset[Row]:
    """Return the digests of a repository's newest version, and of tags that move.

    A tag without any number, such as ``latest`` or ``main``, names whatever is newest
    of its kind. Tags of numbers stay where they are: they would keep all for ever.
    """
    found = {
        state.find_digest(pointer.digest)
        for tag, pointer in state.tags_in(owner)
        if "#" not in tag_shape(tag) and not any(map(str.isdigit, tag))
    }
    versions = state.indexes.versions_in(owner)
    found.update(state.content_of(version) for version in versions[-1:])
    return frozenset(found)


def used(network: Network, family: Iterable[Row], starts: Iterable[Row]) -> Usage:
    """Return what start regions did with the placements of one image, together."""
    uses, regions = network.state.uses, frozenset(starts)
    running = last_ns = times = 0
    for placement in family:
        for region in regions.intersection(network.state.indexes.users_of(placement)):
            row = uses.find(PAIR.pack(placement, region))
            pulls, begun, now, time_ns = uses.values(row)
            running += max(0, now)
            last_ns = max(last_ns, time_ns)
            times += pulls + begun
    return Usage(running, last_ns, times)
