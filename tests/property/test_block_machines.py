"""Starts and stops fold as columns only where that is the same as one by one.

Each case is a log that is known, and a block that stands after it, in which something
beside the starts and stops, or before them, changes what they mean.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from placement.core import event as ev
from placement.core.event import CacheKind, Event, Fact, Recorded, RecordedMessage
from placement.core.fold import fold
from placement.core.fold_block import fold_block_steps
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.state import State
from placement.core.tables import cells
from placement.core.tables.keys import HASH_BYTES, START_DAY
from placement.core.tables.table import Table
from placement.core.tables.waits import CameFrom
from placement.core.topology import Region
from tests.blocks import block_of
from tests.builders import (
    AMS,
    API,
    DAY_NS,
    FRA,
    HOUR_NS,
    IAD,
    INDEX,
    LHR,
    MANIFEST,
    SECOND_NS,
    START_NS,
    WEB,
    A,
    B,
    C,
    D,
)
from tests.model import Limits, Model
from tests.property.test_block_folds import rows_of

IMAGES = [Descriptor(A, MANIFEST, 9), Descriptor(B, MANIFEST, 9)]
WHOLE = Descriptor(C, INDEX, 9)
BEGIN_NS = START_NS + HOUR_NS


@dataclass(frozen=True)
class Told:
    """An event as a test says it: a fact, where, how long before, and by whom."""

    fact: Fact
    where: Region = AMS
    age_ns: int = 0
    app: str = ""
    step_ns: int = 1000
    """How long after the event before it was stored."""


@dataclass
class Log:
    """Messages of one event each, each stored after the one before."""

    stored_ns: int = BEGIN_NS
    messages: list[RecordedMessage] = field(default_factory=list)

    def add(self, told: Told | Fact) -> None:
        """Store what is told."""
        self.add_together([told])

    def add_together(self, all_told: Sequence[Told | Fact]) -> None:
        """Store what is told in one message."""
        number, items = len(self.messages) + 1, []
        told = [one if isinstance(one, Told) else Told(one) for one in all_told]
        self.stored_ns += told[0].step_ns
        for index, one in enumerate(told):
            name = ev.Identifier(f"e-{number}-{index}")
            event = Event(name, one.where, one.fact, app=ev.Name(one.app))
            time_ns = self.stored_ns - one.age_ns
            items.append(Recorded(number, index, time_ns, self.stored_ns, event))
        mark = b"%016d" % number
        message = RecordedMessage(number, self.stored_ns, mark, tuple(items))
        self.messages.append(message)


def start(
    machine: str,
    image: Digest = A,
    repository: Repository = WEB,
    **named: Any,  # noqa: ANN401 - of any field
) -> ev.MachineStarted:
    """Return a start of a machine."""
    return ev.MachineStarted(image, repository, ev.Identifier(machine), **named)


def stop(machine: str) -> ev.MachineStopped:
    """Return a stop of a machine."""
    return ev.MachineStopped(ev.Identifier(machine))


def counted(
    *machines: str, complete: bool, age_ns: int = 0, images: Sequence[Digest] = (A,)
) -> ev.MachinesCounted:
    """Return a page of a count that began so long before all of the log's begin."""
    names = tuple(map(ev.Identifier, machines))
    groups = tuple(ev.MachineGroup(WEB, image, names) for image in images)
    scan_ns = ev.TimeNs(BEGIN_NS + DAY_NS - age_ns)
    return ev.MachinesCounted(scan_ns, complete=complete, groups=groups)


def planned(repository: Repository = WEB, trigger: int = 1) -> ev.ReplicationPlanned:
    """Return a decision to copy an image, for starts in Amsterdam."""
    named = ev.Identifier(f"copy-{trigger}")
    about = ev.ReplicationSubject(named, repository, A, AMS)
    return ev.ReplicationPlanned(
        about, FRA, trigger_sequence=trigger, start_regions=(AMS,)
    )


def small_state(limits: Limits) -> State:
    """Return a state that forgets stopped machines and days as *limits* say."""
    state = State()
    state.indexes.waits.since_ns = BEGIN_NS + HOUR_NS
    state.stopped = Table("stopped", (), limits.stopped, key_bytes=HASH_BYTES)
    days = state.start_days.columns
    state.start_days = Table(
        "start_days", days, limits.start_days, key_bytes=START_DAY.size
    )
    return state


