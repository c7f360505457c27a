"""The console's pages about one thing, in a real browser: found, asked, explained.

Pictures of the run are kept under build/screenshots. ``PLACEMENT_LONG=1`` looks at all
pages in every size. Figures: ``pytest -rP tests/e2e/test_console_pages.py``.
"""

import os
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console_browser import (
    MIDDLE,
    NARROW,
    WAIT_SECONDS_MAX,
    WIDE,
    ConsoleService,
    Scheme,
    browser,
    console_service,
    opened,
)
from tests.console_world import begun, push, start, starts_requested
from tests.figures import tell

__all__ = ["browser"]  # a fixture

LONG = bool(os.environ.get("PLACEMENT_LONG"))
LOOKS: tuple[tuple[Scheme, int], ...] = (("light", WIDE), ("dark", NARROW))
if LONG:
    LOOKS += (
        ("light", MIDDLE),
        ("light", NARROW),
        ("dark", MIDDLE),
        ("dark", WIDE),
    )
SHOWN = {
    WIDE: {"image", "decisions", "decision", "what-if"},
    NARROW: {"image", "search", "search-nothing", "repository", "estimate"},
}
"""Which pages the gate looks at by width: each at least once."""
LIVE_SECONDS_MAX = 2.0
PATIENCE_MS = 1_000 * (LIVE_SECONDS_MAX if LONG else WAIT_SECONDS_MAX)
"""How soon is for a run that nothing else disturbs; the gate asks whether at all."""
IMAGE = "/images/acme/web?reference=v1"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleService]:
    """A service that has heard of two apps, and decided on copies of both."""
    with console_service(tmp_path_factory.mktemp("console")) as found:
        found.publish([*push("iad", "acme/web"), *push("fra", "globex/worker")])
        found.publish(
            [
                starts_requested("syd", "acme/web", ["syd", "lhr"]),
                starts_requested("jnb", "globex/worker", ["jnb"]),
                start("iad", "acme/web", "m-1", 0.33),
            ]
        )
        found.decided(3)
        yield found


def pages(console: ConsoleService) -> dict[str, str]:
    """Every page about one thing, by the name of its picture."""
    [newest, *_] = console.decisions()
    return {
        "search": "/search?q=acme",
        "search-nothing": "/search?q=nobody",
        "repository": "/images/acme/web",
        "image": f"{IMAGE}&region=syd",
        "decisions": "/decisions",
        "decision": f"/decisions/{newest.replication_id}",
        "estimate": "/estimate?image=acme/web:v1&in=eu,syd",
        "what-if": "/what-if?image=acme/web:v1&down=iad&kappa_bytes_per_second=1000",
    }


