"""Between the regions: namespaces joined by the ocean, or loopback proxies instead."""

import json
import mmap
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.lab.children import Child, Children
from tests.lab.places import link_between
from tests.lab.wan import COUNT, SEAT_OF_THE_LAB, address_of

NO_LIMIT_BITS: Final = 1e11

REGISTRY_PORT: Final = 5000
TOKENS_PORT: Final = 5001
CACHE_PORT: Final = 5002
SINGLE_FETCH_PORT: Final = 5003
BROKER_PORT: Final = 4222
SERVICE_PORT: Final = 7450
AGENT_PORT: Final = 7451
ROUTER_PORT: Final = 7453
DOOR_PORT: Final = 7454
PORTS: Final = (
    REGISTRY_PORT,
    TOKENS_PORT,
    CACHE_PORT,
    SINGLE_FETCH_PORT,
    BROKER_PORT,
    SERVICE_PORT,
    AGENT_PORT,
    ROUTER_PORT,
    DOOR_PORT,
)


class Network(Protocol):
    """Where regions are, how to be inside one, and what moved between them."""

    @property
    def regions(self) -> Sequence[str]:
        """The regions that are joined."""

    def inside(self, region: str) -> list[str]:
        """Return what a command begins with, to run in *region*."""

    def host(self, region: str) -> str:
        """Return the address that *region*'s programs listen on."""

    def reached(self, region: str, seen_from: str) -> str:
        """Return the address at which *seen_from* reaches *region*'s programs."""

    def network(self, region: str) -> str:
        """Return the addresses that *region*'s clients come from, as a network."""

    def moved_bytes(self, source: str, target: str) -> int:
        """Return what went from one region to another so far."""


def moved_into(network: Network, region: str) -> int:
    """Return the bytes that came to *region* from all others so far."""
    others = (other for other in network.regions if other != region)
    return sum(network.moved_bytes(other, region) for other in others)


@dataclass(frozen=True)
class Counts:
    """The bytes between seats, as the forwarding process counts them in a file."""

    seats: Sequence[str]
    _map: mmap.mmap

    @classmethod
    def made(cls, path: Path, seats: Sequence[str]) -> "Counts":
        """Make the file, all zeros, and map it."""
        path.write_bytes(bytes(COUNT.size * len(seats) ** 2))
        with path.open("r+b") as file:
            return cls(seats, mmap.mmap(file.fileno(), 0))

    def moved_bytes(self, source: str, target: str) -> int:
        """Return what went from one seat to another so far."""
        cell = self.seats.index(source) * len(self.seats) + self.seats.index(target)
        (count,) = COUNT.unpack_from(self._map, cell * COUNT.size)
        return int(count)


def _way(source: str, target: str) -> dict[str, float]:
    if source == target or SEAT_OF_THE_LAB in {source, target}:
        return {"bits_per_second": NO_LIMIT_BITS, "delay_s": 0.0}
    link = link_between(source, target)
    delay_s = link.round_trip_ms / 2_000
    return {"bits_per_second": link.bits_per_second, "delay_s": delay_s}


async def _forwarding(
    program: str, children: Children, directory: Path, more: dict[str, object]
) -> Counts:
    """Start the *program* that forwards; return its counts once it does."""
    told = {**more, "counts": str(directory / "counts")}
    seats = told["seats"]
    assert isinstance(seats, list)
    counts = Counts.made(directory / "counts", seats)
    told["ways"] = [[_way(source, target) for target in seats] for source in seats]
    configuration = directory / "network.json"
    configuration.write_text(json.dumps(told), "utf-8")
    command = [sys.executable, "-m", program, str(configuration)]
    child: Child = children.start("network", command)
    await child.said("ready")
    return counts


def _namespace(region: str) -> None:
    """Make a region's network namespace."""
    subprocess.run(["ip", "netns", "add", f"r-{region}"], check=True)


class TunNetwork:
    """Network namespaces joined by the userspace ocean; needs namespaces and TUN."""

    def __init__(self, regions: Sequence[str], counts: Counts) -> None:
        """Keep what *started* made."""
        self.regions = regions
        self._counts = counts

    @classmethod
    async def started(
        cls, regions: Sequence[str], children: Children, directory: Path
    ) -> "TunNetwork":
        """Make a namespace for each region and join them."""
        for region in regions:
            _namespace(region)
        seats = [SEAT_OF_THE_LAB, *regions]
        counts = await _forwarding(
            "tests.lab.wan", children, directory, {"seats": seats}
        )
        return cls(regions, counts)

    def inside(self, region: str) -> list[str]:
        """Return what a command begins with, to run in *region*."""
        return ["ip", "netns", "exec", f"r-{region}"]

    def host(self, region: str) -> str:
        """Return the address that *region*'s programs listen on."""
        return address_of(1 + self.regions.index(region))

    def reached(self, region: str, seen_from: str) -> str:
        """Return the same address: it is one network."""
        del seen_from
        return self.host(region)

    def network(self, region: str) -> str:
        """Return the addresses that *region*'s clients come from."""
        return f"{self.host(region)}/32"

    def moved_bytes(self, source: str, target: str) -> int:
        """Return what went from one region to another, headers included."""
        return self._counts.moved_bytes(source, target)


class ProxyNetwork:
    """Loopback addresses, with a slow proxy from each region to each other one.

    Region N listens on 127.B.N.1, and region M reaches it at 127.B.N.(100+M). Token
    services are not: a registry names one address for all, so a token costs no time.
    """

    def __init__(self, regions: Sequence[str], counts: Counts, block: int) -> None:
        """Keep what *started* made."""
        self.regions = regions
        self._counts = counts
        self._block = block

    @classmethod
    async def started(
        cls, regions: Sequence[str], children: Children, directory: Path
    ) -> "ProxyNetwork":
        """Start the proxies between all regions."""
        block = 64 + os.getpid() % 128
        more: dict[str, object] = {"seats": list(regions), "block": block}
        more["ports"] = [port for port in PORTS if port != TOKENS_PORT]
        counts = await _forwarding("tests.lab.proxies", children, directory, more)
        return cls(regions, counts, block)

    def inside(self, region: str) -> list[str]:
        """Return nothing: all are in one place."""
        del region
        return []

    def host(self, region: str) -> str:
        """Return the address that *region*'s programs listen on."""
        return f"127.{self._block}.{self.regions.index(region)}.1"

    def reached(self, region: str, seen_from: str) -> str:
        """Return the address of the proxy, unless it is the same region."""
        if seen_from in {region, SEAT_OF_THE_LAB}:
            return self.host(region)
        seat = self.regions.index(region)
        return f"127.{self._block}.{seat}.{100 + self.regions.index(seen_from)}"

    def network(self, region: str) -> str:
        """Return the addresses that *region*'s clients come from, through a proxy."""
        return f"{self.host(region)}/32"

    def moved_bytes(self, source: str, target: str) -> int:
        """Return what went from one region to another, without headers."""
        return self._counts.moved_bytes(source, target)
