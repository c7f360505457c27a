"""A real service with its console, and Debian's chromium that looks at it.

Tests with these are plain functions: playwright's own loop runs in their thread, so
``asyncio`` has no place in a module that uses them.
"""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, Final, Literal

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from playwright.sync_api import Browser, Page, sync_playwright

from placement.v1 import event_service_pb2, event_service_pb2_grpc, events_pb2
from placement.v1 import replication_service_pb2 as replications
from placement.v1 import replication_service_pb2_grpc as replications_grpc
from tests.console_world import Line
from tests.ports import free_port
from tests.real_service import CONSOLE, RealService, running

ROOT: Final = Path(__file__).parents[1]
CHROMIUM: Final = Path("/usr/bin/chromium")
AXE: Final = ROOT / ".venv" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS: Final = ROOT / "build" / "screenshots"
"""Kept as what a run made; git knows nothing of it."""
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
NARROW: Final = 360
MIDDLE: Final = 768
WIDE: Final = 1440
HEIGHTS: Final = {NARROW: 740, MIDDLE: 1024, WIDE: 900}
WAIT_SECONDS_MAX: Final = 30.0
SERIOUS: Final = ("serious", "critical")

Scheme = Literal["light", "dark"]


@dataclass
class ConsoleService:
    """A real service with a console."""

    service: RealService
    port: int

    def url(self, path: str = "/") -> str:
        """Return the address of a page."""
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def target(self) -> str:
        """Where it answers by gRPC."""
        return self.service.target

    def publish(self, events: Iterable[Line]) -> None:
        """Store events, as ``placement publish`` reads them, and see them folded."""
        told = [ParseDict(each, events_pb2.Event()) for each in events]
        request = event_service_pb2.PublishEventsRequest(events=told)
        with grpc.insecure_channel(self.target) as channel:
            stub: Any = event_service_pb2_grpc.EventServiceStub(channel)
            answer = stub.PublishEvents(request, timeout=WAIT_SECONDS_MAX)
            rejected = event_service_pb2.PUBLISH_OUTCOME_REJECTED
            refused = [one for one in answer.results if one.outcome == rejected]
            assert not refused, refused
            asked = replications.ListReplicationsRequest(page_size=1)
            asked.consistency.token = answer.token
            asked.consistency.fail = True
            listing: Any = replications_grpc.ReplicationServiceStub(channel)
            listing.ListReplications(asked, timeout=WAIT_SECONDS_MAX)

    def decisions(
        self, repository: str = "", target_region: str = ""
    ) -> list[replications.ReplicationDecision]:
        """Return the newest decisions about a repository and a region; empty: any."""
        request = replications.ListReplicationsRequest(
            page_size=100, repository=repository, target_region=target_region
        )
        with grpc.insecure_channel(self.target) as channel:
            stub: Any = replications_grpc.ReplicationServiceStub(channel)
            answer = stub.ListReplications(request, timeout=WAIT_SECONDS_MAX)
        return list(answer.replications)

    def decided(
        self, count: int, repository: str = "", target_region: str = ""
    ) -> list[replications.ReplicationDecision]:
        """Return at least *count* decisions, once there are so many."""
        ends = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < ends:
            found = self.decisions(repository, target_region)
            if len(found) >= count:
                return found
            time.sleep(0.1)
        raise AssertionError(self.service.output())

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, Message, str]:
        """Return the status, headers and text of a page, without a browser."""
        request = urllib.request.Request(  # noqa: S310 - of this machine
            self.url(path), headers=dict(headers or {}), method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS_MAX) as answer:  # noqa: S310
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()


@contextmanager
def console_service(
    directory: Path,
    arguments: Iterable[str] = (),
    settings: Mapping[str, str] | None = None,
    *,
    plans: bool = True,
) -> Iterator[ConsoleService]:
    """Run a service with a console within the block; it decides if it *plans*."""
    port = free_port()
    own = {CONSOLE: f"127.0.0.1:{port}", **(settings or {})}
    service = RealService(directory, tuple(arguments), own, plans=plans)
    with running(service):
        yield ConsoleService(service, port)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run chromium, without a screen, for the tests of one module."""
    assert CHROMIUM.is_file(), "chromium is not installed: run tools/setup --checks"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(FLAGS), headless=True
        )
        yield found
        found.close()


@dataclass
class Looked:
    """One page in the browser, and what went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors of the console, scripts, and of the content security policy."""

    def check(self) -> None:
        """Assert that nothing went wrong, and nothing is wider than the window."""
        assert not self.complaints, self.complaints
        wide = self.page.evaluate(
            "() => [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide[0] <= wide[1], f"{wide[0]} px in a window of {wide[1]}"

    def serious_faults(self) -> list[str]:
        """Return what axe finds that keeps somebody out, each in a line.

        axe comes by the debugger's way, as no script of the page: its policy stays.
        """
        assert AXE.is_file(), "axe is not installed: run tools/setup --checks"
        session = self.page.context.new_cdp_session(self.page)
        session.send("Runtime.evaluate", {"expression": AXE.read_text("utf-8")})
        asked = {
            "expression": "axe.run(document).then((found) => "
            "JSON.stringify(found.violations))",
            "awaitPromise": True,
            "returnByValue": True,
        }
        told = session.send("Runtime.evaluate", asked)
        session.detach()
        return [
            f"{fault['id']}: {fault['help']}: "
            + "; ".join(node["html"][:160] for node in fault["nodes"][:4])
            for fault in json.loads(told["result"]["value"])
            if fault["impact"] in SERIOUS
        ]

    def shoot(self, name: str, *, whole: bool = True) -> Path:
        """Keep a picture of the page, and return where it is."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=whole, animations="disabled")
        return path


@contextmanager
def opened(
    browser: Browser,
    url: str,
    scheme: Scheme = "light",
    width: int = WIDE,
    *,
    scripts: bool = True,
) -> Iterator[Looked]:
    """Look at a page within the block, in a browser that knows nothing yet."""
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": HEIGHTS.get(width, 900)},
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    page = context.new_page()
    looked = Looked(page)
    page.on("console", lambda said: _note(looked, said.type, said.text))
    page.on("pageerror", lambda error: looked.complaints.append(str(error)))
    page.goto(url, wait_until="load")
    try:
        yield looked
    finally:
        context.close()


def _note(looked: Looked, kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        looked.complaints.append(f"{kind}: {text}")


PICTURES: Final = ROOT / "docs" / "pictures"
PICTURES_ASKED: Final = bool(os.environ.get("PLACEMENT_PICTURES"))
"""Whether the run is to write the pictures of the README."""
