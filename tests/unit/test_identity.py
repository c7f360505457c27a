"""Identities: which names of a certificate are somebody's, and that no other is."""

import pytest

from placement.api.authority.identity import (
    Identity,
    IdentityUnknownError,
    Role,
    identity_of,
    parse_trust_domain,
)
from placement.core.errors import InputError
from tests.builders import AMS

DOMAIN = "placement.test"
NAMED = {
    "spiffe://placement.test/region/ams/node": Identity(Role.NODE, AMS),
    "spiffe://placement.test/region/ams/scheduler": Identity(Role.SCHEDULER, AMS),
    "spiffe://placement.test/operator": Identity(Role.OPERATOR),
    "spiffe://placement.test/tenant/acme/analyst": Identity(
        Role.ANALYST, organization="acme"
    ),
    "agent.ams.placement.test": Identity(Role.AGENT, AMS),
    "analyst.placement.test": Identity(Role.ANALYST),
}
NOBODY = (
    "spiffe://placement.test/",
    "spiffe://placement.test/admin",
    "spiffe://placement.test/node",  # a node is in a region
    "spiffe://placement.test/region/ams",
    "spiffe://placement.test/region//node",
    "spiffe://placement.test/region/AMS/node",
    "spiffe://placement.test/region/ams/node/",
    "spiffe://placement.test/region/ams/fra/node",
    "spiffe://placement.test/region/ams/../operator",
    "spiffe://placement.test/region/ams/operator?x",
    "spiffe://placement.test/OPERATOR",
    "spiffe://placement.test/tenant/acme/operator",
    "spiffe://placement.test/tenant/acme/web/analyst",
    "spiffe://placement.test/tenant//analyst",
    "spiffe://placement.test/tenant/../analyst",
    "spiffe://placement.test/tenant/*/analyst",
    "spiffe://placement.test.evil/operator",
    "spiffe://evil/placement.test/operator",
    "spiffe://PLACEMENT.test/operator",
    "https://placement.test/operator",
    "node.placement.test",
    "operator.ams.fra.placement.test",
    "operatorplacement.test",
    "operator.placement.test.evil",
    "placement.test",
    "*.placement.test",
    "operator\0.placement.test",
)


def found(*names: str) -> Identity:
    """Return whom a certificate of these names is for."""
    uris = tuple(name.encode() for name in names if "://" in name)
    dns_names = tuple(name.encode() for name in names if "://" not in name)
    return identity_of(DOMAIN, uris, dns_names)


@pytest.mark.parametrize("name", NAMED)
def test_documented_name_is_somebody(name: str) -> None:
    """Role, region and organization are read from it, and nothing else."""
    assert found(name) == NAMED[name]
    assert found("https://other.test/", name, "host-7.example.org") == NAMED[name]


@pytest.mark.parametrize("name", NOBODY)
def test_any_other_name_is_nobody(name: str) -> None:
    """Whatever it looks like."""
    with pytest.raises(IdentityUnknownError):
        found(name)


def test_names_of_several_are_nobody() -> None:
    """Nobody may choose whom to be; the same one said twice is one."""
    one, other = "spiffe://placement.test/operator", "spiffe://placement.test/analyst"
    with pytest.raises(IdentityUnknownError, match="several"):
        found(one, other)
    with pytest.raises(IdentityUnknownError):
        found(one, "spiffe://placement.test/nonsense")

    assert found(one, one) == found(one)


def test_uri_goes_before_the_dns_names() -> None:
    """A host may be called as a role is; where a URI says who it is, that counts."""
    name = "spiffe://placement.test/region/ams/node"

    assert found(name, "operator.placement.test") == Identity(Role.NODE, AMS)


@pytest.mark.parametrize("text", ["", "A.test", "a..b", ".a", "a/b", "a" * 256])
def test_domain_that_is_none_is_refused(text: str) -> None:
    """At the start, by its setting."""
    with pytest.raises(InputError) as raised:
        parse_trust_domain(text)

    assert raised.value.field == "tls.trust_domain"
