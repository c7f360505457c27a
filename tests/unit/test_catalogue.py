"""The region catalogue: the one that ships, and what is said of a wrong one."""

from pathlib import Path

import pytest

from placement.config import Config, ConfigError, load_topology
from placement.core.candidates import parse_candidates

IAD = "[regions.iad]\nlatitude = 38.94\nlongitude = -77.46\n"
SCL = "[regions.scl]\nlatitude = -33.39\nlongitude = -70.79\nstores = false\n"


def catalogue(tmp_path: Path, text: str, home_region: str = "") -> Config:
    """Return a configuration whose catalogue is *text*."""
    file = tmp_path / "regions.toml"
    file.write_text(text)
    return Config(regions_file=file, home_region=home_region)


def problem(config: Config) -> str:
    """Return what is said of a catalogue that cannot be."""
    with pytest.raises(ConfigError) as caught:
        load_topology(config)
    return str(caught.value)


def test_shipped_catalogue_is_whole() -> None:
    """Nineteen real regions, each with a name, and served by all, itself first."""
    topology = load_topology(Config())

    assert len(topology.regions) == 19
    assert topology.home == "iad"
    assert topology.regions[topology.home].name.startswith("Ashburn")
    for code, region in topology.regions.items():
        assert region.name != code
        assert region.stores
        assert topology.endpoint(code) == ""
        assert topology.serving_order(code)[0] == code
        assert sorted(topology.serving_order(code)) == sorted(topology.regions)


def test_nearest_region_serves_next() -> None:
    """The order is by distance where none is stated."""
    topology = load_topology(Config())

    assert topology.serving_order(topology.known(topology.home))[1] == "ewr"


def test_shipped_regions_are_named_as_schedulers_name_them() -> None:
    """Each is in one area, and expressions take areas, aliases, codes and any."""
    topology = load_topology(Config())

    areas = [region.area for region in topology.regions.values()]
    counts = {area: areas.count(area) for area in areas}
    assert counts == {"eu": 5, "apac": 4, "na": 8, "sa": 1, "af": 1}
    assert topology.names() == {*counts, "us", "usa"}
    us = ("dfw", "ewr", "iad", "lax", "ord", "sjc")
    assert parse_candidates(topology, "us") == parse_candidates(topology, "USA") == us
    assert parse_candidates(topology, "lhr,eu")[:2] == ("lhr", "ams")
    assert len(parse_candidates(topology, "any")) == 19


def test_stated_area_and_aliases_are_kept(tmp_path: Path) -> None:
    """An alias and an area of one name are both meant by it."""
    text = f'home = "iad"\naliases.west = ["scl"]\n{IAD}area = "west"\n{SCL}'

    topology = load_topology(catalogue(tmp_path, text))

    assert topology.regions_named("west") == ("iad", "scl")
    assert topology.aliases == {"west": ("scl",)}


def test_stated_keys_are_kept(tmp_path: Path) -> None:
    """Endpoint, name and serving order are the operator's."""
    text = f'home = "iad"\n{IAD}endpoint = "https://iad.example.com/"\nname = "A"\n'
    text += f'{SCL}serving_order = ["iad"]\n'

    topology = load_topology(catalogue(tmp_path, text))
    region = topology.regions[topology.home]

    assert (region.name, region.endpoint) == ("A", "https://iad.example.com")
    scl = next(one for one in topology.regions.values() if one.code == "scl")
    assert not scl.stores
    assert topology.serving_order(scl.code) == ("iad",)
    assert scl.name == "scl"


def test_home_can_be_another(tmp_path: Path) -> None:
    """The configuration's home_region goes before the catalogue's."""
    assert load_topology(Config(home_region="syd")).home == "syd"
    said = problem(catalogue(tmp_path, f'home = "iad"\n{IAD}', home_region="syd"))
    assert said.startswith("home_region: home: 'syd' is not valid")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('home = "iad"\n[regions.iad]\nlatitude = 1\n', "regions.iad.longitude: "),
        (
            'home = "iad"\n[regions.iad]\nlatitude = "x"\nlongitude = 1\n',
            "iad.latitude",
        ),
        ('home = "iad"\n[regions.iad]\nlatitude = 91\nlongitude = 1\n', "-90 to 90"),
        (f'home = "iad"\n{IAD}latitud = 1\n', "is it latitude?"),
        (f'home = "iad"\n{IAD}endpoint = "iad.example"\n', "regions.iad.endpoint"),
        (f'home = "iad"\n{IAD}serving_order = ["syd"]\n', "regions.iad.serving_order"),
        (f'home = "scl"\n{IAD}{SCL}', "home: 'scl' is not valid"),
        (f"{IAD}", "home: '' is not valid"),
        (f'house = "iad"\n{IAD}', "no such key; give home, aliases, regions"),
        ('home = "iad"\n', "give a table for each region"),
        ('home = "iad"\n[regions.IAD]\nlatitude = 1\nlongitude = 1\n', "regions.IAD"),
        ('home = "iad"\nregions.iad = 3\n', "give a table: [regions.iad]"),
        ('home = "iad"\n[regions]\n', "list 1 to 200 regions"),
        (f'home = "iad"\n{IAD}area = 3\n', "regions.iad.area"),
        (f'home = "iad"\n{IAD}area = "E U"\n', "regions.iad.area"),
        (f'home = "iad"\n{IAD}area = "any"\n', "regions.iad.area: 'any'"),
        (f'home = "iad"\naliases = 3\n{IAD}', "give a table: [aliases]"),
        (f'home = "iad"\naliases.iad = ["iad"]\n{IAD}', "aliases.iad: 'iad'"),
        (f'home = "iad"\naliases.us = "iad"\n{IAD}', "aliases.us: 'iad'"),
        (f'home = "iad"\naliases.us = []\n{IAD}', "give a list of region codes"),
        (f'home = "iad"\naliases.us = ["syd"]\n{IAD}', "aliases.us: 'syd'"),
        (f'home = "iad"\naliases.us = [3.5]\n{IAD}', "aliases.us: '3.5'"),
        (f'home = "iad"\naliases.US = ["iad"]\n{IAD}', "aliases.US: 'US'"),
    ],
)
def test_wrong_catalogue_is_refused_by_key(
    tmp_path: Path, text: str, said: str
) -> None:
    """The error names the file, the key, and what would be right."""
    found = problem(catalogue(tmp_path, text))

    assert "regions.toml: " in found
    assert said in found


def test_missing_catalogue_is_refused(tmp_path: Path) -> None:
    """A catalogue that is named must be there."""
    assert "No such file" in problem(Config(regions_file=tmp_path / "none.toml"))
