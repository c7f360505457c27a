"""The reference model's half about use: pulls, starts, machines, transfers."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from placement.core.event import (
    AppWithdrawn,
    CacheKind,
    ClientKind,
    ContentPulled,
    MachinesCounted,
    MachineStarted,
    MachineStopped,
    ReplicationRequested,
    StartsRequested,
    TransferMeasured,
)
from tests.model_content import App, Content, Row, When

HOUR_NS = 3600 * 10**9
HOURS = 168
TRANSFERS = 32


class Limited(dict[bytes, int]):
    """A memory that forgets what was added first, once it is full."""

    def __init__(self, capacity: int) -> None:
        """Begin empty."""
        super().__init__()
        self.capacity = capacity

    def put(self, key: bytes, value: int) -> bytes | None:
        """Keep *value*; return the key that was forgotten for it, if any."""
        forgotten = None
        if key not in self and len(self) == self.capacity:
            forgotten = next(iter(self))
            del self[forgotten]
        self[key] = value
        return forgotten


class Use(NamedTuple):
    """One pull or start, where it happened."""

    repository: str
    digest: str
    app: App
    region: str
    kind: str
    time_ns: int
    of_app: bool
    """Whether it counts as demand for the app, too."""


class Score(NamedTuple):
    """What one start waited, and what had been expected of it."""

    wait_ns: int
    p50_ns: int
    p90_ns: int


class Judgement(NamedTuple):
    """How a machine's last start was: what it waited, plus one, and who tells why."""

    outcome: int = 0
    waited: int = 0
    decision_id: str = ""
    decision_ns: int = 0
    """The decision's order: another one may have the same id, later."""


@dataclass
class Machine:
    """What is known of one machine."""

    region: str
    place: tuple[str, str] = ("", "")
    started_ns: int = 0
    stopped_ns: int = 0
    seen_ns: int = 0
    judgement: Judgement = field(default_factory=Judgement)

    @property
    def runs(self) -> bool:
        """Whether it was started after it was stopped."""
        return self.started_ns > self.stopped_ns


