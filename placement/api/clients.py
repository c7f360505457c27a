"""Who calls, and how much each caller may ask: buckets that fill up with time."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import grpc

from placement.api.authority.caller import CALLER, organization

Context = grpc.aio.ServicerContext[Any, Any]
Who = Callable[[Context], str]
"""Tells callers apart: a name that they cannot choose; empty: nobody who is limited."""

CALLERS_KNOWN_MAX: Final = 10_000
"""Of more, those are forgotten who were silent for longest, as if they were new."""
BURST_SECONDS: Final = 2.0
"""What a caller did not ask for so long, it may ask at once."""


def peer_address(context: Context) -> str:
    """Return the address that a call came from, without its port.

    ``ipv4:10.0.0.7:43210`` is ``ipv4:10.0.0.7``. Many callers behind one address share
    what it may ask, which is why identities are better where certificates give some.
    """
    return str(context.peer()).rpartition(":")[0]


def caller_of(context: Context) -> str:
    """Return who calls: whom a certificate names, if any, at which address.

    Both: the machines of a region may share one certificate, and have a share each.
    """
    caller = CALLER.get()
    address = peer_address(context)
    return address if caller is None else f"{caller.identity.name} {address}"


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
