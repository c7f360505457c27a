"""The routes of one answer: each fitted once, at one time, from one state."""

from collections.abc import Mapping
from dataclasses import replace

from placement.core.decisions import flow_count
from placement.core.estimate import Duration
from placement.core.event import RegionState
from placement.core.routes import RouteFit, route_row
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import PAIR
from placement.core.tables.records import ReplicaRecord
from placement.core.tables.table import ABSENT, Row
from placement.core.topology import Region, Topology
from placement.core.ways import AGED_EVERY_NS, Ways


class Network:
    """What an answer knows of the network: state, catalogue and time together."""

    __slots__ = (
        "_fits",
        "_start_ups",
        "_states",
        "_storages",
        "_supplies",
        "coming",
        "graphs",
        "leaving",
        "missing_bytes",
        "now_ns",
        "pulls",
        "state",
        "topology",
        "ways",
    )

    def __init__(
        self,
        state: State,
        topology: Topology,
        now_ns: int,
        ways: Ways | None = None,
        *,
        leaving: Mapping[Region, int] | None = None,
    ) -> None:
        """Know these for one answer; *ways* are what was fitted of them before.

        *leaving* are the copies that leave each region, where the state holds no
        decisions.
        """
        self.state = state
        self.topology = topology
        self.now_ns = now_ns
        self.ways = ways or Ways(state, topology)
        self._fits: dict[tuple[Region, Region], RouteFit] = {}
        self._start_ups: dict[tuple[Region, Region], Duration] = {}
        self._states: dict[Region, RegionState] = {}
        self._storages: dict[Region, Region] = {}
        self._supplies: dict[Row, tuple[ReplicaRecord, ...]] = {}
        # What else is looked up once for an answer, by who asks.
        self.coming: dict[Row, frozenset[Row]] = {}
        """What decided copies bring into a region."""
        self.graphs: dict[Row, list[Row]] = {}
        """What an image consists of."""
        self.pulls: dict[Row, int] = {}
        """What one machine pulls of an image, in bytes."""
        self.missing_bytes: dict[tuple[Row, Row, Row], int | None] = {}
        """What a region lacks of an image; None: nothing of one platform."""
        self.leaving = leaving

    def route(self, source: Region, target: Region) -> RouteFit:
        """Return the route between two regions of the catalogue.

        Where what may leave *source* is limited, one more copy gets its share of that.
        """
        found = self._fits.get((source, target))
        if found is None:
            way = self.ways.way(source, target, self.now_ns)
            found = way.fit
            if way.limited:
                limit = self.topology.regions[source].egress_bytes_per_second
                flows = self._leaving(source)
                slowest = max(found.seconds_per_byte, (flows + 1) / limit)
                found = replace(found, seconds_per_byte=slowest)
            self._fits[source, target] = found
        return found

    def _leaving(self, source: Region) -> int:
        """Return how many copies leave *source* by a decision."""
        if self.leaving is not None:
            return self.leaving.get(source, 0)
        row = self.state.regions.find(source.encode())
        return 0 if row == ABSENT else flow_count(self.state, row)

    def region_state(self, region: Region) -> RegionState:
        """Return what operators said of *region*."""
        found = self._states.get(region)
        if found is None:
            found = self.state.region_state(region, self.now_ns)
            self._states[region] = found
        return found

    def serves(self, region: Region) -> bool:
        """Say whether *region* may be a source: in the catalogue, storing, not down."""
        down = self.region_state(region) is RegionState.DOWN
        return self.topology.stores(region) and not down

    def storage(self, region: Region) -> Region:
        """Return the storage region that serves *region* now: the first active one.

        Where none is active, the first that drains, and else the first of all.
        """
        found = self._storages.get(region)
        if found is None:
            order = self.topology.serving_order(region)
            found = order[0]
            if self.region_state(found) is not RegionState.ACTIVE:
                found = min(order, key=self.region_state)
            self._storages[region] = found
        return found

    def start_up(self, source: Region, target: Region) -> Duration:
        """Return how long nothing at all takes from *source* to *target*."""
        found = self._start_ups.get((source, target))
        if found is None:
            found = self.route(source, target).duration(0)
            self._start_ups[source, target] = found
        return found

    def supplies(self, placement: Row) -> tuple[ReplicaRecord, ...]:
        """Return the replicas of a placement in regions that may be sources."""
        found = self._supplies.get(placement)
        if found is None:
            records = self.state.replicas_of(placement)
            found = tuple(record for record in records if self.serves(record.region))
            self._supplies[placement] = found
        return found

    def observed(self) -> list[tuple[Region, Region]]:
        """Return the pairs of the catalogue that a transfer was ever observed on."""
        pairs = []
        for key, _ in self.state.routes.rows():
            source, target = (self.state.region_at(Row(r)) for r in PAIR.unpack(key))
            if {source, target} <= set(self.topology.regions):
                pairs.append((source, target))
        return sorted(pairs)

    def transfer_count(self, source: Region, target: Region) -> int:
        """Return how many transfers were ever observed from *source* to *target*."""
        row = route_row(self.state, source, target)
        return 0 if row == ABSENT else self.state.routes.get(row, 0)

    def calibration(self, source: Region, target: Region) -> tuple[int, int, int]:
        """Return how the service's own estimates did on the route.

        Starts that told what had been expected, and of those the waits that were not
        longer than the expected p50 and p90.
        """
        rows = [self.state.regions.find(region.encode()) for region in (source, target)]
        if ABSENT in rows:
            return (0, 0, 0)
        row = self.state.calibration.find(PAIR.pack(*rows))
        if row == ABSENT:
            return (0, 0, 0)
        samples, below_p50, below_p90 = self.state.calibration.values(row)
        return (samples, below_p50, below_p90)


def steady_until_ns(state: State, now_ns: int) -> int:
    """Return until when answers of *state* stay the same, but for their time.

    Routes age by the minute, and what operators said of a region may expire.
    """
    ends_ns = [now_ns - now_ns % AGED_EVERY_NS + AGED_EVERY_NS]
    expire_ns = state.regions.column(cells.Region.STATE_EXPIRE)
    ends_ns += expire_ns[expire_ns > now_ns].tolist()
    return min(ends_ns)
