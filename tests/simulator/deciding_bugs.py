"""Bugs to plant in those who decide, as ``bugs`` has them for those who fold."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

from placement.core.deciding import decide as deciding
from placement.core.deciding import obstacles
from placement.core.deciding.budgets import Budgets, Order, Refusal
from placement.core.deciding.desk import Desk
from placement.core.deciding.obstacles import is_new, last_about
from placement.core.event import (
    Event,
    Fact,
    ReplicationPaused,
    ReplicationResumed,
)
from placement.core.folds import decisions as folded_decisions
from placement.core.folds.orders import is_paused
from placement.core.tables.table import ABSENT
from placement.runtime.decision_log import DecisionLog
from placement.runtime.planner import Planner
from placement.wire.events import batched, encode_message
from tests.simulator import world
from tests.simulator.process import PROCESS
from tests.simulator.steering import Operator


@contextmanager
def append_decisions_regardless() -> Iterator[None]:
    """Store decisions whatever was decided since the state that they rest on."""

    async def broken(log: DecisionLog, events: Sequence[Event], basis: int) -> int:
        last = basis
        for batch in batched(events):
            stored = await log._log.append(*encode_message(batch))  # noqa: SLF001 - the seam to break
            last = max(last, stored.sequence)
        return last

    with patch.object(DecisionLog, "append", broken):
        yield


@contextmanager
def open_a_second_decision() -> Iterator[None]:
    """Let a copy be decided again while it is on its way, and fold that."""

    def always_new(desk: Any, want: Any) -> bool:  # noqa: ANN401 - passed on
        last, trigger, _ = last_about(desk, want)
        newer = want.trigger_sequence > trigger
        opened = last is not None and last.open
        return newer if opened else is_new(desk, want)

    def refused(state: Any, at: Any, fact: Any, *_: Any) -> bool:  # noqa: ANN401 - passed on
        del at
        key = fact.subject.replication_id.encode()
        return bool(state.decisions.find(key) != ABSENT)

    with (
        patch.object(deciding, "is_new", always_new),
        patch.object(folded_decisions, "_refused", refused),
    ):
        yield


@contextmanager
def count_only_own_decisions() -> Iterator[None]:
    """Ask the budgets about what this process has decided itself, and no other."""
    remembered: dict[object, list[Order]] = defaultdict(list)

    class Forgetful(Budgets):
        def take(self, order: Order) -> None:
            remembered[PROCESS.get()].append(order)

        def refusal(self, order: Order) -> Refusal | None:
            mine = remembered[PROCESS.get()]
            limits = self.desk.guardrails.limits
            link = (order.source, order.target)
            spent = sum(o.transfer_bytes for o in mine if (o.source, o.target) == link)
            most = limits.link_bytes(*link)
            over = most and spent >= most
            return Refusal("link", self.desk.now_ns) if over else None

    with patch.object(deciding, "Budgets", Forgetful):
        yield


@contextmanager
def ignore_a_pause() -> Iterator[None]:
    """Decide, and fold decisions, as if no pause were ever ordered."""

    def never(*_: object) -> bool:
        return False

    with (
        patch.object(obstacles, "is_paused", never),
        patch.object(folded_decisions, "is_paused", never),
    ):
        yield


@contextmanager
def drop_what_was_put_off() -> Iterator[None]:
    """Forget what could not be decided at once, where that happens often."""

    def broken(*_: object) -> None:
        return

    with often_paused(), patch.object(Planner, "_keep", broken):
        yield


@contextmanager
def often_paused() -> Iterator[None]:
    """Pause often, and let time pass rarely: what is put off has to be kept.

    This is no bug: it is the weather in which one shows.
    """

    def order(operator: Operator, *_: object) -> Fact:
        return ReplicationPaused() if operator.left else ReplicationResumed()

    with (
        patch.object(Operator, "_order", order),
        patch.object(world, "TICK_SECONDS", [200.0]),
    ):
        yield


@contextmanager
def overlook_the_residency() -> Iterator[None]:
    """Let copies go wherever they pay."""

    def anywhere(desk: Any, *_: object) -> frozenset[Any]:  # noqa: ANN401 - passed on
        topology = desk.network.topology
        return frozenset(filter(topology.stores, topology.regions))

    with patch.object(Desk, "permitted", anywhere):
        yield


@contextmanager
def trust_ones_own_clock() -> Iterator[None]:
    """End a pause by the clock of whoever decides, instead of the log's."""

    def broken(state: Any, region: Any, now_ns: int) -> bool:  # noqa: ANN401 - passed on
        return now_ns != state.store_time_ns and is_paused(state, region, now_ns)

    with patch.object(obstacles, "is_paused", broken):
        yield


DECIDING_BUGS: Final = (
    append_decisions_regardless,
    open_a_second_decision,
    count_only_own_decisions,
    ignore_a_pause,
    drop_what_was_put_off,
    overlook_the_residency,
    trust_ones_own_clock,
)
