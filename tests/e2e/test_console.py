"""The console of the real service, in a real browser: what people see, and how soon.

Pictures of the run are kept under build/screenshots. ``PLACEMENT_PICTURES=1`` writes
those of the README, and ``PLACEMENT_LONG=1`` looks at every page in every size.
Figures: ``pytest -rP tests/e2e/test_console.py``.
"""

import os
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from placement.v1 import events_pb2, report_service_pb2, report_service_pb2_grpc
from placement.v1 import operations_service_pb2 as operations
from placement.v1 import operations_service_pb2_grpc as operations_grpc
from tests.console_browser import (
    MIDDLE,
    NARROW,
    PICTURES,
    PICTURES_ASKED,
    WAIT_SECONDS_MAX,
    WIDE,
    ConsoleService,
    Scheme,
    browser,
    console_service,
    opened,
)
from tests.console_pictures import VERSIONS, tell_story
from tests.console_world import begun, push, start, starts_requested
from tests.figures import tell
from tests.nats_server import NatsServer, newest_server

__all__ = ["browser"]  # a fixture

LONG = bool(os.environ.get("PLACEMENT_LONG"))
PAGES = ("/", "/regions", "/service", "/nothing-here")
LOOKS: tuple[tuple[Scheme, int], ...] = (("light", WIDE), ("dark", NARROW))
if LONG:
    LOOKS += (
        ("light", MIDDLE),
        ("light", NARROW),
        ("dark", MIDDLE),
        ("dark", WIDE),
    )
LIVE_SECONDS_MAX = 2.0
PATIENCE_SECONDS = LIVE_SECONDS_MAX if LONG else WAIT_SECONDS_MAX
"""How soon is for a run that nothing else disturbs; the gate asks whether at all."""
LIVE_ROUNDS = 20 if LONG else 2
STALE_SECONDS_MAX = 20.0
PICTURE_BYTES_MAX = 150_000
PICTURE_WIDTH = 1280
PICTURE_COLOURS = 96
OVERVIEW, IMAGE = "console-overview-light.png", "console-image-dark.png"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleService]:
    """A service that has heard of four apps, and decided on copies of three."""
    with console_service(tmp_path_factory.mktemp("console")) as found:
        found.publish(
            [
                *push("ams", "acme/web"),
                *push("iad", "acme/api"),
                *push("fra", "globex/worker"),
                *push("sin", "initech/reports"),
            ]
        )
        found.publish(
            [
                starts_requested("syd", "acme/web", ["syd", "lax"]),
                starts_requested("gru", "acme/api", ["gru", "nrt"]),
                starts_requested("jnb", "globex/worker", ["jnb"]),
            ]
        )
        first, *_ = found.decided(5)
        found.publish([begun(first), start("ams", "acme/web", "m-1", 0.33)])
        drain(found, "cdg")
        yield found


def drain(console: ConsoleService, region: str) -> None:
    """Order that a region is to be drained."""
    request = operations.SetRegionStateRequest(
        region=region, state=events_pb2.REGION_STATE_DRAINING
    )
    request.operation.actor = request.operation.reason = "a test"
    request.operation.request_id = f"drain-{region}"
    with grpc.insecure_channel(console.target) as channel:
        stub: Any = operations_grpc.OperationsServiceStub(channel)
        stub.SetRegionState(request, timeout=WAIT_SECONDS_MAX)


def reported(console: ConsoleService) -> Any:  # noqa: ANN401 - a report of the contract
    """Return what ``placement report --since 7d`` is made from."""
    request = report_service_pb2.GetReportRequest()
    with grpc.insecure_channel(console.target) as channel:
        stub: Any = report_service_pb2_grpc.ReportServiceStub(channel)
        return stub.GetReport(request, timeout=WAIT_SECONDS_MAX)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_page_keeps_nobody_out(
    console: ConsoleService, browser: Browser, path: str, scheme: Scheme, width: int
) -> None:
    """No error, no violation of the policy, no scrolling aside, no serious fault."""
    name = path.strip("/").replace("/", "-") or "overview"
    with opened(browser, console.url(path), scheme, width) as looked:
        looked.shoot(f"{name}-{scheme}-{width}")

        if path == PAGES[-1]:  # the browser complains of the status itself
            assert [each for each in looked.complaints if "404" not in each] == []
            looked.complaints.clear()
        looked.check()
        assert looked.serious_faults() == []


