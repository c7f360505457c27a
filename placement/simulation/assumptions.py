"""What a trace does not say, declared in one TOML file: sizes, pushes, regions.

The keys are explained in the file that the package carries, data/assumptions.toml. A
key that is not known is refused, since a figure would rest on something else than was
meant.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from statistics import NormalDist
from typing import Final

from placement.core.errors import InputError
from placement.core.topology import Region, Topology, parse_region
from placement.simulation.score_from import ScoreFrom, parse_score_from
from placement.simulation.sections import Section

HOME: Final = Region("iad")
"""Where pushes of a trace land that the assumptions do not name."""
CARRIED: Final = "data/assumptions.toml"
DELTA_S_MAX: Final = 30 * 86_400.0
LAYER_SHARE_MAX: Final = 0.99
_HASH_DIGITS: Final = 12
_QUANTILE_MIN: Final = 1e-4


@dataclass(frozen=True, slots=True)
class SizeModel:
    """One size per app, lognormal, drawn by a hash of the app's own name."""

    median_bytes: float
    sigma: float
    min_bytes: float
    max_bytes: float
    seed: str = "size"
    """Hashed before the name; another one draws other sizes."""

    def size_bytes(self, app: str) -> int:
        """Return the size of every image of *app*, all of its layers together."""
        digits = sha256(f"{self.seed}{app}".encode()).hexdigest()[:_HASH_DIGITS]
        quantile = int(digits, 16) / 16**_HASH_DIGITS
        clipped = min(max(quantile, _QUANTILE_MIN), 1 - _QUANTILE_MIN)
        size = self.median_bytes * math.exp(self.sigma * NormalDist().inv_cdf(clipped))
        return round(min(max(size, self.min_bytes), self.max_bytes))


@dataclass(frozen=True, slots=True)
class RegionNames:
    """What a trace's names of regions stand for.

    A name of *codes* is that code's; any other takes the next of *order*, cyclic.
    """

    home: Region
    codes: Mapping[str, Region]
    order: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class RegionMap:
    """A catalogue code for each region of one trace, and where its pushes land."""

    home: Region
    codes: Mapping[str, Region]


@dataclass(frozen=True, slots=True)
class Assumptions:
    """All of it, checked; *source* is the name of the file, for whoever reads figures.

    *layer_share* is the part of an image, 0 to 1, that it shares with its predecessor.
    """

    source: str
    delta_s: float
    local_wait_s: float
    live_region_days: float
    sizes: SizeModel
    regions: Mapping[str, RegionNames]
    apps: Mapping[str, str]
    layer_share: float = 0.0
    score_from: Mapping[str, ScoreFrom] = field(default_factory=dict)
    """From when on a trace is scored; the others are scored from the default."""

    def varied(
        self,
        *,
        delta_s: float | None = None,
        seed: str | None = None,
        layer_share: float | None = None,
    ) -> "Assumptions":
        """Return the same with one or several of them different, for sensitivity.

        Raises InputError for what the file could not say either.
        """
        share = self.layer_share if layer_share is None else layer_share
        delta = self.delta_s if delta_s is None else delta_s
        push = Section("push", {"delta_s": delta})
        layers = Section("size", {"layer_share": share})
        return replace(
            self,
            delta_s=push.number("delta_s", 0, DELTA_S_MAX),
            layer_share=layers.number("layer_share", 0, LAYER_SHARE_MAX),
            sizes=self.sizes if seed is None else replace(self.sizes, seed=seed),
        )

    def map_regions(
        self,
        trace: str,
        names: Iterable[str],
        topology: Topology,
        home: Region | None = None,
    ) -> RegionMap:
        """Return the catalogue code of each of *names*, in order of first appearance.

        *trace* is the name that the trace was given; *home*, if given, is where its
        pushes land whatever the assumptions say. A trace that they do not name speaks
        of catalogue codes itself. Raises InputError for a name that stands for
        nothing, and for a code that the catalogue lacks.
        """
        known = self.regions.get(trace, RegionNames(HOME, {}))
        where = f"{self.source}: regions.{trace}"
        landing = home or known.home
        if not topology.stores(landing):
            remedy = "name a region of the catalogue that stores content"
            raise InputError(f"{where}.home", landing, remedy)
        codes: dict[str, Region] = {}
        turn = 1  # the home has taken the first of the order
        for name in names:
            if name in codes:
                continue
            code = known.codes.get(name)
            if code is None and known.order:
                code = known.order[turn % len(known.order)]
                turn += 1
            codes[name] = _in_catalogue(
                code or Region(name), f"{where}.{name}", topology
            )
        return RegionMap(landing, codes)


def load_assumptions(path: Path | None = None) -> Assumptions:
    """Return what the file at *path* declares, or the one that the package carries.

    Raises InputError, naming file, key, value and remedy.
    """
    source = path or files("placement").joinpath(CARRIED)
    shown = CARRIED if path is None else str(path)
    try:
        tree = tomllib.loads(source.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        remedy = f"name a readable TOML file ({error})"
        option = f"--assumptions {shown}"
        raise InputError(option, Path(shown).name, remedy) from None
    try:
        return _assumptions(shown, tree)
    except InputError as error:
        raise error.within(shown) from None


def _assumptions(source: str, tree: Mapping[str, object]) -> Assumptions:
    whole = Section("", tree)
    push, start = whole.section("push"), whole.section("start")
    size = whole.section("size")
    network = whole.section("network")
    network.choice("one_source", ("home",))
    whole.section("organization").finish()
    apps = whole.section("apps")
    regions = whole.section("regions")
    scored = whole.section("score_from")
    found = Assumptions(
        source=source,
        delta_s=push.number("delta_s", 0, DELTA_S_MAX),
        local_wait_s=start.number("local_wait_s", 0, 3600),
        live_region_days=start.number("live_region_days", 1, 36_500),
        sizes=SizeModel(
            median_bytes=size.number("median_bytes", 1, 1e15),
            sigma=size.number("sigma", 0, 10),
            min_bytes=size.number("min_bytes", 1e4, 1e15),
            max_bytes=size.number("max_bytes", 1e4, 1e15),
            seed=size.text("seed", "size"),
        ),
        layer_share=size.number("layer_share", 0, LAYER_SHARE_MAX, 0.0),
        apps={name: apps.text(name) for name in apps.names()},
        regions={name: _regions(regions.section(name)) for name in regions.names()},
        score_from={
            name: parse_score_from(scored.text(name), scored.field(name))
            for name in scored.names()
        },
    )
    for section in (push, start, size, network, apps, regions, scored, whole):
        section.finish()
    return found


def _regions(section: Section) -> RegionNames:
    home = parse_region(section.text("home"), section.field("home"))
    order = tuple(
        parse_region(code, section.field("order")) for code in section.texts("order")
    )
    codes = {
        name: parse_region(section.text(name), section.field(name))
        for name in section.names()
        if name not in {"home", "order"}
    }
    return RegionNames(home, codes, order)


def _in_catalogue(code: Region, field: str, topology: Topology) -> Region:
    if code not in topology.regions:
        remedy = (
            f"map it to a region of the catalogue, in the assumptions, as {field!r}"
        )
        raise InputError(field, code, remedy)
    return code
