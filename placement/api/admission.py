"""Which calls are let in: none that is too late, nor more than there is time for.

In this order a call is refused: its deadline has passed; those of its address ask more
than their share; the gates do not know its caller, or do not let it in; the caller asks
more than its share; the service is overloaded. What is sent away first is what can
wait: previews, reports, orders of copies; then questions. Health, reflection and
operators' calls are always let in.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import grpc

from placement.api.answering import Guard
from placement.api.clients import (
    Buckets,
    Seats,
    Who,
    caller_of,
    certificate_of,
    peer_address,
    tenant_of,
)
from placement.api.contents import NewContents
from placement.core.errors import PlacementError
from placement.runtime.limits import LimitSettings
from placement.runtime.pressure import Pressure

Context = grpc.aio.ServicerContext[Any, Any]

BEGIN_SECONDS: Final = 0.001
"""With less of its time left a call is not begun: nobody would read the answer."""

SHARES_TOGETHER: Final = 16
"""So many callers' shares may those take together who call from one address, and those
who show one certificate wherever they are, unless an operator says how much that is."""
PAST_WEIGHT: Final = 100
"""What a question costs more that is about the past: a state is folded for it."""
DENIED_WEIGHT: Final = 1
"""What it costs to be told that one is no operator."""


class Rank(IntEnum):
    """In which order calls are let in when not all can be."""

    ALWAYS = 0
    QUESTION = 1
    DECISION = 2


class Kind(NamedTuple):
    """What a method is, to whoever lets calls in."""

    rank: Rank
    weight: int = 1
    """What a call costs, in questions for one content's sources."""
    watches: bool = False
    """Whether it goes on for as long as somebody listens."""


_PLACEMENT: Final = "/placement.v1.PlacementService/"
_REPLICATION: Final = "/placement.v1.ReplicationService/"
PUBLISH: Final = "/placement.v1.EventService/PublishEvents"
_QUESTION: Final = Kind(Rank.QUESTION)
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        _PLACEMENT + "RankSources": _QUESTION,
        _PLACEMENT + "ResolveReference": _QUESTION,
        _PLACEMENT + "GetPlacement": _QUESTION,
        _PLACEMENT + "RankPushTargets": Kind(Rank.QUESTION, 2),
        _PLACEMENT + "PlanPull": Kind(Rank.QUESTION, 5),
        _PLACEMENT + "EstimateStarts": Kind(Rank.QUESTION, 10),
        _PLACEMENT + "BatchRankSources": Kind(Rank.QUESTION, 20),
        _PLACEMENT + "BatchRankSourcesPacked": Kind(Rank.QUESTION, 10),
        _PLACEMENT + "WatchPlacements": Kind(Rank.QUESTION, 20, watches=True),
        _PLACEMENT + "GetServiceInfo": Kind(Rank.ALWAYS),
        _PLACEMENT + "ListReplicas": Kind(Rank.DECISION, 20),
        _PLACEMENT + "ListRoutes": Kind(Rank.DECISION, 20),
        _PLACEMENT + "ExplainAnswer": Kind(Rank.DECISION, 5),
        _REPLICATION + "WatchReplication": Kind(Rank.QUESTION, 5, watches=True),
        _REPLICATION + "WatchReplications": Kind(Rank.QUESTION, 20, watches=True),
        _REPLICATION + "RequestReplication": Kind(Rank.DECISION, 5),
        _REPLICATION + "CancelReplication": Kind(Rank.DECISION, 5),
        _REPLICATION + "PreviewReplications": Kind(Rank.DECISION, 100),
        _REPLICATION + "ListReplications": Kind(Rank.DECISION, 20),
        _REPLICATION + "GetReplication": Kind(Rank.DECISION),
        _REPLICATION + "ExplainStart": Kind(Rank.DECISION, 5),
        "/placement.v1.ReportService/GetReport": Kind(Rank.DECISION, 100),
        PUBLISH: Kind(Rank.QUESTION, 5),
    }
)
"""Every method that is not let in always, and at no cost, as operators' are."""
_ALWAYS: Final = Kind(Rank.ALWAYS, 0)
_KINDS: Final = dict(KINDS)  # found in half of the time
_WATCHES: Final = frozenset(name for name, kind in KINDS.items() if kind.watches)


class DeadlinePassedError(PlacementError):
    """The call came to its turn when its deadline had passed."""

    reason = "DEADLINE_PASSED"

    def __init__(self) -> None:
        """Say that nothing was begun."""
        super().__init__("the call's deadline has passed: nothing of it was begun")


class OverloadedError(PlacementError):
    """More calls come than the service can answer in time."""

    reason = "OVERLOADED"

    def __init__(self, waited_ns: int, retry_delay_ms: int) -> None:
        """Say for how long calls wait, and when to come again."""
        super().__init__(f"calls wait for {waited_ns / 1e6:.0f} ms: come again later")
        self.retry_delay_ms = retry_delay_ms


