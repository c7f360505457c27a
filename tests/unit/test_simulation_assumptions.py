"""The declared assumptions: sizes, regions, variations, and keys that are refused."""

from hashlib import sha256
from importlib.resources import files
from math import exp
from pathlib import Path
from statistics import NormalDist, median

import pytest

from placement.config.catalogue import load_topology
from placement.config.keys import Config
from placement.core.errors import InputError
from placement.core.topology import Region, Topology
from placement.simulation.assumptions import Assumptions, load_assumptions

CARRIED = files("placement") / "data" / "assumptions.toml"


@pytest.fixture(scope="module")
def topology() -> Topology:
    """The catalogue that the package carries."""
    return load_topology(Config())


@pytest.fixture
def assumptions() -> Assumptions:
    """Those that the package carries."""
    return load_assumptions()


def changed(folder: Path, old: str, new: str) -> Path:
    """A file with the carried assumptions, one text of them replaced."""
    text = CARRIED.read_text("utf-8")
    assert old in text
    path = folder / "assumptions.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_carried_assumptions_are_the_declared_ones(assumptions: Assumptions) -> None:
    """The figures that the published results rest on."""
    sizes = assumptions.sizes

    assert (assumptions.delta_s, assumptions.local_wait_s) == (60.0, 0.33)
    assert assumptions.live_region_days == 120
    assert (sizes.median_bytes, sizes.sigma) == (250e6, 0.9)
    assert (sizes.min_bytes, sizes.max_bytes, sizes.seed) == (5e6, 5e9, "size")
    assert assumptions.layer_share == 0
    assert assumptions.source == "data/assumptions.toml"


def test_size_follows_from_the_app_name(assumptions: Assumptions) -> None:
    """The formula of the file's comment, worked out by hand for one app."""
    quantile = int(sha256(b"sizecollections").hexdigest()[:12], 16) / 16**12
    expected = 250e6 * exp(0.9 * NormalDist().inv_cdf(quantile))

    assert assumptions.sizes.size_bytes("collections") == round(expected)


def test_sizes_are_spread_and_bounded(assumptions: Assumptions) -> None:
    """Many apps have the declared median, and none is outside the bounds."""
    sizes = [assumptions.sizes.size_bytes(f"app-{number}") for number in range(2_000)]

    assert 230e6 < median(sizes) < 270e6
    assert min(sizes) >= 5e6
    assert max(sizes) <= 5e9


def test_variation_changes_what_it_names(assumptions: Assumptions) -> None:
    """Another seed draws other sizes, and everything else stays."""
    varied = assumptions.varied(delta_s=1, seed="other", layer_share=0.8)

    assert varied.sizes.size_bytes("web") != assumptions.sizes.size_bytes("web")
    assert (varied.delta_s, varied.layer_share) == (1, 0.8)
    assert varied.regions == assumptions.regions
    assert assumptions.varied() == assumptions


@pytest.mark.parametrize(("delta_s", "share"), [(-1.0, 0.0), (60.0, 1.0)])
def test_impossible_variation_is_refused(
    assumptions: Assumptions, delta_s: float, share: float
) -> None:
    """What the file could not say, an option cannot say either."""
    with pytest.raises(InputError, match="give a number"):
        assumptions.varied(delta_s=delta_s, layer_share=share)


def test_named_regions_are_mapped(assumptions: Assumptions, topology: Topology) -> None:
    """A trace's own names stand for the codes that the file gives them."""
    mapped = assumptions.map_regions("govuk", ["staging", "production"], topology)

    assert mapped.home == "ewr"
    assert mapped.codes == {"staging": "iad", "production": "syd"}


def test_ordered_regions_are_dealt_in_order_of_appearance(
    assumptions: Assumptions, topology: Topology
) -> None:
    """The home has the first of the list; each new name takes the next, cyclic."""
    names = [f"cluster-{number}" for number in range(19)]

    mapped = assumptions.map_regions("konflux", [*names, names[0]], topology)

    assert mapped.home == "iad"
    assert [mapped.codes[name] for name in names[:3]] == ["lhr", "fra", "nrt"]
    assert [mapped.codes[name] for name in names[-3:]] == ["ewr", "iad", "lhr"]


def test_trace_without_a_table_speaks_of_codes(
    assumptions: Assumptions, topology: Topology
) -> None:
    """Somebody's own trace needs no map, and lands at iad or where it is told to."""
    plain = assumptions.map_regions("mine", ["syd"], topology)
    moved = assumptions.map_regions("mine", ["syd"], topology, Region("fra"))

    assert (plain.home, plain.codes) == ("iad", {"syd": "syd"})
    assert moved.home == "fra"


@pytest.mark.parametrize(
    ("trace", "name", "home", "said"),
    [
        ("mine", "moon", "iad", "regions.mine.moon.*map it to a region"),
        ("govuk", "moon", "iad", "regions.govuk.moon.*map it to a region"),
        ("mine", "syd", "moon", "regions.mine.home.*catalogue that stores"),
    ],
)
def test_region_of_no_catalogue_is_refused(
    topology: Topology, trace: str, name: str, home: str, said: str
) -> None:
    """The error says which key of the file would help."""
    with pytest.raises(InputError, match=said):
        load_assumptions().map_regions(trace, [name], topology, Region(home))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("delta_s = 60.0", "delta = 60.0", "push.delta_s.*no default"),
        ("delta_s = 60.0", "delta_s = 60.0\nspeed = 1", "push.speed.*no such key"),
        ("[push]", "[pull]\na = 1\n[push]", "pull.*no such key; give apps"),
        ("delta_s = 60.0", "delta_s = -1", "push.delta_s.*-1.*0 to 2.592e"),
        ("delta_s = 60.0", "delta_s = true", "push.delta_s"),
        ("sigma = 0.9", "sigma = nan", "size.sigma"),
        ('one_source = "home"', 'one_source = "all"', "network.one_source.*give home"),
        ("[organization]", "[organization]\nname = 1", "organization.name.*no such"),
        ('home = "ewr"', 'home = "EWR"', "regions.govuk.home.*EWR"),
        ('home = "ewr"', "", "regions.govuk.home.*no default"),
        ('staging = "iad"', "staging = 7", "regions.govuk.staging.*text in quotes"),
        ('order = ["iad",', "order = [7,", "regions.konflux.order.*list of texts"),
        ("[size]", "[size", "readable TOML"),
        ("[push]", "push = 1\n[pushes]", "push.*give a table"),
    ],
)
def test_what_is_wrong_is_said_by_key(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    """An error names the file, the key, its value and what would be right."""
    path = changed(tmp_path, old, new)

    with pytest.raises(InputError, match=said) as caught:
        load_assumptions(path)

    assert str(path) in str(caught.value)


def test_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The option is named, and the system's reason."""
    with pytest.raises(InputError, match=r"--assumptions.*No such file"):
        load_assumptions(tmp_path / "none.toml")
