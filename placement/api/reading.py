"""What every answer does first: wait for the freshness that was asked for.

And what a long one does meanwhile: let others run.
"""

from time import perf_counter_ns
from typing import Any, Final, Self

import grpc

from placement.api.past_reading import PastReading
from placement.core.errors import PlacementError
from placement.core.network import Network
from placement.core.state import State
from placement.core.topology import Topology
from placement.core.ways import Ways
from placement.runtime.past_errors import AsOfUnsupportedError
from placement.runtime.slices import let_others_in
from placement.runtime.view import Basis, View
from placement.wire.answers import Basis as AnyBasis
from placement.wire.requests import ANY, Consistency

ANSWER_MARGIN_S: Final = 0.025
"""Kept of a caller's deadline, so that an answer marked STALE still reaches it."""
SLICE_NS: Final = 1_000_000
"""A long answer lets others run after so much work."""

Context = grpc.aio.ServicerContext[Any, Any]


class StateBehindError(PlacementError):
    """The freshness that was asked for was not reached, and the caller said to fail."""

    reason = "STATE_BEHIND"

    def __init__(self, basis: AnyBasis) -> None:
        """Keep how far the state is, for the caller."""
        super().__init__(
            f"the state is at sequence {basis.sequence} of epoch {basis.epoch} and "
            f"{basis.staleness_ns // 1_000_000} ms old, which is behind what was asked",
            epoch=basis.epoch,
            sequence=str(basis.sequence),
        )


class Reader:
    """What answers are made from, and how long one may wait for it."""

    def __init__(
        self, view: View, topology: Topology, default_deadline_s: float
    ) -> None:
        """Read *view*; wait so long at most where a caller sets no deadline."""
        self.view = view
        self.topology = topology
        self.default_deadline_s = default_deadline_s
        self.past: PastReading | None = None
        """What answers about the past are made from; None: there are none."""
        self._ways = Ways(view.state, topology)

    @property
    def state(self) -> State:
        """Return what is folded now."""
        return self.view.state

    def network(self, basis: Basis) -> Network:
        """Return what an answer of this basis knows of the network."""
        whole = self.view.state
        if self._ways.state is not whole:
            self._ways = Ways(whole, self.topology)
        return Network(self.state, self.topology, basis.answer_time_ns, self._ways)

    async def asked(
        self, consistency: Consistency, context: Context
    ) -> tuple[Self, Basis]:
        """Return what answers a question is made from, and what they rest on then.

        That is this reader, once ``settled``; or, as of a point in the past, one of
        the state of then, which stays for as long as the call's task runs. Raises what
        ``settled`` and ``PastReading.held`` do.
        """
        as_of = consistency.as_of
        if as_of is None:
            return self, await self.settled(consistency, context)
        if self.past is None:
            why = "this service keeps no past states"
            raise AsOfUnsupportedError(why)
        held = await self.past.held(as_of, context)
        reader = type(self)(held.view, self.topology, self.default_deadline_s)
        return reader, held.view.basis()

    async def settled(self, consistency: Consistency, context: Context) -> Basis:
        """Wait until the state is as fresh as was asked, and return what it is then.

        Not reached within the deadline: the basis is marked STALE, or, where the caller
        wants that, raises StateBehindError. Raises TokenInvalidError.
        """
        reached = consistency is ANY or await self._reached(consistency, context)
        basis = self.view.basis(behind=not reached)
        if consistency.fail and not reached:
            raise StateBehindError(basis)
        return basis

    async def _reached(self, consistency: Consistency, context: Context) -> bool:
        if consistency.token:
            budget_s = wait_budget_s(self.default_deadline_s, context.time_remaining())
            return await self.view.wait_for(consistency.token, budget_s)
        staleness_ns = consistency.max_staleness_ns
        return staleness_ns is None or self.view.staleness_ns() <= staleness_ns


def wait_budget_s(default_s: float, remaining_s: float | None) -> float:
    """Return how long an answer may wait; *remaining_s* is None without a deadline."""
    if remaining_s is None:
        return default_s
    return max(0.0, min(default_s, remaining_s - ANSWER_MARGIN_S))


class Pace:
    """Lets others run now and then, so that a long answer does not hold them up."""

    def __init__(self) -> None:
        """Begin the first slice now."""
        self._began_ns = perf_counter_ns()

    async def step(self) -> None:
        """Let others run if this slice has lasted for SLICE_NS."""
        if perf_counter_ns() - self._began_ns >= SLICE_NS:
            await let_others_in()
            self._began_ns = perf_counter_ns()
