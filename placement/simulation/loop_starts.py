"""The machines of a closed loop: each waits for its image, and tells how long.

A machine waits as the ledger says for what is there when it asks. What it pulls from
afar stays in the storage region that serves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from placement.core.event import (
    CacheKind,
    ContentReplicated,
    DurationNs,
    Event,
    Identifier,
    MachineStarted,
    Name,
    TimeNs,
)
from placement.core.folds.demand import machine_key
from placement.core.state import State
from placement.core.tables.cells import Machine, StartOutcome
from placement.core.tables.table import ABSENT
from placement.core.topology import Region
from placement.simulation.blame import Blame
from placement.simulation.ledger import Fill, Wait
from placement.simulation.loop_copier import Contents
from placement.simulation.loop_ledger import LoopLedger
from placement.simulation.loop_log import Schedule
from placement.simulation.past import Start, Version
from placement.simulation.synthesis import SECOND_NS
from placement.simulation.world import World

REGISTRY: Final = Name("registry")


@dataclass(frozen=True, slots=True)
class ToldStart:
    """A start, why it waited as the simulation knows it, and as the fold tells it.

    *without* is what it would have waited if its version had not been copied there.
    """

    time_ns: int
    wait: Wait
    without: Wait
    known: StartOutcome
    told: StartOutcome

    @property
    def explained(self) -> bool:
        """Whether the log tells what was so."""
        return self.known is self.told


class Machines:
    """Starts machines; *waits* of the ledger are those of first starts."""

    def __init__(
        self, world: World, ledger: LoopLedger, schedule: Schedule, contents: Contents
    ) -> None:
        """Begin before the first start."""
        self._world = world
        self._ledger = ledger
        self._schedule = schedule
        self._contents = contents
        self._begun: set[tuple[Version, Region]] = set()
        self._copied_ns: dict[tuple[Version, Region], int] = {}
        self._reported: list[tuple[Identifier, ToldStart]] = []
        self.told: list[ToldStart] = []
        self.tells_at_once = False

    def copied(self, version: Version, target: Region, now_ns: int) -> None:
        """Take note that a copy was decided, for what is told of starts after it."""
        self._copied_ns.setdefault((version, target), now_ns)

    def request(self, event: Event, fact: MachineStarted, now_ns: int) -> None:
        """Let a machine ask for its image now; it reports when it has started."""
        version = self._world.versions[fact.repository, fact.digest]
        start = Start(now_ns, version, event.region)
        fill, without = self._ledger.fill(start), self._ledger.without(start)
        pair = (version, self._world.storage[start.region])
        wait = self._ledger.wait_of(start, fill.seconds, self._copied_ns.get(pair))
        if (version, start.region) not in self._begun:
            self._begun.add((version, start.region))
            self._ledger.waits.append(wait)
        if fill.lacking:
            arrival_ns = self._ledger.pull(start, fill)
            self._schedule.at(
                arrival_ns, lambda _: [self._kept(fact.machine_id, pair, fill)]
            )
        wait_ns = round(wait.wait_s * SECOND_NS)
        report = replace(
            fact,
            request_time_ns=TimeNs(now_ns),
            image_wait_ns=DurationNs(wait_ns),
            source_region=_source(wait, fill, pair[1]),
            transferred_bytes=0 if wait.local else fill.alone_bytes,
            cache=CacheKind.REGION if wait.local else CacheKind.REMOTE,
        )
        told_ns = TimeNs(now_ns + (0 if self.tells_at_once else wait_ns))
        told = replace(event, fact=report, occur_time_ns=told_ns)

        unknown = StartOutcome.UNKNOWN
        kept = ToldStart(told_ns, wait, without, unknown, unknown)

        def started(_: int) -> Sequence[Event]:
            self._reported.append((fact.machine_id, kept))
            return [told]

        self._schedule.at(told_ns, started)

    def _kept(
        self, machine: Identifier, pair: tuple[Version, Region], fill: Fill
    ) -> Event:
        """Return what a registry tells of an image that was pulled through it."""
        version, target = pair
        contents = self._contents.images[version]
        fact = ContentReplicated(contents, version.repository, fill.source)
        own_id = Identifier(f"kept-{machine}")
        return Event(own_id, target, fact, publisher=REGISTRY)

    def judge(self, state: State, blame: Blame) -> None:
        """Hold what the fold says of the starts just folded against what is known."""
        for machine, kept in self._reported:
            row = state.machines.find(machine_key(machine))
            assert row != ABSENT, f"{machine} was folded"
            told = StartOutcome(state.machines.get(row, Machine.OUTCOME))
            version, region = kept.wait.start.version, kept.wait.start.region
            known = blame.of(version.repository, version.digest, region)
            if kept.wait.local:
                known = StartOutcome.LOCAL
            self.told.append(replace(kept, known=known, told=told))
        self._reported.clear()


def _source(wait: Wait, fill: Fill, target: Region) -> Region | None:
    """Return whose bytes a machine got."""
    return target if wait.local or fill.source is None else fill.source
