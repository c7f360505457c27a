"""What every fact means, over plain objects and names: obviously right, and slow.

It keeps what was said and works out the rows from all of it whenever somebody asks,
where the fold keeps integers up to date. It shares no code with the fold: only the
facts themselves, and the numbers that are written down in the design.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from placement.core.event import (
    DECIDING_FACTS,
    AppWithdrawn,
    ContentAnnounced,
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    Event,
    EventQuarantined,
    InventoryTaken,
    MachinesCounted,
    MachineStarted,
    MachineStopped,
    OwnershipDeclared,
    Recorded,
    RecordedMessage,
    ReplicationRequested,
    SetAside,
    StartsRequested,
    TagMoved,
    TickPassed,
    TransferMeasured,
)
from tests.model_content import Content, Known, Row, When
from tests.model_decisions import Decisions
from tests.model_learning import Learned
from tests.model_orders import Orders
from tests.model_payoff import Payoff
from tests.model_read import descriptors_in, regions_in
from tests.model_use import Limited, Usage, key_of, kind_of

SECOND_NS = 10**9


@dataclass(frozen=True)
class Limits:
    """How much is remembered."""

    regions: int = 200
    mentioned: int = 100
    mentioned_by_one: int = 50
    event_ids: int = 2**20
    set_aside: int = 10_000
    requests: int = 2**16
    stopped: int = 2**16
    decisions: int = 2**20
    policies: int = 16
    versions_open: int = 256
    shapes: int = 10_000
    start_days: int = 2**18


def known_as(event: Event) -> str:
    """Return what an event is known as: an id is one only in its region and kind."""
    kind = "decisions" if type(event.fact) in DECIDING_FACTS else "events"
    return f"{kind}.{event.region}.{event.event_id}"


@dataclass
class Model:
    """All that was said, in the order in which the log holds it."""

    limits: Limits = field(default_factory=Limits)
    counters: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin before the first message."""
        self.content = Content()
        self.event_ids = Limited(self.limits.event_ids)
        self.aside = Limited(self.limits.set_aside)
        requests, stopped = self.limits.requests, self.limits.stopped
        self.use = Usage(self.content, Limited(requests), Limited(stopped))
        versions, shapes = self.limits.versions_open, self.limits.shapes
        self.learned = Learned(self.content, self.use, versions, shapes)
        self.orders = Orders(self.content, self.use, self.limits.policies)
        most = self.limits.decisions
        self.decisions = Decisions(self.content, self.use, self.orders, most)
        self.payoff = Payoff(
            self.content,
            self.use,
            self.learned,
            self.decisions,
            self.limits.start_days,
        )

    def fold(self, message: RecordedMessage) -> None:
        """Hear every event of *message*, each once."""
        for item in message.items:
            if isinstance(item, SetAside):
                self.set_aside(item, item.reason)
                continue
            key = key_of(known_as(item.event))
            if key in self.event_ids:
                continue
            self.event_ids.put(key, 0)
            reason = self.objection(item.event)
            if reason:
                self.set_aside(item, reason)
            else:
                self.hear(item)

    def set_aside(self, item: Recorded | SetAside, reason: str) -> None:
        """Remember where it is and why it was not folded."""
        self.add("set_aside")
        key = f"{item.sequence}\0{item.batch_index}\0{reason}".encode()
        self.aside.put(key, item.store_time_ns)

    def add(self, name: str, count: int = 1) -> None:
        """Count one more, or *count*."""
        self.counters[name] = self.counters.get(name, 0) + count

    def objection(self, event: Event) -> str:
        """Return why an event cannot be believed; empty when it can."""
        named = {name for name in regions_in(event) if name is not None}
        if len(named | set(self.content.regions)) > self.limits.regions:
            return "REGION_LIMIT"
        mentioned = len(named - {event.region} - set(self.content.regions))
        if mentioned and type(event.fact) not in DECIDING_FACTS:
            of_all = self.counters.get("regions_mentioned", 0)
            of_one = self.counters.get(f"regions_mentioned\0{event.region}", 0)
            if of_all + mentioned > self.limits.mentioned:
                return "REGION_LIMIT"
            if of_one + mentioned > self.limits.mentioned_by_one:
                return "REGION_LIMIT"
        said: dict[str, int] = {}
        for content in descriptors_in(event.fact):
            known = self.content.digests.get(content.digest, Known())
            sizes = {content.size_bytes, known.size_bytes}
            sizes.add(said.get(content.digest, 0))
            kinds = {kind_of(content.media_type), kind_of(known.media_type)}
            if content.size_bytes and len(sizes - {0}) > 1:
                return "CONTENT_CONTRADICTED"
            if content.size_bytes and kinds == {"manifest", "index"}:
                return "CONTENT_CONTRADICTED"
            said[content.digest] = content.size_bytes or said.get(content.digest, 0)
        return ""

    def hear(self, item: Recorded) -> None:
        """Let one event change what it is about."""
        age_ns = item.store_time_ns - item.time_ns
        before_ns = self.counters.get("latest_order_ns", 0)
        stored_ns = max(item.store_time_ns + item.batch_index, before_ns + 1)
        self.counters["latest_order_ns"] = stored_ns
        order_ns = min(stored_ns, item.time_ns + 10 * SECOND_NS)
        late = age_ns > 24 * 3600 * SECOND_NS
        region = self.content.hear_of(item.event.region)
        self.add("folded")
        if late:
            self.add("late")
        known = len(self.content.regions)
        self.apply(When(item.event, region, item.time_ns, order_ns, stored_ns, late))
        added = len(self.content.regions) - known
        if added and type(item.event.fact) not in DECIDING_FACTS:
            self.add("regions_mentioned", added)
            self.add(f"regions_mentioned\0{item.event.region}", added)

    def apply(self, when: When) -> None:  # noqa: C901, PLR0912, PLR0915 - one fact a case
        """Hand the fact to what it is about."""
        match when.event.fact:
            case ContentPushed() as fact:
                self.content.push(when, fact)
                self.learned.tag(when, fact.repository, fact.content.digest, fact.tag)
            case ContentAnnounced() as fact:
                self.content.announce(when, fact)
            case ContentReplicated() as fact:
                self.content.replicate(when, fact)
            case ContentEvicted() as fact:
                self.content.evict(when, fact)
                self.decisions.evicted(when, fact)
            case TagMoved() as fact:
                self.content.move(when, fact)
                self.learned.tag(when, fact.repository, fact.digest, fact.tag)
            case InventoryTaken() as fact:
                self.content.inventory(when, fact)
            case OwnershipDeclared() as fact:
                self.content.declare(when, fact)
            case ContentPulled() as fact:
                pull = self.use.pull(when, fact)
                self.payoff.pull(when, fact, pull)
                self.learned.pull(when, pull, fact.tag)
            case MachineStarted() as fact:
                start = self.use.start(when, fact)
                self.payoff.start(when, fact, start)
                self.learned.start(when, start, fact.tag)
            case MachineStopped() as fact:
                self.use.halt(when, fact)
            case MachinesCounted() as fact:
                self.use.count(when, fact)
            case AppWithdrawn() as fact:
                self.use.withdraw(when, fact)
            case StartsRequested() as fact:
                self.use.request(when, fact)
            case TransferMeasured() as fact:
                self.use.measure(when, fact)
            case ReplicationRequested() as fact:
                self.use.want(when, fact)
            case TickPassed(tick_number=number):
                before = self.counters.get("tick_number", 0)
                if number <= when.order_ns // 10**6 + 7_200_000:
                    self.counters["tick_number"] = max(before, number)
            case EventQuarantined(sequence=sequence, batch_index=index):
                key = f"{sequence}\0{index}\0QUARANTINED".encode()
                self.aside.put(key, when.time_ns)
            case _:
                if not self.decisions.hear(when):
                    self.orders.operate(when)

    def rows(self) -> Iterator[Row]:
        """Yield everything as the fold's canonical rows."""
        for name, count in self.counters.items():
            yield ("counter", name.encode(), count)
        if self.use.starts_said:
            yield ("counter", b"machine_started", self.use.starts_said)
        yield from (("event_id", key) for key in self.event_ids)
        yield from (("set_aside", key, time) for key, time in self.aside.items())
        yield from self.content.rows()
        yield from self.use.rows()
        yield from self.learned.rows()
        yield from self.orders.rows()
        yield from self.decisions.rows()
        yield from self.payoff.rows()
