"""The reference model's half about operators' orders."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from placement.core.event import (
    ContentPinned,
    ContentUnpinned,
    Operation,
    PolicyChanged,
    RegionChanged,
    ReplicationPaused,
    ReplicationResumed,
)
from tests.model_content import Content, Row, When
from tests.model_use import Usage


@dataclass(frozen=True)
class Order:
    """Whether something holds, since which order, until when."""

    active: bool
    order_ns: int
    expire_ns: int


@dataclass
class Orders:
    """Everything that was ordered."""

    content: Content
    use: Usage
    policies_max: int
    orders: dict[tuple[str, ...], Order] = field(default_factory=dict)
    policies: dict[bytes, Order] = field(default_factory=dict)

    def operate(self, when: When) -> None:  # noqa: C901 - one order a case
        """Hear of what operators said, each order once; the latest one holds."""
        operation = getattr(when.event.fact, "operation", Operation())
        kind = type(when.event.fact).__name__
        if not self.use.first(when, kind, operation.request_id):
            return
        match when.event.fact:
            case RegionChanged() as fact:
                region = self.content.hear_of(fact.target_region)
                before = self.content.regions[region]
                if when.order_ns >= before.order_ns:
                    expire = fact.operation.expire_time_ns or 0
                    self.content.regions[region] = replace(
                        before,
                        state=int(fact.state),
                        order_ns=when.order_ns,
                        expire_ns=expire,
                    )
            case ReplicationPaused() | ReplicationResumed() as held:
                active = isinstance(held, ReplicationPaused)
                for region in map(self.content.hear_of, held.target_regions):
                    self.give(when, ("pause", region), held.operation, active=active)
                if not held.target_regions:
                    self.give(when, ("pause", "*"), held.operation, active=active)
            case ContentPinned() | ContentUnpinned() as held:
                active = isinstance(held, ContentPinned)
                place = self.content.name(held.repository, held.digest)
                for region in map(self.content.hear_of, held.target_regions):
                    key = ("pin", *place, region)
                    self.give(when, key, held.operation, active=active)
                if not held.target_regions:
                    key = ("pin", *place, "*")
                    self.give(when, key, held.operation, active=active)
            case PolicyChanged() as fact:
                self.choose(when, fact)
            case _:
                raise AssertionError(when.event.fact)

    def paused(self, region: str, now_ns: int) -> bool:
        """Say whether new copies into a region are stopped: the latest order says."""
        given = [
            (order.order_ns, order.active)
            for key in (("pause", "*"), ("pause", region))
            for order in [self.orders.get(key)]
            if order is not None and not 0 < order.expire_ns <= now_ns
        ]
        return max(given, default=(0, False))[1]

    def give(
        self, when: When, key: tuple[str, ...], operation: Operation, *, active: bool
    ) -> None:
        """The latest order holds, whatever order they come in."""
        before = self.orders.get(key)
        if before is None or when.order_ns >= before.order_ns:
            expire = operation.expire_time_ns or 0
            self.orders[key] = Order(active, when.order_ns, expire)

    def choose(self, when: When, fact: PolicyChanged) -> None:
        """A policy was put in force; only so many are remembered."""
        key = f"{fact.name}\0{fact.content}".encode()
        before = self.policies.get(key)
        if before is None or when.order_ns >= before.order_ns:
            expire = fact.operation.expire_time_ns or 0
            self.policies[key] = Order(
                active=True, order_ns=when.order_ns, expire_ns=expire
            )
        while len(self.policies) > self.policies_max:
            oldest = min((o.order_ns, name) for name, o in self.policies.items())
            del self.policies[oldest[1]]

    def rows(self) -> Iterator[Row]:
        """Yield everything as the fold's canonical rows."""
        for key, order in self.orders.items():
            yield (*key, int(order.active), order.order_ns, order.expire_ns)
        for policy, order in self.policies.items():
            said = (int(order.active), order.order_ns, order.expire_ns)
            yield ("policy", policy, *said)
