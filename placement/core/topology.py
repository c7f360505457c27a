"""Regions: where they are, which of them store content, and how far they are apart.

Source of the distance model: round trips of ``4 ms + great-circle km / 75`` come within
about 15 % of those measured between real edge regions (see data/regions.toml).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NewType

from placement.core.errors import (
    InputError,
    RegionInvalidError,
    RegionUnknownError,
)

Region = NewType("Region", str)

REGION_COUNT_MAX: Final = 200
EARTH_RADIUS_KM: Final = 6371.0
LOCAL_ROUND_TRIP_MS: Final = 1.0
ROUND_TRIP_BASE_MS: Final = 4.0
ROUND_TRIP_KM_PER_MS: Final = 75.0

_REGION: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


@lru_cache(maxsize=2 * REGION_COUNT_MAX)
def parse_region(text: str, field: str = "region") -> Region:
    """Return *text* as a region code; raises RegionInvalidError, naming *field*."""
    if not _REGION.fullmatch(text):
        remedy = "give 1 to 32 of a-z 0-9 and inner -, such as iad or us-east-1"
        raise RegionInvalidError(field, text, remedy)
    return Region(text)


@dataclass(frozen=True, slots=True)
class CatalogueRegion:
    """One region of the catalogue; degrees north and east."""

    code: Region
    name: str
    latitude: float
    longitude: float
    stores: bool = True
    endpoint: str = ""
    serving_order: tuple[Region, ...] = ()
    """The storage regions that serve it, best first; empty: nearest first."""
    area: str = ""
    """What people call its part of the world, such as ``eu``."""
    egress_bytes_per_second: float = 0.0
    """What may leave it for other regions, shared by all copies; 0: no limit."""


@dataclass(frozen=True)
class Topology:
    """The region catalogue and the home region, checked: an answer's second argument.

    Raises InputError, naming the key of the catalogue at fault.
    """

    regions: Mapping[Region, CatalogueRegion]
    home: Region
    aliases: Mapping[str, tuple[Region, ...]] = field(default_factory=dict)
    """Further names for several regions, such as ``us``."""
    _serving: dict[Region, tuple[Region, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _round_trips: dict[tuple[Region, Region], int] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Check the catalogue and work out every region's serving order."""
        if not 1 <= len(self.regions) <= REGION_COUNT_MAX:
            remedy = f"list 1 to {REGION_COUNT_MAX} regions"
            raise InputError("regions", len(self.regions), remedy)
        if not self.stores(self.home):
            remedy = "name a region of the catalogue that stores content"
            raise InputError("home", self.home, remedy)
        for code, region in self.regions.items():
            self._check(code, region)
        for alias, members in self.aliases.items():
            for member in members:
                if member not in self.regions:
                    remedy = "name only regions of the catalogue"
                    raise InputError(f"aliases.{alias}", member, remedy)
        for code in self.regions:
            self._serving[code] = self._serving_order(code)

    def _check(self, code: Region, region: CatalogueRegion) -> None:
        where = f"regions.{code}"
        if not -90 <= region.latitude <= 90:  # noqa: PLR2004 - degrees
            raise InputError(f"{where}.latitude", region.latitude, "give -90 to 90")
        if not -180 <= region.longitude <= 180:  # noqa: PLR2004 - degrees
            raise InputError(f"{where}.longitude", region.longitude, "give -180 to 180")
        for served in region.serving_order:
            if not self.stores(served):
                remedy = "name only regions of the catalogue that store content"
                raise InputError(f"{where}.serving_order", served, remedy)

    def _serving_order(self, code: Region) -> tuple[Region, ...]:
        stated = self.regions[code].serving_order
        others = [other for other in self.regions if self.stores(other)]
        others.sort(key=lambda other: (self.round_trip_ns(other, code), other))
        return stated + tuple(other for other in others if other not in stated)

    def stores(self, region: Region) -> bool:
        """Say whether *region* is in the catalogue and stores content."""
        entry = self.regions.get(region)
        return entry is not None and entry.stores

    def known(self, region: Region) -> Region:
        """Return *region*; raises RegionUnknownError unless it is in the catalogue."""
        if region not in self.regions:
            raise RegionUnknownError(region)
        return region

    def nearest(self, latitude: float, longitude: float) -> Region:
        """Return the region nearest to a place; degrees north and east."""
        place = CatalogueRegion(Region(""), "", latitude, longitude)
        return min(
            self.regions,
            key=lambda code: (distance_km(self.regions[code], place), code),
        )

    def names(self) -> set[str]:
        """Return every area and alias."""
        areas = {region.area for region in self.regions.values() if region.area}
        return areas | set(self.aliases)

    def regions_named(self, name: str) -> tuple[Region, ...]:
        """Return the regions of a code, area or alias, by code; none if it is none."""
        if Region(name) in self.regions:
            return (Region(name),)
        found = set(self.aliases.get(name, ()))
        if name:
            found |= {code for code, one in self.regions.items() if one.area == name}
        return tuple(sorted(found))

    def endpoint(self, region: Region) -> str:
        """Return the registry's base address in *region*; empty when none is stated."""
        return self.regions[region].endpoint

    def serving_order(self, region: Region) -> tuple[Region, ...]:
        """Return every storage region, the best to serve *region* first."""
        return self._serving[region]

    def round_trip_ns(self, source: Region, target: Region) -> int:
        """Return the expected round trip between two regions of the catalogue."""
        found = self._round_trips.get((source, target))
        if found is None:
            round_trip_ms = LOCAL_ROUND_TRIP_MS
            if source != target:
                kilometres = distance_km(self.regions[source], self.regions[target])
                round_trip_ms = ROUND_TRIP_BASE_MS + kilometres / ROUND_TRIP_KM_PER_MS
            found = self._round_trips[source, target] = round(round_trip_ms * 1e6)
        return found


def distance_km(one: CatalogueRegion, other: CatalogueRegion) -> float:
    """Return the great-circle distance in kilometres (haversine)."""
    north, south = math.radians(one.latitude), math.radians(other.latitude)
    across = math.radians(other.longitude - one.longitude)
    half = (
        math.sin((south - north) / 2) ** 2
        + math.cos(north) * math.cos(south) * math.sin(across / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))
