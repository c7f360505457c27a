"""Who makes the call that is being answered, for whatever of it depends on that.

Each call is answered in a task of its own, so a context variable is the call's. Where
nobody is asked who they are, there is no caller, and all is allowed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import product
from typing import Final, NoReturn

from placement.api.authority.identity import Identity, Role
from placement.api.authority.table import FACTS, REPORTS, STARTS
from placement.core.errors import PlacementError
from placement.core.topology import Region, Topology
from placement.v1 import events_pb2

UNKNOWN_ROLE: Final = "unknown"
"""The role of those whose certificate names none, where denials are counted."""
OTHER_REGION: Final = "other"
"""The region of those whose own one is not in the catalogue."""
TRUSTED: Final = frozenset({Role.ANALYST, Role.SERVICE, Role.OPERATOR})
"""Who may have the whole state read."""
REASONS: Final = (
    "TLS_OUTDATED",
    "IDENTITY_UNKNOWN",
    "METHOD_FORBIDDEN",
    "FACT_FORBIDDEN",
    "REGION_FORBIDDEN",
)
"""Why a call is denied."""


class RegionForbiddenError(PlacementError):
    """The caller is of one region, and the call would speak of another."""

    reason = "REGION_FORBIDDEN"

    def __init__(self, identity: Identity) -> None:
        """Say for which region alone the caller may speak."""
        super().__init__(
            f"{identity.name} may speak of region {identity.region} alone",
            region=identity.region or "",
        )


class MethodForbiddenError(PlacementError):
    """The caller's role may not call the method."""

    reason = "METHOD_FORBIDDEN"

    def __init__(self, identity: Identity, method: str) -> None:
        """Say who may not call what."""
        super().__init__(f"{identity.name} may not call {method}", method=method)


class FactForbiddenError(PlacementError):
    """The caller's role may not tell of such a fact."""

    reason = "FACT_FORBIDDEN"

    def __init__(self, identity: Identity, fact: str) -> None:
        """Say who may not tell of what."""
        super().__init__(f"{identity.name} may not publish {fact}", fact=fact)


class Denials:
    """What was denied, counted so that no client can add a series."""

    def __init__(self, topology: Topology) -> None:
        """Begin at nought; the regions are those of the catalogue."""
        regions, roles = (*topology.regions, OTHER_REGION), (*Role, UNKNOWN_ROLE)
        self.by_role = Counter(dict.fromkeys(product(roles, REASONS), 0))
        """Calls that were denied, by the caller's role and the reason."""
        self.cross_region = Counter(dict.fromkeys(map(str, regions), 0))
        """Calls that spoke of another region, by the caller's own."""

    def deny(self, identity: Identity | None, error: PlacementError) -> NoReturn:
        """Count what *identity* may not do, and raise *error*."""
        role = UNKNOWN_ROLE if identity is None else identity.role.value
        self.by_role[role, error.reason] += 1
        if isinstance(error, RegionForbiddenError):
            own = None if identity is None else identity.region
            counted = own if own in self.cross_region else OTHER_REGION
            self.cross_region[counted or OTHER_REGION] += 1
        raise error


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and where it is counted what they may not do."""

    identity: Identity
    denials: Denials

    def check_region(self, region: str) -> None:
        """Raise RegionForbiddenError unless the caller may speak of *region*."""
        if self.identity.region not in {None, region}:
            self.denials.deny(self.identity, RegionForbiddenError(self.identity))

    def check_fact(self, fact: str) -> None:
        """Raise FactForbiddenError unless the caller's role may tell of *fact*."""
        if self.identity.role not in FACTS.get(fact, ()):
            self.denials.deny(self.identity, FactForbiddenError(self.identity, fact))


CALLER: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)


def organization() -> str | None:
    """Return whose repositories alone the caller sees; None: everybody's."""
    caller = CALLER.get()
    return None if caller is None else caller.identity.organization


def check_region(region: str) -> None:
    """Raise RegionForbiddenError unless the caller may speak of *region*."""
    caller = CALLER.get()
    if caller is not None:
        caller.check_region(region)


def check_regions(regions: Iterable[Region]) -> None:
    """Raise RegionForbiddenError unless the caller may speak of each of *regions*.

    None at all stands for every region there is.
    """
    for region in tuple(regions) or ("",):
        check_region(region)


def check_events(events: Sequence[events_pb2.Event]) -> None:
    """Raise RegionForbiddenError or FactForbiddenError for what may not be published.

    What is no event at all is not looked at: it is rejected by itself.
    """
    caller = CALLER.get()
    if caller is None:
        return
    for event in events:
        caller.check_region(event.region)
        fact = event.WhichOneof("fact")
        if fact is None:
            continue
        caller.check_fact(fact)
        if fact in REPORTS:
            caller.check_region(getattr(event, fact).subject.target_region)
        if fact == STARTS:
            for region in event.starts_requested.regions:
                caller.check_region(region)


def check_trusted(what: str) -> None:
    """Raise MethodForbiddenError unless the caller may make the service work hard."""
    caller = CALLER.get()
    if caller is None:
        return
    own = caller.identity
    if own.organization is not None or own.role not in TRUSTED:
        caller.denials.deny(own, MethodForbiddenError(own, what))
