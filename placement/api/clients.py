"""Who calls, and how much each caller may ask: buckets that fill up with time."""

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import grpc

from placement.api.authority.caller import CALLER, organization

Context = grpc.aio.ServicerContext[Any, Any]
Who = Callable[[Context], str]
"""Tells callers apart: a name that they cannot choose; empty: nobody who is limited."""

CALLERS_KNOWN_MAX: Final = 10_000
"""Of more, those are forgotten who were silent for longest, as if they were new."""
BURST_SECONDS: Final = 2.0
"""What a caller did not ask for so long, it may ask at once."""
IPV6: Final = "ipv6:"
IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that its owner was given, and may choose no others."""


def peer_address(context: Context) -> str:
    """Return the address that a call came from, without what its caller chooses.

    ``ipv4:10.0.0.7:43210`` is ``ipv4:10.0.0.7``, and ``ipv6:%5B2001:db8::7%5D:43210``
    is the network ``ipv6:2001:db8::/64``. Many callers behind one address share
    what it may ask, which is why identities are better where certificates give some.
    """
    address = str(context.peer()).rpartition(":")[0]
    return network_of(address) if address.startswith(IPV6) else address


@lru_cache(maxsize=CALLERS_KNOWN_MAX)
def network_of(address: str) -> str:
    """Return the network of 64 bits that an IPv6 *address*, as gRPC writes it, is of.

    IPv4 addresses that are written as such of IPv6 stay what they are; so does whatever
    is no address.
    """
    text = unquote(address.removeprefix(IPV6)).strip("[]")
    try:
        found = ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return f"ipv4:{found.ipv4_mapped}"
    network = ipaddress.IPv6Network((int(found), IPV6_PREFIX), strict=False)
    return f"{IPV6}{network}"


def caller_of(context: Context) -> str:
    """Return who calls: whom a certificate names, if any, at which address.

    Both: the machines of a region may share one certificate, and have a share each.
    """
    caller = CALLER.get()
    address = peer_address(context)
    return address if caller is None else f"{caller.identity.name} {address}"


def certificate_of(context: Context) -> str:
    """Return whom a certificate names, wherever it is shown; empty: nobody asked."""
    del context  # the gate knew whom it let in
    caller = CALLER.get()
    return "" if caller is None else caller.identity.name


def tenant_of(context: Context) -> str:
    """Return the tenant that calls; empty: none does."""
    del context  # the gate knew whom it let in
    return organization() or ""


class Buckets:
    """How much each of many may still take, at *per_second* each."""

    def __init__(
        self, per_second: float, clock_ns: Callable[[], int], burst: float | None = None
    ) -> None:
        """Let everybody begin with *burst*: two seconds' worth if nothing is said."""
        self._per_ns = per_second / 1e9
        self._clock_ns = clock_ns
        self._burst = per_second * BURST_SECONDS if burst is None else burst
        self._levels: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many callers are known."""
        return len(self._levels)

    def take(self, who: str, amount: float) -> int:
        """Take *amount* for *who*, and return 0; or in how many ms to come again.

        More than fits in at all is given when the bucket is full, and then owed.
        """
        now_ns = self._clock_ns()
        level, since_ns = self._levels.get(who, (self._burst, now_ns))
        level = min(self._burst, level + (now_ns - since_ns) * self._per_ns)
        needed = min(amount, self._burst)
        if level < needed:
            self._levels[who] = level, now_ns
            self._levels.move_to_end(who)
            return max(1, round((needed - level) / self._per_ns / 1e6))
        self._levels[who] = level - amount, now_ns
        self._levels.move_to_end(who)
        if len(self._levels) > CALLERS_KNOWN_MAX:
            self._levels.popitem(last=False)
        return 0


class Seats:
    """How many of each may go on at once, as those do who watch."""

    def __init__(self, limit: str, most: int, who: Who) -> None:
        """Give everybody whom *who* tells apart *most* seats; 0: as many as they like.

        The *limit* is what an operator knows it by.
        """
        self.limit = limit
        self.who = who
        self._most = most
        self._taken: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many have any."""
        return len(self._taken)

    def full(self, who: str) -> bool:
        """Say whether *who* has all seats that it may have; nobody has no limit."""
        return bool(self._most and who) and self._taken[who] >= self._most

    def take(self, who: str) -> None:
        """Give *who* one more."""
        self._taken[who] += 1

    def leave(self, who: str) -> None:
        """Take one back."""
        self._taken[who] -= 1
        if not self._taken[who]:
            del self._taken[who]
