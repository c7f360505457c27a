"""Networks and the regions that they are in, as operators write them."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from placement.core.errors import InputError
from placement.core.topology import Region, parse_region


def parse_networks(
    texts: Iterable[str], field_name: str
) -> dict[IPv4Network | IPv6Network, Region]:
    """Return ``10.0.0.0/8=iad`` and the like by network; raises InputError."""
    found: dict[IPv4Network | IPv6Network, Region] = {}
    for text in texts:
        network, _, region = text.partition("=")
        try:
            parsed = ip_network(network)
        except ValueError:
            remedy = "give NETWORK=REGION, such as 10.60.2.0/24=syd"
            raise InputError(field_name, text, remedy) from None
        found[parsed] = parse_region(region, field_name)
    return found
