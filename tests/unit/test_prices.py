"""Prices: the most exact one counts; a file that cannot be is refused by its key."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from placement.config import Config, ConfigError, load_prices, load_topology
from placement.core.errors import InputError
from placement.core.reporting.prices import Prices, parse_prices
from placement.core.topology import Topology
from tests.builders import AMS, FRA, IAD, NOWHERE, SYD, TOPOLOGY

EUROPE = {AMS, FRA}
AREAS = Topology(
    {
        code: replace(region, area="eu" if code in EUROPE else "far")
        for code, region in TOPOLOGY.regions.items()
    },
    IAD,
)
TEXT = """
currency = "EUR"
transfer_per_gb = 0.02
storage_per_gb_month = 0.03
[areas]
"eu:far" = 0.05
[regions]
"ams:syd" = 0.09
[storage]
syd = 0.04
"""


def parsed(text: str) -> Prices:
    """Return the prices of a file."""
    return parse_prices(tomllib.loads(text), AREAS)


def test_most_exact_price_counts() -> None:
    """Of two regions, else of their areas in that direction, else of any two."""
    prices = parsed(TEXT)

    assert prices.currency == "EUR"
    assert prices.per_gb(AREAS, AMS, SYD) == 0.09
    assert prices.per_gb(AREAS, FRA, SYD) == 0.05
    assert prices.per_gb(AREAS, SYD, FRA) == 0.02
    assert prices.per_gb(AREAS, AMS, FRA) == 0.02
    assert prices.per_gb(AREAS, None, SYD) == 0.02
    assert prices.per_gb(AREAS, NOWHERE, SYD) == 0.02
    assert prices.per_gb(AREAS, SYD, SYD) == 0
    assert (prices.per_gb_month(SYD), prices.per_gb_month(AMS)) == (0.04, 0.03)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("transfer_per_byte = 1", "transfer_per_byte"),
        ("currency = 7", "currency"),
        ('currency = "much too long"', "currency"),
        ("transfer_per_gb = -0.1", "transfer_per_gb"),
        ("transfer_per_gb = nan", "transfer_per_gb"),
        ("storage_per_gb_month = true", "storage_per_gb_month"),
        ("areas = 3", "areas"),
        ('areas."eu:mars" = 1', "areas.eu:mars"),
        ('areas."ams:syd" = 1', "areas.ams:syd"),
        ("areas.eu = 1", "areas.eu"),
        ('regions."ams:nowhere" = 1', "regions.ams:nowhere"),
        ('regions."ams:syd" = "cheap"', "regions.ams:syd"),
        ("storage.nowhere = 1", "storage.nowhere"),
    ],
)
def test_error_names_the_key(text: str, field: str) -> None:
    """A misspelt region would be priced like any other, and nobody would notice."""
    with pytest.raises(InputError) as raised:
        parsed(text)

    assert raised.value.field == field


def test_shipped_prices_are_those_of_the_file() -> None:
    """The order of public list prices, with any catalogue."""
    topology = load_topology(Config())

    prices = load_prices(Config(), topology)

    assert prices.currency == "USD"
    assert prices.per_gb(topology, AMS, SYD) == 0.02
    assert prices.per_gb_month(SYD) == 0.023


def test_configured_file_is_refused_by_its_key(
    tmp_path: Path,
) -> None:
    """The error names file and key, before the service starts."""
    file = tmp_path / "prices.toml"
    file.write_text("[storage]\nmars = 1\n")
    config = Config(prices_file=file)

    with pytest.raises(ConfigError, match=r"prices\.toml: storage\.mars"):
        load_prices(config, load_topology(config))
