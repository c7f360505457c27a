"""What the console's frame is made of: words, questions, the map, what is kept."""

import asyncio
import math
from collections.abc import Generator
from dataclasses import replace
from typing import TypeVar

import pytest

from placement.config import Config, ConfigError, load_config, load_topology
from placement.console import words
from placement.console.asked import Asked, parse_query
from placement.console.finding import Finder, PageUnknownError
from placement.console.guarding import is_own_name
from placement.console.keeping import Keeper
from placement.console.page import Page, PageRoute
from placement.console.projection import HEIGHT, WIDTH, land_path, projected
from placement.console.saving import Saving, saving_of
from placement.console.site import Site
from placement.console.standings import (
    Counted,
    Flows,
    Holding,
    Lane,
    flows,
    holdings,
    region_standings,
)
from placement.console.worldmap import Box, world_map
from placement.core.deciding.ruling import SHIPPED
from placement.core.errors import InputError
from placement.core.event import RegionState
from placement.core.reporting.figures import GroupBy
from placement.core.reporting.periods import period_of
from placement.core.reporting.prices import Prices
from placement.core.reporting.report import Question, report
from placement.core.topology import Region
from tests.builders import (
    API,
    FRA,
    IAD,
    START_NS,
    SYD,
    TOPOLOGY,
    WEB,
    changed,
    folded,
    pushed,
)
from tests.decided import Decided

Result = TypeVar("Result")
NO_FLOWS = Flows((), {}, {}, {})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.size(0), "0 bytes"),
        (words.size(1), "1 byte"),
        (words.size(999), "999 bytes"),
        (words.size(1_000), "1.00 kB"),
        (words.size(63_500_000), "63.5 MB"),
        (words.size(5.24e9), "5.24 GB"),
        (words.seconds(0.333), "0.33 s"),
        (words.seconds(53.5), "53.5 s"),
        (words.seconds(-53.5), "\N{MINUS SIGN}53.5 s"),
        (words.seconds(600), "10 min"),
        (words.seconds(3 * 3_600), "3.00 h"),
        (words.seconds(3 * 86_400), "3 days"),
        (words.seconds(math.inf), "∞"),
        (words.share(None), "\N{EN DASH}"),
        (words.share(0.0123), "1.2 %"),
        (words.share(0.5), "50 %"),
        (words.money(0, "EUR"), "0.00 EUR"),
        (words.money(0.001, "EUR"), "< 0.01 EUR"),
        (words.money(1_234.5, "EUR"), "1,234.50 EUR"),
        (words.moment(86_400 * 10**9), "1970-01-02 00:00:00 Z"),
        (words.ago(0, 5), "never"),
        (words.ago(10**9, 2 * 10**9), "1 s ago"),
        (words.ago(0 + 1, 7_200 * 10**9 + 1), "2 h ago"),
        (words.ago(60 * 10**9, 10**9), "in 59 s"),
        (words.digest(f"sha256:{'ab' * 32}"), "abababababab"),
        (words.word("OBSERVE_ONLY"), "observe only"),
    ],
)
def test_figure_is_said(said: str, expected: str) -> None:
    """Short, exact, and with its unit."""
    assert said == expected
    assert words.moment(0) == words.NOTHING


def test_query_is_read_field_by_field() -> None:
    """Empty fields are none; what is wrong is named."""
    query = parse_query(b"q=+acme%2Fweb+&region=&page=3&kind=copy")
    asked = Asked("/search", {}, query)

    assert asked.query == {"q": "acme/web", "page": "3", "kind": "copy"}
    assert asked.text("q") == "acme/web"
    assert asked.number("page", 1, 9, 1) == 3
    assert asked.choice("kind", ("copy", "removal")) == "copy"
    assert asked.link(page="4", kind="") == "/search?q=acme%2Fweb&page=4"
    assert asked.address == "/search?q=acme%2Fweb&page=3&kind=copy"
    for wrong in (
        lambda: asked.text("q", length_max=3),
        lambda: Asked("/", {}, {"q": "a\x00b"}).text("q"),
        lambda: asked.choice("kind", ("removal",)),
        lambda: asked.number("page", 1, 2, 1),
        lambda: Asked("/", {}, {"page": "³"}).number("page", 1, 9, 1),
    ):
        with pytest.raises(InputError) as error:
            wrong()
        assert error.value.field in {"q", "kind", "page"}


