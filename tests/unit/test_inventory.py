"""The parts of a scan by themselves: pace, patience, pages, position, cycle."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import httpx
import pytest

from placement.agent.inventory.asking import Asker, together
from placement.agent.inventory.manifests import ManifestCache
from placement.agent.inventory.pace import BURST_SECONDS, Pace
from placement.agent.inventory.pages import PAGE_COUNT_MAX, Edition, Pages
from placement.agent.inventory.position import Position, PositionFile
from placement.agent.inventory.settings import ATTEMPTS_MAX
from placement.agent.registry.errors import RegistryError, RegistryRefusedError
from placement.agent.registry.retry_after import retry_after_s
from placement.core.event import (
    Event,
    InventoryAbsence,
    InventoryContent,
    InventoryTaken,
    Name,
)
from placement.core.oci import Descriptor, Platform, Tag
from placement.core.topology import Region
from placement.wire.events import EVENT_BYTES_MAX, decode_event, encode_event
from tests.builders import WEB, digest

EDITION: Final = Edition(Region("iad"), 1_795_000_000_000_000_000, Name("tests"))


class Time:
    """A clock that goes on only when somebody sleeps."""

    def __init__(self) -> None:
        """Begin at nought."""
        self.now_s = 0.0

    def clock(self) -> float:
        """Return the time."""
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.now_s += seconds


class Reported:
    """Keeps what was reported."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.events: list[Event] = []

    async def report(self, events: Sequence[Event]) -> None:
        """Keep *events*, as they arrive over the wire."""
        for event in events:
            proto = encode_event(event)
            assert proto.ByteSize() <= EVENT_BYTES_MAX
            self.events.append(decode_event(proto))

    @property
    def pages(self) -> list[InventoryTaken]:
        """What they say."""
        return [e.fact for e in self.events if isinstance(e.fact, InventoryTaken)]


@pytest.mark.parametrize("per_second", [0.5, 7.0, 50.0, 10_000.0])
async def test_no_second_has_more_requests_than_it_may(per_second: float) -> None:
    """Whatever was saved up before is worth a tenth of a second."""
    time = Time()
    pace = Pace(per_second, time.clock, time.sleep)
    went: list[float] = []
    chance = random.Random(1)

    for _ in range(300):
        await pace.turn()
        went.append(time.now_s)
        await time.sleep(chance.choice((0.0, 0.0, 0.0, 0.3 / per_second)))

    least = int(per_second * (1 + BURST_SECONDS)) + 1
    for number, at_s in enumerate(went[: -least - 1]):
        assert went[number + least] >= at_s + 1 - 1e-6


async def test_registry_that_rests_is_not_asked() -> None:
    """All turns come after it, whoever was told."""
    time = Time()
    pace = Pace(100.0, time.clock, time.sleep)
    await pace.turn()

    pace.rest(30.0)
    await pace.turn()

    assert time.now_s >= 30.0


def failing(times: int, error: RegistryError) -> Callable[[], Awaitable[str]]:
    """Return a request that fails so many times before it succeeds."""
    left = [error] * times

    async def request() -> str:
        if left:
            raise left.pop()
        return "done"

    return request


def asker(time: Time) -> Asker:
    """Return one that waits in no real time."""
    pace = Pace(1_000.0, time.clock, time.sleep)
    return Asker(pace, lambda: 0.5, 5.0, time.sleep)


async def test_request_is_tried_again_as_often_as_it_may() -> None:
    """Longer pauses each time; then its error is raised."""
    error = RegistryError("503")
    time = Time()

    answer = await asker(time).ask(failing(ATTEMPTS_MAX - 1, error))
    with pytest.raises(RegistryError):
        await asker(time).ask(failing(ATTEMPTS_MAX, error))

    assert answer == "done"
    assert time.now_s >= 2 * 0.75 * (0.2 + 0.4 + 0.8 + 1.6)