def folded_alike(
    log: Sequence[RecordedMessage], known: int, cuts: Iterable[int], limits: Limits
) -> int:
    """Compare folding in blocks with one by one; return how many were folded so."""
    one_by_one, in_blocks, model = (
        small_state(limits),
        small_state(limits),
        Model(limits),
    )
    for message in log:
        fold(one_by_one, message)
        model.fold(message)
    for message in log[:known]:
        fold(in_blocks, message)
    alone, begin = 0, known
    for end in sorted({*cuts, len(log)}):
        if known <= begin < end:
            block = block_of(log[begin:end])
            alone += sum(1 for _ in fold_block_steps(in_blocks, block, lambda _: None))
            begin = end

    assert rows_of(in_blocks) == rows_of(one_by_one)
    assert rows_of(in_blocks) == sorted(map(repr, model.rows()))
    for region in (AMS, FRA, IAD, LHR):
        row = one_by_one.regions.find(region.encode())
        for came_from in CameFrom:
            told = one_by_one.indexes.waits.of(row, came_from)
            assert in_blocks.indexes.waits.of(row, came_from) == told
        other = in_blocks.regions.find(region.encode())
        assert sorted(one_by_one.indexes.machines_in(row)) == sorted(
            in_blocks.indexes.machines_in(other)
        )
    return alone


def usual() -> list[Told | Fact]:
    """Return what is known before: two images of two apps that run in two regions."""
    found: list[Told | Fact] = [
        ev.ContentPushed(image, repository, Tag(f"v{number}"))
        for number, image in enumerate(IMAGES)
        for repository in (WEB, API)
    ]
    for number, place in enumerate((AMS, FRA, AMS, FRA, FRA)):
        for image in (A, B):
            if (number, image) != (4, A):
                fetched: dict[str, Any] = {"source_region": IAD} if number % 2 else {}
                named = f"{image[-1]}-{number}"
                found.append(Told(start(named, image, **fetched), place))
    found += [start("api-0", A, API), start("api-1", A, API)]
    found += [Told(start("local", A, cache=CacheKind.HOST), AMS)]
    return found


@dataclass(frozen=True)
class Case:
    """What is known besides, the block, and how many of it are folded in their turn."""

    before: Sequence[Told | Fact]
    block: Sequence[Told | Fact]
    alone: int
    limits: Limits = Limits()  # noqa: RUF009 - it cannot change


MINUTE = 61 * SECOND_NS
NEW = Repository("acme/new")
PUSH = ev.ContentPushed(Descriptor(D, MANIFEST, 9), WEB, Tag("v9"))
REMOTE = start("remote", cache=CacheKind.REMOTE)
AGAIN = start("again", cache=CacheKind.REMOTE)
SHOP = ev.OwnershipDeclared(WEB, ev.Name("acme"), ev.Name("shop"))
FEW = Limits(stopped=2)