def test_page_is_found_by_its_path() -> None:
    """A repository has slashes; what is nowhere is said so."""

    async def image(_site: Site, _asked: Asked) -> Page:
        return Page("error.html", "")

    finder = Finder([PageRoute("/images/{repository:path}", image)])
    asked, handler = finder.at("/images/acme/web%20x?reference=v1")

    assert handler is image
    assert asked.parts == {"repository": "acme/web x"}
    assert asked.query == {"reference": "v1"}
    with pytest.raises(PageUnknownError):
        finder.at("/image")


def test_own_names_are_of_this_machine() -> None:
    """What a foreign page could have as its name is none of them."""
    own = ("localhost", "LOCALHOST:1", "127.0.0.1:7480", "127.9.9.9", "[::1]:80")
    assert all(map(is_own_name, own))
    foreign = ("", "example", "localhost.example", "192.168.0.1", "[::2]", "1", "a b:1")
    assert not any(map(is_own_name, foreign))


def test_places_are_on_the_map_where_they_are_on_earth() -> None:
    """West is left, north is up, and the land is inside."""
    west, east = projected(-122.0, 37.0), projected(151.0, -34.0)
    north = projected(18.0, 59.0)
    assert 0 < west[0] < north[0] < east[0] < WIDTH
    assert 0 < north[1] < west[1] < east[1] < HEIGHT
    assert land_path().startswith("M")
    assert 10_000 < len(land_path()) < 30_000


def test_labels_cover_neither_each_other_nor_a_region() -> None:
    """Of the shipped catalogue, with its crowd in Europe."""
    topology = load_topology(Config())
    counted = Counted(NO_FLOWS, {}, {})
    drawn = world_map(region_standings(folded(), topology, counted, START_NS), ())
    boxes = [
        Box(m.label_x - 10, m.label_y - 11, m.label_x + 10, m.label_y + 2)
        for m in drawn.markers
    ]

    assert len(drawn.markers) == len(topology.regions)
    for number, box in enumerate(boxes):
        assert not any(box.covers(other) for other in boxes[number + 1 :])
        assert box.inside


def test_arc_leads_to_its_target_only_where_both_are_known() -> None:
    """The more copies, the wider; a lane of an unknown region is left out."""
    counted = Counted(NO_FLOWS, {}, {})
    standings = region_standings(folded(), TOPOLOGY, counted, START_NS)
    lanes = [
        Lane(IAD, SYD, 1, 0, 10),
        Lane(IAD, FRA, 3, 20, 10),
        Lane(Region("gone"), SYD, 1, 0, 10),
    ]
    drawn = world_map(standings, lanes)

    assert [arc.lane.target for arc in drawn.arcs] == [SYD, FRA]
    assert drawn.arcs[0].width < drawn.arcs[1].width
    assert (drawn.moving, drawn.planned) == (4, 20)


def test_holdings_count_a_content_once() -> None:
    """However many repositories of a region it is in."""
    state = folded(
        pushed("web-1", IAD, repository=WEB),
        pushed("web-1", IAD, repository=API),
        pushed("web-1", FRA, repository=WEB),
    )
    found = drained(holdings(state))
    held = {
        digest: state.size_bytes(row)
        for digest, row in ((key, row) for key, row in state.digests.rows())
    }

    assert found[IAD] == found[FRA] == Holding(len(held), sum(held.values()))