def test_front_page_says_first_what_was_saved(
    console: ConsoleService, browser: Browser
) -> None:
    """The first line is the answer, with the report's figures, honest about lots."""
    with opened(browser, console.url("/")) as looked:
        page = looked.page
        total = reported(console).total
        claim = page.locator("#live_saving").inner_text()

        assert page.locator("main h2").first.inner_text() == "Waiting saved this week"
        assert "Not enough pairs yet to measure it" in claim
        drawn = total.measured.treated_count + total.measured.withheld_count
        assert f"{total.measured.withheld_count} of {drawn} foreseen copies" in claim
        decided = page.locator("dt:text-is('Copies decided') + dd").inner_text()
        assert decided == str(total.copies.decided_count)
        assert total.copies.decided_count >= 5


def test_map_shows_regions_copies_and_orders(
    console: ConsoleService, browser: Browser
) -> None:
    """Each region has its mark, a copy its arc, and what is drained another shape."""
    with opened(browser, console.url("/")) as looked:
        page = looked.page

        assert page.locator(".world .place").count() == 19
        assert page.locator(".world .arc").count() >= 4
        assert page.locator(".world .arc.moving").count() == 1
        assert page.locator(".world .place.wait rect.dot").count() == 1
        assert "cdg is draining" in page.locator("#map-said").inner_html()
        assert "cdg is draining" in page.locator("#live_needs").inner_text()
        page.goto(console.url("/regions"))
        assert "draining" in page.locator("tr#cdg").inner_text()
        assert page.locator("tr#ams td").nth(1).inner_text() == "4"


def test_page_follows_the_log(console: ConsoleService, browser: Browser) -> None:
    """What is pushed and decided shows in an open page, soon and without a reload."""
    slowest_s = 0.0
    with opened(browser, console.url("/")) as looked:
        page = looked.page
        page.wait_for_selector("body[data-connected=yes]")
        page.evaluate("() => { window.notReloaded = true; }")
        arcs = page.locator(".world .arc").count()
        for number in range(LIVE_ROUNDS):
            repository = f"live/app-{number}"
            console.publish(push("iad", repository))
            began = time.monotonic()
            console.publish([starts_requested("sin", repository, ["sin"])])
            shown = page.locator("#live_newest", has_text=repository)
            shown.wait_for(timeout=PATIENCE_SECONDS * 1_000)
            slowest_s = max(slowest_s, time.monotonic() - began)

        page.locator(".world .arc").nth(arcs).wait_for(timeout=WAIT_SECONDS_MAX * 1_000)
        assert page.evaluate("() => window.notReloaded")
        looked.check()
    tell("live updates of the front page", rounds=LIVE_ROUNDS, slowest_s=slowest_s)


def test_light_and_dark_differ(console: ConsoleService, browser: Browser) -> None:
    """The page takes the reader's own scheme."""
    schemes: tuple[Scheme, Scheme] = ("light", "dark")
    paper = []
    for scheme in schemes:
        with opened(browser, console.url("/"), scheme) as looked:
            script = "() => getComputedStyle(document.body).backgroundColor"
            paper.append(looked.page.evaluate(script))

    assert paper == ["rgb(252, 251, 249)", "rgb(20, 22, 19)"]


