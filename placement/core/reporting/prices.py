"""What moving and keeping bytes costs: a price for each pair of regions, from a file.

The most exact price counts: that of two regions, else that of their areas, else the
general one. Within a region nothing is charged. Keys: data/prices.toml.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from placement.core.errors import InputError
from placement.core.topology import Region, Topology

GIGABYTE: Final = 10**9
MONTH_SECONDS: Final = 30 * 86_400
PRICE_MAX: Final = 1e6
CURRENCY_LENGTH_MAX: Final = 8
BETWEEN: Final = ":"
"""Between the two names of a pair, the source first: ``iad:syd``."""

_KEYS: Final = (
    "currency",
    "transfer_per_gb",
    "storage_per_gb_month",
    "areas",
    "regions",
    "storage",
)


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in *currency*; a GB is 10^9 bytes, and a month has 30 days."""

    currency: str = "USD"
    transfer_per_gb: float = 0.0
    """Between any two regions."""
    storage_per_gb_month: float = 0.0
    """In any region."""
    areas: Mapping[str, float] = field(default_factory=dict)
    """Per GB from one area into another, by ``eu:na``."""
    regions: Mapping[str, float] = field(default_factory=dict)
    """Per GB from one region into another, by ``iad:syd``."""
    storage: Mapping[str, float] = field(default_factory=dict)
    """Per GB and month, by region."""

    def per_gb(
        self, topology: Topology, source: Region | None, target: Region
    ) -> float:
        """Return the price of a GB from *source*, None where not known, to *target*."""
        if source is None:
            return self.transfer_per_gb
        if source == target:
            return 0.0
        pair = self.regions.get(f"{source}{BETWEEN}{target}")
        if pair is not None:
            return pair
        places = topology.regions.get(source), topology.regions.get(target)
        names = (place.area if place is not None else "" for place in places)
        return self.areas.get(BETWEEN.join(names), self.transfer_per_gb)

    def per_gb_month(self, region: Region) -> float:
        """Return the price of keeping a GB for a month in *region*."""
        return self.storage.get(region, self.storage_per_gb_month)


def parse_prices(tree: Mapping[str, object], topology: Topology) -> Prices:
    """Return the prices that a parsed file states; raises InputError, naming the key.

    Each region and area must be one of the catalogue's.
    """
    for key in tree:
        if key not in _KEYS:
            raise InputError(key, key, f"no such key; give {', '.join(_KEYS)}")
    areas = {region.area for region in topology.regions.values() if region.area}
    codes = set(map(str, topology.regions))
    return Prices(
        _currency(tree.get("currency", "USD")),
        _price("transfer_per_gb", tree.get("transfer_per_gb", 0.0)),
        _price("storage_per_gb_month", tree.get("storage_per_gb_month", 0.0)),
        _table(tree, "areas", areas, parts=2),
        _table(tree, "regions", codes, parts=2),
        _table(tree, "storage", codes, parts=1),
    )


def _currency(value: object) -> str:
    if isinstance(value, str) and value.isalpha() and len(value) <= CURRENCY_LENGTH_MAX:
        return value
    remedy = f"give 1 to {CURRENCY_LENGTH_MAX} letters, such as USD"
    raise InputError("currency", value, remedy)


def _price(key: str, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, int | float) and is_number and 0 <= value <= PRICE_MAX:
        return float(value)
    raise InputError(key, value, f"give a price from 0 to {PRICE_MAX:,.0f}")


def _table(
    tree: Mapping[str, object], name: str, known: set[str], *, parts: int
) -> dict[str, float]:
    """Return one table of prices, whose keys are *parts* names that are known."""
    entries = tree.get(name, {})
    if not isinstance(entries, Mapping):
        raise InputError(name, entries, f"give a table: [{name}]")
    found = {}
    for key, value in entries.items():
        named = key.split(BETWEEN)
        if len(named) != parts or not known.issuperset(named):
            shape = "A:B" if parts > 1 else "A"
            remedy = f"give {shape}, of the catalogue's {_kind(name)}"
            raise InputError(f"{name}.{key}", key, remedy)
        found[key] = _price(f"{name}.{key}", value)
    return found


def _kind(table: str) -> str:
    return "areas" if table == "areas" else "regions"