def test_flows_and_orders_are_told_by_region() -> None:
    """Of what was decided the open copies, and of each region what was ordered."""
    log = Decided().release("a")
    log.plan("a")
    state = folded(*(event for _, event in log.told), changed(FRA, RegionState.DOWN))
    found = drained(flows(state))
    counted = Counted(found, drained(holdings(state)), {IAD: 3})
    rows = {
        each.code: each
        for each in region_standings(state, TOPOLOGY, counted, START_NS + 10**12)
    }

    [lane] = found.lanes
    assert (lane.started_count, lane.planned_count) == (0, 1)
    assert rows[lane.target].open_copy_count == 1
    assert rows[lane.target].inbound_bytes == lane.transfer_bytes > 0
    assert (rows[FRA].state, rows[FRA].kind) == ("down", "bad")
    assert (rows[IAD].state, rows[IAD].refused_count) == ("active", 3)


def drained(steps: Generator[None, None, Result]) -> Result:
    """Return what steps come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def test_saving_is_the_report() -> None:
    """Each figure is the report's, and too few pairs are called that."""
    log = Decided().release("a")
    log.complete(log.plan("a")).start("a")
    state = folded(*(event for _, event in log.told))
    question = Question(period_of(None, START_NS + 10**13), GroupBy.WHOLE, START_NS)
    found = report(state, TOPOLOGY, Prices("EUR", 1.0), SHIPPED.policy, question)
    told = saving_of(found.total, found.currency, "default", START_NS)

    assert not told.measured
    assert told.verdict == "unmeasured"
    assert told.scale is None
    assert told.seconds == told.modelled_seconds == found.total.copies.saved_ns / 1e9
    assert told.transfer_cost == found.total.costs.transfer > 0
    assert told.currency == "EUR"
    assert told.decided


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(5, 9, "saved"), (-9, -5, "cost"), (-5, 9, "unshown")],
)
def test_verdict_says_no_more_than_the_interval(
    low: float, high: float, verdict: str
) -> None:
    """Zero is on the line in any case."""
    told = measured(low, high)

    assert told.verdict == verdict
    scale = told.scale
    assert scale is not None
    assert 0 <= min(scale.zero, scale.low) <= max(scale.high, scale.zero) <= 100
    assert scale.low < scale.middle < scale.high


def measured(low: float, high: float) -> Saving:
    """Return figures with an interval."""
    log = Decided().release("a")
    state = folded(*(event for _, event in log.told))
    question = Question(period_of(None, START_NS), GroupBy.WHOLE, START_NS)
    found = report(state, TOPOLOGY, Prices(), SHIPPED.policy, question)
    plain = saving_of(found.total, "EUR", "default", START_NS)
    middle = (low + high) / 2
    return replace(plain, measured=True, seconds=middle, low=low, high=high)


async def test_what_is_kept_is_made_once_for_all_who_ask() -> None:
    """And again when it is of something else, after a pause as long as it deserves."""
    keeper = Keeper()
    made: list[None] = []

    async def make() -> int:
        await asyncio.sleep(0)
        made.append(None)
        return len(made)

    found = await asyncio.gather(*(keeper.get("a", 1, make) for _ in range(5)))

    assert found == [1] * 5
    assert await keeper.get("a", 2, make) == 1  # it was made just now
    assert await keeper.get("b", 2, make) == 2


def test_address_of_the_console_is_as_safe_as_that_of_grpc() -> None:
    """Off loopback it takes certificates, or the same leave to go without."""
    assert Config().console_listen == "127.0.0.1:7480"
    assert Config(console_listen="off").console_listen == ""
    assert Config(console_listen="").console_listen == ""
    for settings in (
        {"console_listen": "0.0.0.0:7480"},
        {"console_listen": "nowhere"},
    ):
        with pytest.raises(ConfigError) as error:
            load_config(overrides=settings)
        assert "console_listen" in str(error.value)
    allowed = load_config(
        overrides={"console_listen": "0.0.0.0:7480", "allow_plaintext": True}
    )
    assert allowed.console_listen == "0.0.0.0:7480"