async def test_refusal_is_not_tried_again() -> None:
    """Other credentials would be needed, not another attempt."""
    patient = asker(Time())

    with pytest.raises(RegistryRefusedError):
        await patient.ask(failing(1, RegistryRefusedError("401")))

    assert patient.request_count == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("Sun, 29 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 29 Nov 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    """A date is told by the registry's own clock."""
    headers = httpx.Headers(
        {"Date": "Sun, 29 Nov 2026 12:00:00 GMT", "Retry-After": value}
    )

    assert retry_after_s(headers) == seconds


def content(name: str, references: int = 0, tags: int = 0) -> InventoryContent:
    """Return a content that refers to others."""
    children = tuple(
        Descriptor(digest(f"{name}-{number}"), "application/vnd.test", 5)
        for number in range(references)
    )
    return InventoryContent(
        Descriptor(digest(name), "application/vnd.test", 9),
        WEB,
        children,
        tuple(Tag(f"v{number}") for number in range(tags)),
    )


async def test_pages_fit_the_wire_and_only_the_last_is_complete() -> None:
    """However large what they tell of is."""
    reported = Reported()
    pages = Pages(EDITION, reported.report)

    for number in range(1_000):
        await pages.add_content(content(f"c{number}", references=number % 300, tags=90))
    for number in range(600):
        await pages.add_absence(InventoryAbsence(digest(f"a{number}"), WEB))
    await pages.flush(complete=True)

    told = [entry for page in reported.pages for entry in page.contents]
    absent = [entry for page in reported.pages for entry in page.absences]
    assert (len(told), len(absent)) == (1_000, 600)
    assert all(len(page.contents) <= PAGE_COUNT_MAX for page in reported.pages)
    complete = [page.complete for page in reported.pages]
    assert complete == [False] * (len(complete) - 1) + [True]
    assert {page.scan_time_ns for page in reported.pages} == {EDITION.scan_time_ns}
    assert len({event.event_id for event in reported.events}) == len(reported.events)


async def test_page_that_is_told_again_is_the_same_event() -> None:
    """And one that says something else after a restart is another."""
    reported = Reported()
    for name in ("a", "a", "b"):
        pages = Pages(EDITION, reported.report)
        await pages.add_content(content(name))
        await pages.flush()

    first, again, other = (event.event_id for event in reported.events)
    assert first == again != other


async def test_manifest_may_say_what_the_wire_cannot_carry() -> None:
    """Long types, strange platforms, endless sizes and lists are left out."""
    reported = Reported()
    pages = Pages(EDITION, reported.report)
    strange = Descriptor(
        digest("b"), "x" * 300, 1 << 60, Platform("linux\n", "amd64", "")
    )
    odd = InventoryContent(
        Descriptor(digest("a"), "text/plain; charset=utf-8", 3), WEB, (strange,)
    )

    await pages.add_content(odd)
    await pages.add_content(content("many", references=2_000))
    await pages.flush()

    [page] = reported.pages
    kept, many = page.contents
    assert kept.content.media_type == "text/plain"
    assert kept.references == (Descriptor(digest("b")),)
    assert many.references == ()


def test_position_survives_and_nonsense_does_not(tmp_path: Path) -> None:
    """Another region's, another format's and a torn file count as none."""
    path = tmp_path / "inventory.json"
    kept = Position(7, after="acme/web", page_count=3)
    file = PositionFile(path, "iad")

    assert file.read() is None
    file.write(kept)
    assert file.read() == kept
    assert PositionFile(path, "fra").read() is None
    for torn in ("", "{", "[]", '{"format": 1, "region": "iad"}', "\x00"):
        path.write_text(torn)
        assert PositionFile(path, "iad").read() is None


def test_manifests_that_are_used_stay() -> None:
    """What was asked for last goes last."""
    cache = ManifestCache(references_max=9)
    two = (Descriptor(digest("x")), Descriptor(digest("y")))
    for name in ("a", "b", "c"):
        cache.put(digest(name), two)
    cache.get(digest("a"))

    cache.put(digest("d"), two)

    known = [name for name in "abcd" if cache.get(digest(name)) is not None]
    assert known == ["a", "c", "d"]


async def test_everything_ends_when_one_of_many_fails() -> None:
    """Nothing goes on in the background that nobody waits for."""
    ended: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("slow")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise RegistryError("no")

    with pytest.raises(RegistryError):
        await together([slow(), fails()])

    assert ended == ["slow"]
