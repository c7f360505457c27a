"""Who a client is: the role, region or tenant that its certificate names.

The names are those of SPIFFE, and shorter ones as DNS names:

``spiffe://DOMAIN/region/REGION/ROLE``, ``spiffe://DOMAIN/ROLE``,
``spiffe://DOMAIN/tenant/ORGANIZATION/ROLE``; ``ROLE.REGION.DOMAIN``, ``ROLE.DOMAIN``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from placement.core.errors import InputError, PlacementError
from placement.core.oci import parse_repository
from placement.core.topology import Region, parse_region

IDENTITIES_KEPT: Final = 4_096
"""So many certificates are not read again for each call."""
_DOMAIN: Final = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*")
_DOMAIN_LENGTH_MAX: Final = 255


class Role(StrEnum):
    """What a client is there for."""

    NODE = "node"
    """A registry or machine host, which asks from where to pull."""
    WEBHOOK = "webhook"
    """What tells of pushes, pulls and starts in a region, and asks nothing."""
    AGENT = "agent"
    """The agent beside a registry: it tells, asks, and carries out copies."""
    SCHEDULER = "scheduler"
    """What starts machines: it asks how long that takes, and for copies."""
    ANALYST = "analyst"
    """Who reads what was decided, and what came of it."""
    SERVICE = "service"
    """Another service of the same log, which may begin from this one's checkpoint."""
    OPERATOR = "operator"
    """Who gives orders."""


REGIONAL: Final = frozenset({Role.NODE, Role.WEBHOOK, Role.AGENT})
"""Roles that exist in a region only."""
TENANT: Final = frozenset({Role.SCHEDULER, Role.ANALYST})
"""Roles that a tenant may give its own people and programs."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a certificate names; without a *region* it may speak of all of them.

    A tenant has an *organization*, and sees its repositories alone.
    """

    role: Role
    region: Region | None = None
    organization: str | None = None

    @property
    def name(self) -> str:
        """Return it as logs and errors name it: without the trust domain."""
        if self.region is not None:
            return f"region/{self.region}/{self.role}"
        if self.organization is not None:
            return f"tenant/{self.organization}/{self.role}"
        return self.role.value


class IdentityUnknownError(PlacementError):
    """The certificate is good, and names nobody whom the service knows."""

    reason = "IDENTITY_UNKNOWN"

    def __init__(self, cause: str) -> None:
        """Say what is wrong with its names."""
        super().__init__(f"the client's certificate names no identity: {cause}")


def parse_trust_domain(text: str, field: str = "tls.trust_domain") -> str:
    """Return *text* as a trust domain; raises InputError, naming *field*."""
    if len(text) > _DOMAIN_LENGTH_MAX or not _DOMAIN.fullmatch(text):
        remedy = "give a lower-case domain name, such as placement.example.org"
        raise InputError(field, text, remedy)
    return text


@lru_cache(maxsize=IDENTITIES_KEPT)
def identity_of(
    domain: str, uris: tuple[bytes, ...], dns_names: tuple[bytes, ...]
) -> Identity:
    """Return whom a certificate with these names is for; raises IdentityUnknownError.

    Its DNS names are read only where no URI is of the trust domain. All names that are
    read have to name the same one.
    """
    prefix = f"spiffe://{domain}/"
    paths = [
        text.removeprefix(prefix)
        for text in map(_text, uris)
        if text.startswith(prefix)
    ]
    if paths:
        return _only({_of_path(path) for path in paths})
    suffix = f".{domain}"
    labels = [
        text.removesuffix(suffix)
        for text in map(_text, dns_names)
        if text.endswith(suffix)
    ]
    return _only({_of_labels(label) for label in labels})


def _text(name: bytes) -> str:
    return name.decode("ascii", "replace")


def _only(found: Iterable[Identity]) -> Identity:
    identities = list(found)
    if not identities:
        cause = "no URI and no DNS name in it is of the service's trust domain"
        raise IdentityUnknownError(cause)
    if len(identities) > 1:
        cause = "its names are of several"
        raise IdentityUnknownError(cause)
    return identities[0]


def _of_path(path: str) -> Identity:
    match path.split("/"):
        case ["region", region, role]:
            return _checked(role, region=region)
        case ["tenant", organization, role]:
            return _checked(role, organization=organization)
        case [role]:
            return _checked(role)
        case _:
            pass
    cause = "its URI is not of one of the documented forms"
    raise IdentityUnknownError(cause)


def _of_labels(labels: str) -> Identity:
    match labels.split("."):
        case [role, region]:
            return _checked(role, region=region)
        case [role]:
            return _checked(role)
        case _:
            pass
    cause = "its DNS name is not of one of the documented forms"
    raise IdentityUnknownError(cause)


def _checked(
    role_name: str, *, region: str | None = None, organization: str | None = None
) -> Identity:
    try:
        role = Role(role_name)
        where = None if region is None else parse_region(region)
        if organization is not None:
            parse_repository(organization)
    except ValueError:
        cause = "there is no role of that name"
        raise IdentityUnknownError(cause) from None
    except InputError as error:
        cause = f"{error.value} is no name of one"
        raise IdentityUnknownError(cause) from None
    if role in REGIONAL and where is None:
        cause = f"a {role} is in a region, and none is named"
        raise IdentityUnknownError(cause)
    if organization is not None and role not in TENANT:
        cause = f"a tenant has no {role}"
        raise IdentityUnknownError(cause)
    return Identity(role, where, organization)
