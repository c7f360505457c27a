"""Looks at the configuration, and at the catalogue that it names."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel

from placement.config import load_prices, unknown_variables
from placement.core.topology import Region, Topology
from placement.doctor.finding import Finding, fail, ok, warn
from placement.doctor.site import Site

REACH_SECONDS: Final = 2.0
"""For a connection to a region's registry."""
DETOUR_MAX: Final = 3.0
"""A region served from so many times farther than the nearest is worth a word."""
PORTS: Final = {"http": 80, "https": 443}


async def configuration(site: Site) -> Sequence[Finding]:
    """Look at file, environment, and each file that a key names."""
    where = str(site.config_file) if site.config_file else "no file"
    found = [ok(f"{where}, environment and flags are valid")]
    found += [
        warn(
            f"{name} in the environment is no key, and is ignored",
            "correct its name, or remove it",
        )
        for name in unknown_variables()
    ]
    for key, path in sorted(named_files(site.config)):
        why = await asyncio.to_thread(_unreadable, path)
        if why:
            remedy = "put a file there that our user can read, or correct the key"
            found.append(fail(f"{key}: {path}: {why}", remedy))
    return found


async def catalogue(site: Site) -> Sequence[Finding]:
    """Look at the regions, at who serves whom, and at the registries' addresses."""
    topology = site.topology
    load_prices(site.config, topology)
    regions = topology.regions.values()
    storing = sum(region.stores for region in regions)
    found = [
        ok(f"{len(regions)} regions, {storing} store, home is {topology.home}"),
        *_detours(topology),
    ]
    addresses = {r.code: r.endpoint for r in regions if r.stores and r.endpoint}
    if not addresses:
        found.append(
            warn(
                "no region that stores has an endpoint",
                "give each its registry's address: endpoint in the catalogue",
            )
        )
        return found
    answers = await asyncio.gather(*map(reached, addresses.values()))
    silent = {code: why for code, why in zip(addresses, answers, strict=True) if why}
    if len(silent) < len(addresses):
        count = len(addresses) - len(silent)
        found.append(ok(f"{count} of {len(addresses)} endpoints can be reached"))
    found += [
        warn(
            f"region {code}: {addresses[code]} cannot be reached from here: {why}",
            f"correct regions.{code}.endpoint, or see to the registry and the network",
        )
        for code, why in silent.items()
    ]
    return found


def _detours(topology: Topology) -> list[Finding]:
    """Return a word on each region whose first server is far behind the nearest."""
    found = []
    for code in topology.regions:
        order = topology.serving_order(code)
        away = {one: topology.round_trip_ns(one, code) for one in order}
        nearest: Region = min(order, key=lambda one: (away[one], one))
        if away[order[0]] > DETOUR_MAX * away[nearest]:
            found.append(
                warn(
                    f"region {code} is served from {order[0]} first, {nearest} is"
                    f" {away[order[0]] / away[nearest]:.0f} times nearer",
                    f"correct regions.{code}.serving_order, unless it is meant",
                )
            )
    return found


async def reached(url: str) -> str:
    """Return why nothing listens at *url*; empty: something does."""
    parts = urlsplit(url)
    port = parts.port or PORTS.get(parts.scheme, 443)
    try:
        async with asyncio.timeout(REACH_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except TimeoutError:
        return f"no answer within {REACH_SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    return ""


def named_files(section: BaseModel, prefix: str = "") -> list[tuple[str, Path]]:
    """Return each key that names a file which has to be there, with its path."""
    found = []
    for name, value in section:
        if isinstance(value, BaseModel):
            found += named_files(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            for key, one in value.items():
                if isinstance(one, BaseModel):
                    found += named_files(one, f"{prefix}{name}.{key}.")
        elif isinstance(value, Path) and name.endswith("_file"):
            found.append((prefix + name, value))
    return found


def _unreadable(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return error.strerror or str(error)
    return ""