def test_page_can_be_used_by_keyboard(
    console: ConsoleService, browser: Browser
) -> None:
    """First comes the link past the navigation, and the search is a few steps on."""
    with opened(browser, console.url("/regions")) as looked:
        page = looked.page
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to the content"
        assert page.locator(".skip").is_visible()
        steps: list[str] = []
        while focused(page) != "q" and len(steps) < 12:
            page.keyboard.press("Tab")
            steps.append(focused(page))
        page.keyboard.type("acme/web")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?q=acme%2Fweb")

        assert steps[-1] == "q"
        page.goto(console.url("/regions"))
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.evaluate("() => document.activeElement.id") == "main"


def focused(page: Page) -> str:
    """Return the id of what has the focus, or else what it says."""
    script = "() => document.activeElement.id || document.activeElement.textContent"
    return str(page.evaluate(script)).strip()


def test_page_says_the_same_without_scripts(
    console: ConsoleService, browser: Browser
) -> None:
    """All is in what the server sends; a script only keeps it up to date."""
    with opened(browser, console.url("/regions"), scripts=False) as looked:
        text = looked.page.locator("main").inner_text()

    assert "Amsterdam" in text
    assert "19 regions of the catalogue" in text


@pytest.mark.long
def test_console_answers_when_the_broker_is_gone(
    browser: Browser, tmp_path: Path
) -> None:
    """An open page says by itself that the log is out of reach; a new one says so too.

    And both say that all is well again, once it is. Without the service itself, an
    open page says that it tells of the past.
    """
    broker = NatsServer(newest_server(), tmp_path / "nats")
    broker.start()
    try:
        with (
            console_service(
                tmp_path / "service", ("--nats-url", broker.url)
            ) as console,
            opened(browser, console.url("/")) as looked,
        ):
            console.publish(push("iad", "acme/web"))
            standing = looked.page.locator("#live_standing .standing")
            looked.page.wait_for_selector("body[data-connected=yes]")
            assert standing.count() == 0

            broker.kill()
            began = time.monotonic()
            standing.wait_for(timeout=STALE_SECONDS_MAX * 1_000)
            told_s = time.monotonic() - began
            assert "the log is out of reach" in standing.inner_text()
            status, _, html = console.get("/service")
            assert status == 200
            assert "not known: the log is out of reach" in html
            assert "the log is out of reach" in console.get("/search?q=acme/web")[2]
            looked.shoot("overview-stale")

            broker.start()
            standing.wait_for(state="detached", timeout=WAIT_SECONDS_MAX * 1_000)
            lost = looked.page.locator("#lost")
            assert not lost.is_visible()
            console.service.kill()
            lost.wait_for(timeout=WAIT_SECONDS_MAX * 1_000)
            assert "the service does not answer" in lost.inner_text()
    finally:
        broker.kill()
    tell("a page that hears of a lost broker", seconds=told_s)


@pytest.mark.skipif(not PICTURES_ASKED, reason="PLACEMENT_PICTURES is not set")
def test_pictures_of_the_readme_are_taken(browser: Browser, tmp_path: Path) -> None:
    """A service that has measured a saving, by day; and one image of it, by night."""
    looks: tuple[tuple[str, Scheme, str], ...] = (
        ("/", "light", OVERVIEW),
        (f"/images/acme/web?reference=v{VERSIONS + 1}&region=syd", "dark", IMAGE),
    )
    PICTURES.mkdir(parents=True, exist_ok=True)
    with console_service(tmp_path) as console:
        tell_story(console)
        for path, scheme, name in looks:
            with opened(browser, console.url(path), scheme, PICTURE_WIDTH) as looked:
                looked.check()
                taken = looked.page.screenshot(animations="disabled")
                few = Image.open(BytesIO(taken)).quantize(PICTURE_COLOURS)
                few.save(PICTURES / name, optimize=True)


def test_pictures_of_the_readme_are_small() -> None:
    """Whoever reads the README waits for no picture; each is one that a run made."""
    readme = (PICTURES.parents[1] / "README.md").read_text("utf-8")
    for name in (OVERVIEW, IMAGE):
        assert 10_000 < (PICTURES / name).stat().st_size <= PICTURE_BYTES_MAX
        assert f"docs/pictures/{name}" in readme
