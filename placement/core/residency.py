"""Where copies may be: rules by repository, and the storage region that they leave.

A rule limits where new copies go. It moves nothing that is there, and does not limit
from where anything is pulled.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from placement.core.network import Network
from placement.core.oci import Repository
from placement.core.topology import Region, Topology

ALL: Final = "*"
WITHIN: Final = "/*"


@dataclass(frozen=True, slots=True)
class ResidencyRule:
    """Where the repositories of some patterns may be: codes, areas and aliases."""

    repositories: tuple[str, ...]
    """Exact names, prefixes that end in ``/*``, or ``*`` for all."""
    allow: tuple[str, ...] = ()
    """Nowhere but there; none at all: wherever is not denied."""
    deny: tuple[str, ...] = ()
    """Not there, even where that is allowed."""

    def governs(self, repository: Repository) -> bool:
        """Say whether the rule is about *repository*."""
        return any(matches(pattern, repository) for pattern in self.repositories)


@dataclass(frozen=True, slots=True)
class Residency:
    """All rules; every one that is about a repository limits where it may be."""

    rules: tuple[ResidencyRule, ...] = ()

    def permitted(
        self, topology: Topology, repository: Repository
    ) -> frozenset[Region]:
        """Return the storage regions that copies of *repository* may be in.

        All of them where no rule is about it. A name that the catalogue does not know
        stands for no region, so a rule that allows nothing else permits nothing.
        """
        found = frozenset(filter(topology.stores, topology.regions))
        for rule in self.rules:
            if rule.governs(repository):
                if rule.allow:
                    found &= _regions(topology, rule.allow)
                found -= _regions(topology, rule.deny)
        return found

    def unknown_names(self, topology: Topology) -> tuple[str, ...]:
        """Return the names of all rules that the catalogue does not know, sorted."""
        named = {name for rule in self.rules for name in rule.allow + rule.deny}
        return tuple(sorted(n for n in named if not topology.regions_named(n)))


ANYWHERE: Final = Residency()
"""What holds where there are no rules."""


def matches(pattern: str, repository: Repository) -> bool:
    """Say whether a parsed *pattern* of a rule means *repository*."""
    if pattern.endswith(WITHIN):
        return repository.startswith(pattern.removesuffix(ALL))
    return pattern in {ALL, repository}


def storage_within(
    network: Network, start: Region, permitted: frozenset[Region]
) -> Region | None:
    """Return the storage region that serves *start* now, of those *permitted*.

    The first active one of its serving order; where none is active, the first that
    drains, and else the first of all. None where none is permitted.
    """
    order = network.topology.serving_order(start)
    chosen = (region for region in order if region in permitted)
    return min(chosen, key=network.region_state, default=None)


def _regions(topology: Topology, names: Iterable[str]) -> frozenset[Region]:
    return frozenset(code for name in names for code in topology.regions_named(name))