CASES = {
    "what is usual": Case([], [start("x"), stop("a-0"), start("y", B)], 0),
    "a start before the first": Case([], [Told(start("x"), age_ns=HOUR_NS)], 0),
    "an unknown source": Case(
        [],
        [
            Told(
                start(
                    "x",
                    source_region=LHR,
                    transferred_bytes=5,
                    image_wait_ns=ev.DurationNs(5),
                ),
                FRA,
            )
        ],
        1,
    ),
    "an unknown region": Case([], [Told(start("x"), LHR)], 1),
    "late": Case(
        [Told(start("early"), age_ns=DAY_NS)],
        [
            Told(start("x"), age_ns=DAY_NS + 1),
            Told(start("y"), age_ns=DAY_NS - HOUR_NS),
        ],
        2,
    ),
    "a machine that runs": Case([], [start("a-0", B)], 1),
    "a machine that starts twice": Case([], [start("x"), start("x", B)], 2),
    "a machine that starts and stops": Case([], [start("x"), stop("x")], 2),
    "a machine that was said to stop": Case(
        [], [Told(stop("x"), app="shop"), start("x")], 2
    ),
    "a first start": Case([PUSH], [start("x", D)], 1),
    "a first start of its app in another region": Case(
        [], [Told(start("x", A, API), FRA)], 1
    ),
    "an app that was withdrawn": Case(
        [ev.AppWithdrawn(WEB)], [PUSH, start("x"), Told(start("y"), FRA)], 3
    ),
    "an app that is withdrawn": Case(
        [], [ev.AppWithdrawn(WEB), PUSH, start("x"), start("y", A, API)], 3
    ),
    "decided": Case([REMOTE, planned()], [AGAIN, start("y", A, API)], 1),
    "being decided": Case([REMOTE], [planned(), AGAIN, start("y", A, API)], 2),
    "being withheld": Case(
        [REMOTE],
        [
            ev.ReplicationWithheld(
                planned().subject, trigger_sequence=1, start_regions=(AMS,)
            ),
            AGAIN,
        ],
        2,
    ),
    "being removed": Case(
        [REMOTE],
        [
            ev.EvictionPlanned(
                ev.Identifier("gone"), WEB, A, FRA, start_regions=(AMS,)
            ),
            AGAIN,
        ],
        2,
    ),
    "a new day": Case([], [Told(start("x"), step_ns=DAY_NS)], 1),
    "days that are forgotten": Case(
        [],
        [Told(start("x", A, API), IAD), start("y")],
        2,
        Limits(start_days=5),
    ),
    "days that objects forget": Case(
        [],
        [
            Told(start("x", A, API), IAD, app="acme/api"),
            Told(start("z", A, API, cache=CacheKind.HOST), IAD, app="acme/api"),
            Told(start("y", source_region=IAD), FRA),
        ],
        3,
        Limits(start_days=5),
    ),
    "days that are not": Case(
        [],
        [Told(start("x", A, API), IAD), start("y")],
        1,
        Limits(start_days=8),
    ),
    "another owner": Case([], [SHOP, start("x"), start("y", A, API)], 3),
    "another owner before": Case([SHOP], [start("x")], 1),
    "an owner of what is new": Case(
        [PUSH],
        [
            Told(replace(PUSH, repository=NEW), app="acme/web", step_ns=MINUTE),
            start("x", D, NEW),
            start("y"),
        ],
        3,
    ),
    "the same owner": Case(
        [PUSH], [Told(start("x", D), app="acme/web"), start("y", A, API)], 1
    ),
    "a burst": Case(
        [PUSH],
        [Told(start("x", D), step_ns=MINUTE), start("y"), start("z", A, API)],
        2,
    ),
    "a burst that an object begins": Case(
        [PUSH],
        [Told(start("x", D), app="acme/web", step_ns=MINUTE), start("y")],
        2,
    ),
    "a burst by a repository's name": Case(
        [
            ev.OwnershipDeclared(API, ev.Name("acme"), ev.Name(NEW)),
            start("w", A, API),
        ],
        [Told(start("x", D, NEW), step_ns=MINUTE), start("y", A, API), start("z")],
        2,
    ),
    "a count of all": Case(
        [],
        [
            counted("a-0", complete=True),
            Told(start("x"), age_ns=20 * SECOND_NS),
        ],
        2,
    ),
    "a count of some": Case(
        [], [counted("a-0", complete=False), start("x"), stop("a-2")], 1
    ),
    "a stop elsewhere": Case([], [Told(stop("a-0"), LHR)], 1),
    "a late stop": Case(
        [], [Told(stop("a-0"), step_ns=3 * DAY_NS, age_ns=DAY_NS + 1)], 1
    ),
    "a stop of old": Case([], [Told(stop("a-0"), age_ns=HOUR_NS)], 1),
    "two stops": Case([], [stop("a-0"), stop("a-0")], 2),
    "a second stop": Case([stop("a-0"), start("a-0")], [stop("a-0")], 1),
    "a new machine's stop": Case([], [stop("zz"), stop("a-0"), stop("a-2")], 0, FEW),
    "a known stop before": Case([], [stop("a-0"), stop("zz"), stop("a-2")], 0, FEW),
    "an object's stop": Case(
        [], [Told(stop("zz"), app="shop"), stop("a-0"), stop("a-2")], 3, FEW
    ),
    "a count before stops": Case(
        [], [counted("b-0", complete=True), stop("a-0"), stop("b-0")], 3, FEW
    ),
    "more stops than are remembered": Case(
        [stop("b-2")], [stop("a-0"), stop("a-2"), stop("b-0"), start("x")], 0, FEW
    ),
    "a machine that would be forgotten starts": Case(
        [stop("a-0"), stop("a-2")],
        [start("a-0"), stop("b-0"), start("x", A, API)],
        2,
        FEW,
    ),
    "a machine that would be forgotten is counted": Case(
        [stop("a-0"), stop("a-2")],
        [counted("a-0", complete=False), stop("b-0")],
        2,
        FEW,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_starts_and_stops_mean_the_same_beside(name: str) -> None:
    """Whatever stands around them, and only where it must be are they folded alone."""
    case, log = CASES[name], Log()
    for told in (*usual(), *case.before):
        log.add(told)
    known = len(log.messages)

    for told in case.block:
        log.add(told)

    assert folded_alike(log.messages, known, [], case.limits) == case.alone


@pytest.mark.parametrize("together", [True, False])
def test_events_whose_times_meet_keep_their_order(together: bool) -> None:  # noqa: FBT001
    """Each is a nanosecond after the one before it, so that none is calm."""
    log = Log()
    for told in usual():
        log.add(told)
    log.add_together([start("p"), start("q"), start("r")])
    known = len(log.messages) - together

    log.add_together([Told(start("s"), step_ns=1), stop("a-0")])

    alone = folded_alike(log.messages, known, [], Limits())
    assert alone == (5 if together else 2)


@pytest.mark.parametrize(
    ("table", "column"),
    [("apps", cells.App.FIRST_START), ("regions", cells.Region.LAST_START)],
)
def test_what_an_older_checkpoint_lacks_is_learned_again(
    table: str, column: int
) -> None:
    """Columns of later versions begin with zeros: then the first start is not calm."""
    log = Log()
    for told in (*usual(), PUSH, start("x")):
        log.add(told)
    one_by_one, in_blocks = State(), State()

    for state in (one_by_one, in_blocks):
        for message in log.messages[:-2]:
            fold(state, message)
        rows: Table = getattr(state, table)
        for _, row in rows.rows():
            rows.set(row, column, 0)
    for message in log.messages[-2:]:
        fold(one_by_one, message)
    for _ in fold_block_steps(in_blocks, block_of(log.messages[-2:]), lambda _: None):
        pass

    assert rows_of(in_blocks) == rows_of(one_by_one)


class BusyMachines:
    """A log of starts and stops, drawn by a seed, and what now and then disturbs."""

    def __init__(self, seed: int) -> None:
        """Draw by *seed*."""
        self.random = Random(seed)
        self.log = Log()
        self.running: list[str] = []
        self.number = 0

    def draw(self, *choices: Any) -> Any:  # noqa: ANN401 - whatever is given
        """Return one of *choices*."""
        return self.random.choice(choices)

    def messages(self) -> list[RecordedMessage]:
        """Return a whole log."""
        for known in usual():
            self.log.add(known)
        for _ in range(self.random.randint(20, 30)):
            quiet = self.draw(0.0, 0.0, 0.03, 0.2)
            count = self.random.randint(1, 20)
            step_ns = self.draw(1, 99, SECOND_NS, SECOND_NS, MINUTE, HOUR_NS)
            told = [
                self.around() if self.random.random() < quiet else self.usual()
                for _ in range(count)
            ]
            self.log.add_together([replace(one, step_ns=step_ns) for one in told])
        return self.log.messages

    def usual(self) -> Told:
        """Return a start, a stop or a pull."""
        age_ns, where = self.draw(0, 0, 1, 11 * SECOND_NS, HOUR_NS), self.draw(AMS, FRA)
        if self.running and self.random.random() < 0.4:
            gone = self.running.pop(self.random.randrange(len(self.running)))
            return Told(stop(gone), where, min(age_ns, SECOND_NS))
        if self.random.random() < 0.2:
            pulled = ev.ContentPulled(
                self.draw(A, B),
                WEB,
                transferred_bytes=7,
                pull_duration_ns=ev.DurationNs(9),
            )
            return Told(pulled, where, age_ns)
        self.number += 1
        machine = f"m-{self.number}"
        self.running.append(machine)
        return Told(self.start(machine), where, age_ns)

    def start(self, machine: str) -> ev.MachineStarted:
        """Return a start of one of the images, and whatever it may say."""
        waits = [self.draw(None, 0, 5, 6, 7) for _ in range(3)]
        return start(
            machine,
            self.draw(A, B, B),
            self.draw(WEB, WEB, API),
            source_region=self.draw(None, None, AMS, FRA, IAD),
            cache=self.draw(*CacheKind),
            transferred_bytes=self.draw(0, 5),
            tag=self.draw(None, Tag("v1")),
            image_wait_ns=waits[0],
            expected_wait_p50_ns=waits[1],
            expected_wait_p90_ns=waits[2],
        )

    def around(self) -> Told:
        """Return what may change what the starts and stops beside it mean."""
        machine = f"m-{self.random.randint(0, self.number + 1)}"
        self.number += 1
        pushed, tag = Descriptor(self.draw(A, B, C, D), MANIFEST, 9), Tag("v")
        facts: list[Fact] = [
            self.start(machine),
            stop(machine),
            stop(machine),
            counted(machine, complete=self.random.random() < 0.2),
            ev.AppWithdrawn(self.draw(WEB, API)),
            ev.ContentPushed(pushed, self.draw(WEB, API, NEW), self.draw(None, tag)),
            start(f"m-{self.number}", D, self.draw(WEB, API, NEW)),
            self.draw(SHOP, planned(API, self.number), planned(NEW, self.number)),
        ]
        age_ns = self.draw(0, 0, 11 * SECOND_NS, HOUR_NS, DAY_NS + 1)
        app = self.draw("", "", "", "acme/web", "shop")
        return Told(self.draw(*facts), self.draw(AMS, FRA, IAD), age_ns, app)


@pytest.mark.parametrize("seed", range(24))
def test_busy_logs_of_machines_fold_alike(seed: int) -> None:
    """Cut anywhere, with room for many stopped machines and days, and for few."""
    busy = BusyMachines(seed)
    log = busy.messages()
    cuts = {busy.random.randint(20, len(log)) for _ in range(5)}
    limits = busy.draw(Limits(), Limits(stopped=3), Limits(stopped=9, start_days=20))

    alone = folded_alike(log, len(usual()), cuts, limits)

    assert alone < sum(len(message.items) for message in log[len(usual()) :])
