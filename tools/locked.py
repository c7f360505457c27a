"""The locks as they are read: what is pinned, with which hashes, and for where.

A part of tools/sbom, and of the tests.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.locking import Platform

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([\w.-]+)==(\S+?)(?: ; (.+?))? \\$")
HASH = re.compile(r"^    --hash=sha256:([0-9a-f]{64})(?: \\)?$")
NOTE = re.compile(r"^    # (.+)$")


@dataclass(frozen=True)
class Pin:
    """One package of a lock."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    platforms: str
    """What tools/lock noted of its files."""

    def on(self, platform: Platform) -> bool:
        """Say whether it is installed there."""
        if not self.marker:
            return True
        return bool(Marker(self.marker).evaluate(platform.environment))


def pins(lock: str) -> list[Pin]:
    """Return what the lock of that name holds; a line of another kind is an error."""
    found: list[Pin] = []
    for number, line in enumerate((ROOT / lock).read_text().splitlines(), 1):
        if line.startswith("#"):
            continue
        if matched := PIN.match(line):
            name, version, marker = matched.groups()
            found.append(Pin(canonicalize_name(name), version, marker or "", (), ""))
            continue
        last = found[-1]
        if matched := HASH.match(line):
            hashes, platforms = (*last.hashes, matched[1]), last.platforms
        else:
            matched = NOTE.match(line)
            assert matched, f"{lock}:{number}: {line}"
            hashes, platforms = last.hashes, matched[1]
        found[-1] = Pin(last.name, last.version, last.marker, hashes, platforms)
    return found


def project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def run_requirements() -> list[str]:
    """Return what a service needs, every extra included."""
    table = project()["project"]
    extras: list[list[str]] = list(table["optional-dependencies"].values())
    return [*table["dependencies"], *(each for extra in extras for each in extra)]


def closure(
    asked: Iterable[str], platform: Platform
) -> Iterator[tuple[Requirement, str]]:
    """Yield all that *asked* comes to on *platform*, each with who asks for it.

    What a package asks for is read from what is installed here.
    """
    waiting = [(Requirement(each), "pyproject.toml", "") for each in asked]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, by, extra = waiting.pop()
        environment = platform.environment | {"extra": extra}
        if requirement.marker and not requirement.marker.evaluate(environment):
            continue
        yield requirement, by
        name = canonicalize_name(requirement.name)
        for wanted in ("", *sorted(requirement.extras)):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [
                    (Requirement(each), name, wanted) for each in requires(name) or ()
                ]