class CallerLimitError(PlacementError):
    """A caller asks more than its share."""

    reason = "CALLER_LIMIT"

    def __init__(self, limit: str, retry_delay_ms: int) -> None:
        """Name the *limit*, and keep when there is room again."""
        super().__init__(f"the limit {limit} is reached", limit=limit)
        self.retry_delay_ms = retry_delay_ms


class Admission:
    """The guard that every call of ours passes."""

    def __init__(  # noqa: PLR0913 - what it goes by
        self,
        pressure: Pressure,
        settings: LimitSettings,
        clock_ns: Callable[[], int],
        *,
        who: Who = caller_of,
        certificate: Who = certificate_of,
        tenant: Who = tenant_of,
        contents: NewContents | None = None,
        gates: Sequence[Guard] = (),
    ) -> None:
        """Let in by *pressure* and *settings*; *who* tells callers apart.

        All callers with one *certificate* have a share together, and all of a *tenant*.
        *contents* knows who publishes too much that is new. *gates* ask callers who
        they are, in their order; whom they turn away has cost its address a part of
        what all of those at it may ask.
        """
        self._pressure = pressure
        self._who = who
        self._contents = contents
        self._gates = gates
        self._addresses: Buckets | None = None
        together = SHARES_TOGETHER * settings.caller_weight_per_second
        if gates and together:
            self._addresses = Buckets(together, clock_ns)
        self._seats = (
            Seats("caller_watches", settings.caller_watches, who),
            Seats("identity_watches", settings.identity_watches, certificate),
            Seats("tenant_watches", settings.tenant_watches, tenant),
        )
        self._buckets: list[tuple[str, Who, Buckets]] = []
        shares = (
            ("caller", who, settings.caller_weight_per_second),
            ("identity", certificate, settings.identity_weight_per_second or together),
            ("tenant", tenant, settings.tenant_weight_per_second),
        )
        for name, tell, per_second in shares:
            if per_second:
                self._buckets.append((name, tell, Buckets(per_second, clock_ns)))

    @property
    def watching_callers(self) -> int:
        """Return how many callers watch anything."""
        return len(self._seats[0])

    def enter(self, method: str, context: Context) -> None:
        """Let a call in.

        Raises DeadlinePassedError, CallerLimitError, ContentLimitError,
        OverloadedError, and what the gates raise.
        """
        pressure = self._pressure
        pressure.entered += 1
        if too_late(context.time_remaining()):
            pressure.refused["deadline"] += 1
            raise DeadlinePassedError
        kind = _KINDS.get(method, _ALWAYS)
        if self._gates:
            self._pass_gates(method, kind, context)
        if kind.rank is Rank.ALWAYS:
            return
        for name, who, buckets in self._buckets:
            self._take(name, buckets, who(context), kind.weight)
        if method == PUBLISH and self._contents is not None:
            self._contents.hear(self._who(context))
        if pressure.delay_ns:
            self._shed(kind.rank)
        if kind.watches:
            self._sit_down(context)

    def leave(self, method: str, context: Context) -> None:
        """Hear that a call which was let in has ended."""
        if method in _WATCHES:
            for seats in self._seats:
                seats.leave(seats.who(context))

    def charge(self, context: Context) -> None:
        """Let a call that was let in ask about the past, at PAST_WEIGHT more.

        Raises CallerLimitError and OverloadedError.
        """
        for name, who, buckets in self._buckets:
            self._take(name, buckets, who(context), PAST_WEIGHT)
        self._shed(Rank.DECISION)

    def _pass_gates(self, method: str, kind: Kind, context: Context) -> None:
        """Let the call through all gates, at the cost of all at its address.

        Operators' calls cost nothing, and are not refused for what others asked:
        unless it is no operator who calls.
        """
        always = kind.rank is Rank.ALWAYS
        if not always:
            self._charge_address(context, kind.weight)
        try:
            for gate in self._gates:
                gate.enter(method, context)
        except PlacementError:
            if always:
                self._charge_address(context, DENIED_WEIGHT)
            raise

    def _charge_address(self, context: Context, weight: int) -> None:
        if self._addresses is not None:
            self._take("caller", self._addresses, peer_address(context), weight)

    def _take(self, name: str, buckets: Buckets, who: str, weight: int) -> None:
        delay_ms = buckets.take(who, weight) if who else 0
        if delay_ms:
            self._pressure.refused[name] += 1
            raise CallerLimitError(f"{name}_weight_per_second", delay_ms)

    def _shed(self, rank: Rank) -> None:
        pressure = self._pressure
        first = rank is Rank.DECISION and pressure.pressed
        if first or pressure.sheds():
            pressure.refused["overloaded"] += 1
            raise OverloadedError(pressure.delay_ns, pressure.retry_delay_ms())

    def _sit_down(self, context: Context) -> None:
        for seats in self._seats:
            if seats.full(seats.who(context)):
                self._pressure.refused["watches"] += 1
                raise CallerLimitError(seats.limit, self._pressure.retry_delay_ms())
        for seats in self._seats:
            seats.take(seats.who(context))


def too_late(remaining_s: float | None) -> bool:
    """Say whether a call has no time left to be answered; None: it has no deadline."""
    return remaining_s is not None and remaining_s < BEGIN_SECONDS