def press_until(page: Page, id: str, key: str = "Tab", most: int = 60) -> None:  # noqa: A002 - as in HTML
    """Press a key until the element of an id has the focus."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate("() => document.activeElement.id") == id:
            return
    raise AssertionError(id)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_pages_keep_nobody_out(
    console: ConsoleService, browser: Browser, scheme: Scheme, width: int
) -> None:
    """No error, no violation of the policy, no scrolling aside, no serious fault."""
    for name, path in pages(console).items():
        if not LONG and name not in SHOWN[width]:
            continue
        with opened(browser, console.url(path), scheme, width) as looked:
            looked.shoot(f"{name}-{scheme}-{width}")

            looked.check()
            assert looked.serious_faults() == [], path


def test_search_leads_to_why_by_keyboard(
    console: ConsoleService, browser: Browser
) -> None:
    """From any page: the search, the image, a region, the reasons; by keys alone."""
    with opened(browser, console.url("/")) as looked:
        page = looked.page
        press_until(page, "q")
        page.keyboard.type("acme/web:v1")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search?**")
        hit = page.get_by_role("link", name="acme/web:v1")
        hit.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/images/acme/web?**")
        expect(page.get_by_role("heading", name="Where it is")).to_be_visible()

        press_until(page, "region")
        page.keyboard.type("syd")
        press_until(page, "", most=3)
        page.keyboard.press("Enter")
        page.wait_for_url("**region=syd**")

        expect(page.get_by_text("Is it copied for starts in syd?")).to_be_visible()
        sources = page.locator("table", has_text="Sources of all of it")
        expect(sources.get_by_role("row").nth(1)).to_contain_text("iad")
        expect(page.locator("ol.steps")).to_contain_text("tag v1 points to")
        expect(page.get_by_text("97% likely to start in syd").first).to_be_visible()
        looked.check()


def test_why_panel_needs_no_script(console: ConsoleService, browser: Browser) -> None:
    """The server prints all of it."""
    address = console.url(f"{IMAGE}&region=lhr")
    with opened(browser, address, scripts=False) as looked:
        expect(
            looked.page.get_by_text("Is it copied for starts in lhr?")
        ).to_be_visible()
        expect(looked.page.locator("ol.steps li").first).to_be_visible()


def test_estimate_is_a_form_for_the_keyboard(
    console: ConsoleService, browser: Browser
) -> None:
    """What is wrong is told at its field; what is right has seconds and reasons."""
    with opened(browser, console.url("/estimate")) as looked:
        page = looked.page
        press_until(page, "image")
        page.keyboard.type("acme/web:v1")
        press_until(page, "in", most=1)
        page.keyboard.type("mars")
        page.keyboard.press("Enter")
        page.wait_for_url("**in=mars**")
        expect(page.locator("#in")).to_have_attribute("aria-invalid", "true")
        described = page.locator("#in").get_attribute("aria-describedby") or ""
        for id_ in described.split():
            expect(page.locator(f"#{id_}")).to_be_visible()

        press_until(page, "in")
        page.keyboard.press("Control+a")
        page.keyboard.type("eu,syd")
        page.keyboard.press("Enter")
        page.wait_for_url("**in=eu%2Csyd**")
        rows = page.locator("tbody tr")
        expect(rows.filter(has=page.get_by_text("syd", exact=True))).to_have_count(1)
        expect(rows.first).to_contain_text("bytes come from iad")
        complaints = [each for each in looked.complaints if "400" not in each]
        assert complaints == []  # the browser complains of the status itself


def test_what_if_tells_the_difference_and_the_faulty_field(
    console: ConsoleService, browser: Browser
) -> None:
    """A number that is none, then one that copies less; nothing is decided by it."""
    before = len(console.decisions())
    with opened(browser, console.url("/what-if"), width=NARROW) as looked:
        page = looked.page
        press_until(page, "kappa_bytes_per_second")
        page.keyboard.press("Control+a")
        page.keyboard.type("much")
        page.keyboard.press("Enter")
        page.wait_for_url("**kappa_bytes_per_second=much**")
        number = page.locator("#kappa_bytes_per_second")
        expect(number).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#problem-kappa_bytes_per_second")).to_be_visible()

        number.fill("1000")
        page.get_by_label("Down").select_option("iad")
        page.get_by_label("Image", exact=True).fill("acme/web:v1")
        page.get_by_role("button", name="Compare").click()
        page.wait_for_url("**down=iad**")
        expect(page.get_by_text("If iad were down")).to_be_visible()
        expect(
            page.get_by_text("kappa_bytes_per_second 1000 instead of")
        ).to_be_visible()
        wide = page.evaluate(
            "() => document.documentElement.scrollWidth - window.innerWidth"
        )
        assert wide <= 0
    assert len(console.decisions()) == before


def test_a_decision_and_its_image_are_live(
    console: ConsoleService, browser: Browser
) -> None:
    """A replicator that begins is seen without a reload, on both pages."""
    [decided] = console.decisions(repository="acme/web", target_region="lhr")
    path = f"/decisions/{decided.replication_id}"
    with opened(browser, console.url(IMAGE)) as image:
        row = image.page.locator("#live_where tbody tr", has_text="lhr")
        expect(row).to_contain_text("wanted")
        with opened(browser, console.url(path)) as decision:
            status = decision.page.locator("#live_outcome .facts dd").first
            expect(status).to_contain_text("planned")
            for page in (image.page, decision.page):
                page.wait_for_selector("body[data-connected=yes]")

            began_s = time.monotonic()
            console.publish([begun(decided)])
            expect(status).to_contain_text("started", timeout=PATIENCE_MS)
            expect(row).to_contain_text("on its way", timeout=PATIENCE_MS)
            tell("console_pages_live", seconds=round(time.monotonic() - began_s, 2))

            decision.check()
            image.check()


def test_links_lead_both_ways(console: ConsoleService, browser: Browser) -> None:
    """From the list to a decision, to its image with the reason, and back."""
    with opened(browser, console.url("/decisions?region=jnb")) as looked:
        page = looked.page
        page.locator("tbody th a").first.click()
        page.wait_for_url("**/decisions/*")
        name = page.url.rpartition("/")[2]
        page.get_by_role("link", name="Why, for the region").click()
        page.wait_for_url("**/images/globex/worker?**")
        expect(page.get_by_text("Is it copied for starts in jnb?")).to_be_visible()
        page.locator(f"#live_decided a[href='/decisions/{name}']").click()
        page.wait_for_url(f"**/decisions/{name}")
        looked.check()
