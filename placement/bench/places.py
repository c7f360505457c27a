"""Where the regions of a list of transfers are: a catalogue file, or what we carry."""

import csv
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from placement.core.errors import InputError, NumberInvalidError
from placement.core.topology import CatalogueRegion, Region, Topology

REGION_UNKNOWN: Final = (
    "no coordinates for that region: give a catalogue with --regions FILE, as TOML"
    " ([regions.CODE] latitude, longitude) or CSV (code,lat,lon)"
)
FILE_WRONG: Final = "give TOML ([regions.CODE] latitude, longitude) or CSV code,lat,lon"


class Places:
    """Regions by code; a code is also known without its ``cloud:`` prefix or zone."""

    def __init__(self, catalogue: Mapping[str, CatalogueRegion]) -> None:
        """Keep *catalogue*, whose later entries come first where short codes clash."""
        self._catalogue = dict(catalogue)
        self._short: dict[str, str] = {}
        for code in catalogue:
            cloud, _, short = code.rpartition(":")
            if cloud:
                self._short[short] = code

    def knows(self, code: str) -> bool:
        """Say whether there are coordinates of *code*."""
        return self._known(code) is not None

    def check(self, code: str, field: str) -> None:
        """Raise InputError, naming *field*, unless *code* is known."""
        if not self.knows(code):
            raise InputError(field, code, REGION_UNKNOWN)

    def round_trip_ns(self, source: str, target: str) -> int:
        """Return the round trip that the distance lets one expect, as the product does.

        Both regions are known: ``check`` was called.
        """
        ends = {self._at(source).code: self._at(source)}
        ends |= {self._at(target).code: self._at(target)}
        topology = Topology(ends, self._at(source).code)
        return topology.round_trip_ns(self._at(source).code, self._at(target).code)

    def _at(self, code: str) -> CatalogueRegion:
        known = self._known(code)
        assert known is not None, f"{code} was not checked"
        return self._catalogue[known]

    def _known(self, code: str) -> str | None:
        plain = code.strip().lower()
        for name in (plain, plain.rpartition("-")[0] if plain[-2:-1] == "-" else ""):
            if name in self._catalogue:
                return name
            if name in self._short:
                return self._short[name]
        return None


def load_places(path: Path | None) -> Places:
    """Return the carried regions, and over them those of the file at *path*, if any.

    Raises InputError for a file that cannot be read, or is no catalogue.
    """
    carried = files("placement") / "data"
    regions = dict(_toml((carried / "regions.toml").read_text("utf-8")))
    cloud = (carried / "network" / "cloud-regions.csv").read_text("utf-8")
    regions |= dict(_csv(cloud))
    if path is not None:
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise InputError("--regions", path, "name a readable file") from None
        is_toml = path.suffix == ".toml" or "[regions." in text
        regions |= dict(_toml(text) if is_toml else _csv(text))
    return Places(regions)


def _toml(text: str) -> Iterator[tuple[str, CatalogueRegion]]:
    try:
        entries = tomllib.loads(text)["regions"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise InputError("--regions", str(error), FILE_WRONG) from None
    for code, entry in entries.items():
        if not isinstance(entry, Mapping):
            raise InputError(f"regions.{code}", entry, FILE_WRONG)
        yield _region(code, entry.get("latitude"), entry.get("longitude"))


def _csv(text: str) -> Iterator[tuple[str, CatalogueRegion]]:
    for row in csv.DictReader(text.splitlines()):
        names = {str(name).strip().lower(): value for name, value in row.items()}
        code = names.get("code") or names.get("region")
        if not code:
            raise InputError("--regions", ",".join(names), FILE_WRONG)
        latitude = names.get("latitude", names.get("lat"))
        yield _region(code, latitude, names.get("longitude", names.get("lon")))


def _region(
    code: str, latitude: object, longitude: object
) -> tuple[str, CatalogueRegion]:
    name = code.strip().lower()
    north = _degrees(latitude, 90, f"regions.{name}.latitude")
    east = _degrees(longitude, 180, f"regions.{name}.longitude")
    return name, CatalogueRegion(Region(name), name, north, east)


def _degrees(value: object, limit: int, field: str) -> float:
    try:
        degrees = float(str(value))
    except ValueError:
        degrees = limit + 1.0
    if not -limit <= degrees <= limit:
        raise NumberInvalidError(field, value, f"give -{limit} to {limit} degrees")
    return degrees