@dataclass
class Usage:
    """Everything that was said of use."""

    content: Content
    requests: Limited
    stopped: Limited
    uses: list[Use] = field(default_factory=list)
    starts_said: int = 0
    requested: dict[tuple[App, str], int] = field(default_factory=dict)
    awaited: dict[tuple[str, str, str], int] = field(default_factory=dict)
    wanted: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    """When a copy was asked for last, and by when."""
    meant: dict[bytes, tuple[str, str, str]] = field(default_factory=dict)
    """What a request was taken for."""
    withdrawn: dict[tuple[App, str], int] = field(default_factory=dict)
    scores: dict[tuple[str, str], list[Score]] = field(
        default_factory=lambda: defaultdict(list)
    )
    machines: dict[bytes, Machine] = field(default_factory=dict)
    ran: set[tuple[str, str, str]] = field(default_factory=set)
    transfers: dict[tuple[str, str], list[tuple[int, ...]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def pull(self, when: When, fact: ContentPulled) -> Use | None:
        """A use where the client is, unless it is old, a scan or a copy."""
        client = self.content.hear_of(fact.client_region or when.region)
        source = self.content.hear_of(fact.source_region or when.region)
        duration = fact.pull_duration_ns or 0
        self.transfer(when, source, client, (fact.transferred_bytes, duration))
        copier = fact.client_kind in (ClientKind.SCANNER, ClientKind.REPLICATOR)
        if when.late or copier:
            return None
        place = self.content.place(fact.repository, fact.digest)
        app = self.content.own(when, fact.repository)
        media = fact.media_type or self.content.digests[fact.digest].media_type
        image = kind_of(media) == "manifest" if media else fact.tag is not None
        self.uses.append(Use(*place, app, client, "pull", when.time_ns, image))
        return self.uses[-1]

    def start(self, when: When, fact: MachineStarted) -> Use | None:
        """A start, unless it is old, and a machine that runs."""
        place = self.content.place(fact.repository, fact.digest)
        app = self.content.own(when, fact.repository)
        self.starts_said += 1
        self.run(when, fact.machine_id, place)
        if fact.source_region is not None and fact.cache is not CacheKind.HOST:
            source = self.content.hear_of(fact.source_region)
            moved = (fact.transferred_bytes, fact.image_wait_ns or 0)
            self.transfer(when, source, when.region, moved)
        self.score(when, fact)
        if when.late:
            return None
        use = Use(*place, app, when.region, "start", when.time_ns, of_app=True)
        self.uses.append(use)
        return use

    def score(self, when: When, fact: MachineStarted) -> None:
        """Keep what was expected beside what was observed, where both are told."""
        p50, p90 = fact.expected_wait_p50_ns, fact.expected_wait_p90_ns
        wait, host = fact.image_wait_ns, fact.cache is CacheKind.HOST
        if wait is not None and p50 is not None and p90 is not None and not host:
            source = self.content.hear_of(fact.source_region or when.region)
            self.scores[source, when.region].append(Score(wait, p50, p90))

    def run(self, when: When, machine_id: str, place: tuple[str, str]) -> Machine:
        """The latest start says where a machine is and what it runs."""
        machine = self.machines.setdefault(key_of(machine_id), Machine(when.region))
        if when.order_ns > machine.started_ns:
            machine.region, machine.place = when.region, place
            machine.started_ns = when.order_ns
            machine.judgement = Judgement()
        self.note(machine)
        return machine

    def note(self, machine: Machine) -> None:
        """Remember that the image has run in the region at all."""
        if machine.runs:
            self.ran.add((*machine.place, machine.region))

    def stop(self, key: bytes, order_ns: int) -> None:
        """A machine stopped; of those, only so many are remembered."""
        machine = self.machines[key]
        machine.stopped_ns = max(machine.stopped_ns, order_ns)
        if machine.runs or key in self.stopped:
            return
        forgotten = self.stopped.put(key, 0)
        if forgotten in self.machines and not self.machines[forgotten].runs:
            del self.machines[forgotten]

    def halt(self, when: When, fact: MachineStopped) -> None:
        """A machine stopped, perhaps before anybody heard of its start."""
        key = key_of(fact.machine_id)
        self.machines.setdefault(key, Machine(when.region))
        self.stop(key, when.order_ns)

    def count(self, when: When, fact: MachinesCounted) -> None:
        """What a count names runs; after the last page, nothing else does."""
        scan_ns = min(fact.scan_time_ns, when.order_ns)
        mark_ns = min(fact.scan_time_ns, when.order_ns + 24 * HOUR_NS)
        seen = when._replace(time_ns=scan_ns, order_ns=scan_ns, late=True)
        for group in fact.groups:
            place = self.content.place(group.repository, group.digest)
            self.content.own(when, group.repository)
            for machine_id in group.machine_ids:
                machine = self.run(seen, machine_id, place)
                machine.seen_ns = max(machine.seen_ns, mark_ns)
        if not fact.complete:
            return
        for key, machine in sorted(self.machines.items()):
            unnamed = machine.seen_ns < mark_ns and machine.started_ns < scan_ns
            if machine.region == when.region and machine.runs and unnamed:
                self.stop(key, scan_ns)

    def request(self, when: When, fact: StartsRequested) -> None:
        """Starts were asked for, once per request."""
        if not self.first(when, "StartsRequested", fact.request_id):
            return
        app = self.content.own(when, fact.repository)
        if when.late:
            return
        digest = self.content.meant(fact.repository, fact.reference)
        if digest:
            self.content.place(fact.repository, digest)
        for region in map(self.content.hear_of, fact.regions):
            if digest:
                image = (str(fact.repository), digest, region)
                self.awaited[image] = max(self.awaited.get(image, 0), when.time_ns)
            else:
                key = (app, region)
                self.requested[key] = max(self.requested.get(key, 0), when.time_ns)

    def want(self, when: When, fact: ReplicationRequested) -> None:
        """What the reference points to at this moment is wanted in the region."""
        if not self.first(when, "ReplicationRequested", fact.request_id):
            return
        self.content.own(when, fact.repository)
        target = self.content.hear_of(fact.target_region)
        digest = self.content.meant(fact.repository, fact.reference)
        if not digest:
            return
        copy = (*self.content.place(fact.repository, digest), target)
        asked = (when.time_ns, fact.deadline_time_ns or 0)
        if when.time_ns > self.wanted.get(copy, (0, 0))[0]:
            self.wanted[copy] = asked
        self.meant[key_of(f"ReplicationRequested {fact.request_id}")] = copy

    def withdraw(self, when: When, fact: AppWithdrawn) -> None:
        """The app no longer belongs into the region, unless that is old news."""
        app = self.content.own(when, fact.repository)
        if not when.late:
            key = (app, when.region)
            self.withdrawn[key] = max(self.withdrawn.get(key, 0), when.time_ns)

    def first(self, when: When, kind: str, request_id: str | None) -> bool:
        """Say whether a request is new; one without an id always is."""
        if request_id is None:
            return True
        key = key_of(f"{kind} {request_id}")
        if key in self.requests:
            return False
        self.requests.put(key, when.time_ns)
        self.meant.pop(key, None)
        return True

    def measure(self, when: When, fact: TransferMeasured) -> None:
        """A transfer that somebody timed."""
        source = self.content.hear_of(fact.source_region)
        moved = (fact.transferred_bytes, fact.transfer_duration_ns)
        more = (fact.concurrency, int(fact.outcome) or 1)
        self.transfer(when, source, when.region, moved, more)

    def transfer(
        self,
        when: When,
        source: str,
        target: str,
        moved: tuple[int, int],
        more: tuple[int, int] = (0, 1),
    ) -> None:
        """Keep a transfer that has both bytes and a duration."""
        if all(moved):
            self.transfers[source, target].append((*moved, when.time_ns, *more))

    def rows(self) -> Iterator[Row]:
        """Yield everything as the fold's canonical rows."""
        yield from self._use_rows()
        yield from self._demand_rows()
        yield from (("stopped", key) for key in self.stopped)
        for key, time_ns in self.requests.items():
            yield ("request", key, time_ns, *self.meant.get(key, ("", "", "")))
        yield from (("wanted", *copy, *asked) for copy, asked in self.wanted.items())
        yield from (("awaited", *image, at) for image, at in self.awaited.items())
        for (source, target), kept in self.transfers.items():
            yield ("route", source, target, len(kept))
            for number, values in list(enumerate(kept))[-TRANSFERS:]:
                yield ("transfer", source, target, number % TRANSFERS, *values)

        for pair, scores in self.scores.items():
            below_p50 = sum(s.wait_ns <= s.p50_ns for s in scores)
            below_p90 = sum(s.wait_ns <= s.p90_ns for s in scores)
            yield ("calibration", *pair, len(scores), below_p50, below_p90)

    def _use_rows(self) -> Iterator[Row]:
        machines = self.machines.values()
        running = Counter((*m.place, m.region) for m in machines if m.runs)
        used = {(u.repository, u.digest, u.region) for u in self.uses}
        for where in used | self.ran:
            mine = [u for u in self.uses if (u.repository, u.digest, u.region) == where]
            counts = Counter(u.kind for u in mine)
            last = max((u.time_ns for u in mine), default=0)
            values = (counts["pull"], counts["start"], running[where], last)
            yield ("use", *where, *values)

    def _demand_rows(self) -> Iterator[Row]:
        of_app = defaultdict(list)
        for use in self.uses:
            if use.of_app:
                of_app[use.app, use.region].append(use)
        for app, region in {*of_app, *self.requested, *self.withdrawn}:
            mine = of_app[app, region]
            starts = [u.time_ns for u in mine if u.kind == "start"]
            pulls = [u.time_ns for u in mine if u.kind == "pull"]
            yield (
                "membership",
                "\0".join(app),
                region,
                min(starts, default=0),
                max(starts, default=0),
                len(starts),
                max(pulls, default=0),
                len(pulls),
                self.requested.get((app, region), 0),
                self.withdrawn.get((app, region), 0),
            )
            hours = {u.time_ns // HOUR_NS for u in mine}
            newest = {hour % HOURS: hour for hour in sorted(hours)}
            for slot, hour in newest.items():
                kinds = Counter(u.kind for u in mine if u.time_ns // HOUR_NS == hour)
                counts = (kinds["pull"], kinds["start"])
                yield ("demand", "\0".join(app), region, slot, hour, *counts)


def key_of(text: str) -> bytes:
    """Return the short key under which a long id is kept."""
    return blake2b(text.encode(), digest_size=16).digest()


def kind_of(media_type: str) -> str:
    """Return what a media type stands for, by its words."""
    if "image.index" in media_type or "manifest.list" in media_type:
        return "index"
    return "manifest" if "manifest" in media_type else "blob"
