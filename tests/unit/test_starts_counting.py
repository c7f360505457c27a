"""Counting all machines: pages, regions, what is complete; lines, back-off, memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.agent.starts.counting import PAGE_MACHINES_MAX, Machine, MachineCounter
from placement.agent.starts.images import parse_image
from placement.agent.starts.lines import Lines
from placement.agent.starts.memory import Memory
from placement.agent.starts.settings import StartSettings
from placement.agent.starts.streams import (
    BACKOFF_SECONDS,
    BACKOFF_SECONDS_MAX,
    Backoff,
    SchedulerError,
)
from placement.agent.starts.telling import Teller
from placement.core.event import (
    Event,
    Identifier,
    MachinesCounted,
    MachineStarted,
    Name,
)
from placement.core.oci import Digest, Repository, Tag
from placement.core.topology import Region

IAD, SYD = Region("iad"), Region("syd")
SETTINGS = StartSettings(region=IAD, publisher=Name("agent/iad"))
DIGEST, OLDER = (Digest(f"sha256:{letter * 64}") for letter in "de")
WEB = parse_image(f"registry.example.com/acme/web@{DIGEST}")
TAGGED = parse_image("registry.example.com/acme/web:v1")


class Counted:
    """Counts given machines once, and keeps the pages."""

    def __init__(
        self, machines: Sequence[Machine], settings: StartSettings = SETTINGS
    ) -> None:
        """Count *machines*."""
        self.machines = machines
        self.failure: Exception | None = None
        self.unanswered = False
        self.pages: list[tuple[Region, MachinesCounted]] = []
        self.now_ns = 1_000
        self.teller = Teller(settings, self.report, self.find, lambda: 0.5)
        self.counter = MachineCounter([self.listed], self.teller, self.now, 300.0)

    def now(self) -> int:
        """A clock that goes on with every look."""
        self.now_ns += 1
        return self.now_ns

    async def listed(self) -> AsyncIterator[Machine]:
        """The machines, then the failure, if any."""
        for machine in self.machines:
            yield machine
        if self.failure is not None:
            raise self.failure

    async def find(self, _repository: Repository, _tag: Tag) -> Digest | None:
        """The tag is known, unless nobody answers."""
        if self.unanswered:
            message = "down"
            raise SchedulerError(message)
        return DIGEST

    async def report(self, events: Sequence[Event]) -> None:
        """Keep the pages."""
        for event in events:
            if isinstance(event.fact, MachinesCounted):
                self.pages.append((event.region, event.fact))

    @property
    def complete(self) -> list[tuple[Region, bool]]:
        """The region of each page and whether it is the last."""
        return [(region, page.complete) for region, page in self.pages]


def machines(count: int, region: Region = IAD) -> list[Machine]:
    """So many machines of one image."""
    return [Machine(Identifier(f"{region}-{n}"), region, WEB) for n in range(count)]


async def test_count_is_paged_and_only_the_last_page_is_complete() -> None:
    """Of one time, before the listing began."""
    counted = Counted(machines(2 * PAGE_MACHINES_MAX + 1))

    await counted.counter.count()

    sizes = [
        sum(len(group.machine_ids) for group in page.groups)
        for _, page in counted.pages
    ]
    assert sizes == [512, 512, 1]
    assert counted.complete == [(IAD, False), (IAD, False), (IAD, True)]
    assert {page.scan_time_ns for _, page in counted.pages} == {1_001}


async def test_every_region_has_its_own_count_and_keeps_it_when_empty() -> None:
    """The last machine of a region is gone only once a count says so."""
    counted = Counted([*machines(1), *machines(1, SYD)])
    await counted.counter.count()
    counted.machines, counted.pages = [], []

    await counted.counter.count()

    assert counted.complete == [(IAD, True), (SYD, True)]
    assert [page.groups for _, page in counted.pages] == [(), ()]


async def test_listing_that_fails_completes_nothing() -> None:
    """What was not listed is not gone."""
    counted = Counted(machines(PAGE_MACHINES_MAX))
    counted.failure = SchedulerError("half way")

    with pytest.raises(SchedulerError):
        await counted.counter.count()

    assert counted.complete == [(IAD, False)]


async def test_unanswered_tag_leaves_its_region_incomplete() -> None:
    """The machine runs, whatever the registry does."""
    tagged = Machine(Identifier("m"), SYD, TAGGED)
    counted = Counted([*machines(1), tagged])
    counted.unanswered = True

    await counted.counter.count()
    counted.unanswered = False
    await counted.counter.count()

    assert counted.complete == [(IAD, True), (SYD, False), (IAD, True), (SYD, True)]


async def test_machine_is_counted_with_the_digest_it_started_with() -> None:
    """Its tag moved while it ran."""
    counted = Counted([Machine(Identifier("m"), IAD, TAGGED)])
    started = MachineStarted(OLDER, Repository("acme/web"), Identifier("m"))
    await counted.teller.report([Event(Identifier("e"), IAD, started)])

    await counted.counter.count()

    assert [group.digest for _, page in counted.pages for group in page.groups] == [
        OLDER
    ]


async def test_images_of_other_registries_are_not_counted() -> None:
    """Nor were their starts told."""
    settings = replace(SETTINGS, registries=("other.example.com",))
    counted = Counted(machines(3), settings)

    await counted.counter.count()

    assert [page.groups for _, page in counted.pages] == [()]


async def test_counting_goes_on_after_a_failure() -> None:
    """At intervals that are jittered, so that agents do not count all at once."""
    counted = Counted(machines(1))
    counted.failure = SchedulerError("down")
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        counted.failure = None
        if len(slept) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await counted.counter.run(sleep)

    assert slept == [300.0] * 3
    assert counted.complete == [(IAD, True)] * 2


@given(st.lists(st.binary(max_size=40)), st.integers(1, 17))
def test_lines_are_the_same_however_the_bytes_are_cut(
    parts: list[bytes], size: int
) -> None:
    """Whole lines come out, in order, without what is empty."""
    body = b"\n".join(parts)
    lines = Lines()

    found = [
        line
        for at in range(0, len(body), size)
        for line in lines.fed(body[at : at + size])
    ]

    *whole, _rest = body.split(b"\n")
    assert found == [line.strip() for line in whole if line.strip()]


def test_line_that_is_too_long_is_passed_over() -> None:
    """And takes no more memory than the limit."""
    lines = Lines(bytes_max=10)

    found = lines.fed(b"first\n") + lines.fed(b"x" * 50)
    for _ in range(100):
        found += lines.fed(b"y" * 50)
    found += lines.fed(b"z\nlast\n")

    assert found == [b"first", b"last"]
    assert lines.skipped_count == 1


async def test_back_off_doubles_up_to_its_limit_and_begins_again() -> None:
    """Jittered to at least a half."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    backoff = Backoff(lambda: 0.0, sleep)
    for _ in range(20):
        await backoff.wait()
    backoff.reset()
    await backoff.wait()

    assert slept[:3] == [BACKOFF_SECONDS / 2, BACKOFF_SECONDS, BACKOFF_SECONDS * 2]
    assert slept[-2:] == [BACKOFF_SECONDS_MAX / 2, BACKOFF_SECONDS / 2]


def test_memory_forgets_what_was_set_longest_ago() -> None:
    """And says what it forgot."""
    memory: Memory[str, int] = Memory(2)

    forgotten = [
        memory.put(key, value) for key, value in (("a", 1), ("b", 2), ("a", 3))
    ]
    last = memory.put("c", 4)

    assert (forgotten, last) == ([None, None, None], 2)
    assert (memory.get("a"), memory.get("b"), memory.pop("c"), len(memory)) == (
        3,
        None,
        4,
        1,
    )
