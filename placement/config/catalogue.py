"""The region catalogue and the prices, from their TOML files. Keys: data/README.md."""

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, Field, ValidationError

from placement.config.errors import ConfigError, config_error
from placement.config.keys import Config
from placement.config.loading import read_toml
from placement.config.values import Section
from placement.core.candidates import ANY
from placement.core.errors import InputError
from placement.core.reporting.prices import Prices, parse_prices
from placement.core.topology import CatalogueRegion, Region, Topology, parse_region

KEYS: Final = ("home", "aliases", "regions")


def _endpoint(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if text and (scheme not in {"http", "https"} or not rest or "@" in rest):
        message = "give the registry's base address, such as https://registry.example"
        raise ValueError(message)
    return text.rstrip("/")


class _Region(Section):
    """One region as the file has it."""

    latitude: Annotated[
        float, Field(ge=-90, le=90, description="degrees north, -90 to 90")
    ]
    longitude: Annotated[
        float, Field(ge=-180, le=180, description="degrees east, -180 to 180")
    ]
    name: Annotated[str, Field(description="a name for people")] = ""
    area: Annotated[str, Field(description="a part of the world, such as eu")] = ""
    stores: Annotated[
        bool, Field(description="true or false: whether content is kept there")
    ] = True
    endpoint: Annotated[
        str, AfterValidator(_endpoint), Field(description="a registry's base address")
    ] = ""
    egress_bytes_per_second: Annotated[
        float,
        Field(
            ge=0,
            le=1e15,
            description="bytes per second that may leave it, shared; 0: no limit",
        ),
    ] = 0.0
    serving_order: Annotated[
        tuple[str, ...], Field(description="a list of region codes, best first")
    ] = ()


def load_topology(config: Config) -> Topology:
    """Return the catalogue that *config* names, its home overridden if it says so.

    Raises ConfigError, naming the key, such as ``regions.iad.latitude``.
    """
    file = str(config.regions_file)
    tree = read_toml(config.regions_file)
    try:
        regions = _regions(tree, file)
        home = parse_region(str(config.home_region or tree.get("home", "")), "home")
        return Topology(regions, home, _aliases(tree.get("aliases", {}), regions))
    except InputError as error:
        stated = error.field == "home" and config.home_region
        origin = "home_region" if stated else file
        raise ConfigError([(origin, error)]) from None


def load_prices(config: Config, topology: Topology) -> Prices:
    """Return the prices that *config* names, for the regions of *topology*.

    Raises ConfigError, naming the key, such as ``areas.eu:na``.
    """
    tree = read_toml(config.prices_file)
    try:
        return parse_prices(tree, topology)
    except InputError as error:
        raise ConfigError([(str(config.prices_file), error)]) from None


def _regions(tree: Mapping[str, object], file: str) -> dict[Region, CatalogueRegion]:
    for key in tree:
        if key not in KEYS:
            raise InputError(key, key, f"no such key; give {', '.join(KEYS)}")
    entries = tree.get("regions")
    if not isinstance(entries, Mapping):
        raise InputError("regions", "", "give a table for each region: [regions.iad]")
    regions = dict(_region(code, entry, file) for code, entry in entries.items())
    for code, region in regions.items():
        if region.area:
            _check_group(region.area, f"regions.{code}.area", regions)
    return regions


def _aliases(
    entries: object, regions: Mapping[Region, CatalogueRegion]
) -> dict[str, tuple[Region, ...]]:
    """Return the aliases; that their members are in the catalogue Topology checks."""
    if not isinstance(entries, Mapping):
        raise InputError("aliases", entries, "give a table: [aliases]")
    found = {}
    for alias, members in entries.items():
        where = f"aliases.{alias}"
        _check_group(alias, where, regions)
        if not isinstance(members, list) or not members:
            raise InputError(where, members, "give a list of region codes")
        found[alias] = tuple(parse_region(str(member), where) for member in members)
    return found


def _check_group(
    name: str, where: str, regions: Mapping[Region, CatalogueRegion]
) -> None:
    """Raise InputError unless *name* can stand for several regions."""
    if parse_region(name, where) in regions or name == ANY:
        raise InputError(where, name, f"give a name that is no region's, nor {ANY}")


def _region(code: str, entry: object, file: str) -> tuple[Region, CatalogueRegion]:
    where = f"regions.{code}"
    region = parse_region(code, where)
    try:
        read = _Region.model_validate(entry)
    except ValidationError as error:
        raise config_error(_Region, error, lambda _: file, where) from None
    order = tuple(
        parse_region(other, f"{where}.serving_order") for other in read.serving_order
    )
    return region, CatalogueRegion(
        code=region,
        name=read.name or code,
        latitude=read.latitude,
        longitude=read.longitude,
        stores=read.stores,
        endpoint=read.endpoint,
        serving_order=order,
        egress_bytes_per_second=read.egress_bytes_per_second,
        area=read.area,
    )
