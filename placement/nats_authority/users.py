"""The users of one or several accounts: what each is called, and what it may do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from placement.core.topology import Region, Topology
from placement.nats_authority.names import Role
from placement.nats_authority.rights import (
    Rights,
    agent_rights,
    also_in_domain,
    analyst_rights,
    feed_rights,
    operator_rights,
    service_rights,
)

REGION_WORD = "{region}"
"""What stands for a region's code in a subject that each region has for itself."""


@dataclass(frozen=True, slots=True)
class User:
    """One who logs in. Names are of one server, across all of its accounts."""

    name: str
    account: str
    role: Role
    rights: Rights
    region: Region | None = None

    @property
    def spiffe_path(self) -> str:
        """What a certificate's name says of it, below the trust domain."""
        where = f"region/{self.region}/" if self.region else ""
        return f"{where}{self.role}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """For whom users are made."""

    topology: Topology
    stream: str
    accounts: Sequence[str]
    """One; or several, each a shard or tenant with a log of its own."""
    zot_subject: str = ""
    """Where zot registries publish to NATS; REGION_WORD in it is each one's region."""
    domain: str = ""
    """JetStream's domain where the log is, for users behind leaf nodes; empty: none."""


def users(wanted: Wanted) -> Iterator[User]:
    """Yield all users, by account; agents by their regions' codes."""
    for account in wanted.accounts:
        prefix = f"{account.lower()}-" if len(wanted.accounts) > 1 else ""
        for user in _of_account(wanted, account, prefix):
            if wanted.domain:
                rights = also_in_domain(user.rights, wanted.domain)
                yield replace(user, rights=rights)
            else:
                yield user


def _of_account(wanted: Wanted, account: str, prefix: str) -> Iterator[User]:
    stream, regions = wanted.stream, wanted.topology.regions
    for code in sorted(regions):
        hears = wanted.zot_subject.replace(REGION_WORD, code)
        rights = agent_rights(regions[code], stream, hears=(hears,) if hears else ())
        yield User(f"{prefix}{Role.AGENT}-{code}", account, Role.AGENT, rights, code)
        if hears and regions[code].stores:
            says = feed_rights(hears)
            yield User(f"{prefix}{Role.FEED}-{code}", account, Role.FEED, says, code)
    storing = [code for code in sorted(regions) if regions[code].stores]
    for role, rights in (
        (Role.SERVICE, service_rights(stream)),
        (Role.ANALYST, analyst_rights(stream, storing)),
        (Role.OPERATOR, operator_rights()),
    ):
        yield User(f"{prefix}{role}", account, role, rights)
