"""The console's frame: whom it answers, what its answers carry, and its live pages."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog.testing
from jinja2 import PackageLoader

from placement.api.authority.caller import Denials
from placement.api.certificates import CertificateFiles
from placement.client import ClientTls
from placement.console import live
from placement.console.asked import FIELD_COUNT_MAX, FIELD_LENGTH_MAX, PATH_LENGTH_MAX
from placement.console.guarding import POLICY, Rules
from placement.console.live import LiveHub
from placement.console.page import Page, PageRoute
from placement.console.pages import PAGES
from placement.console.serving import serving as listening
from placement.console.settings import FIELD, ConsoleSettings
from placement.console.site import Site
from placement.console.web import Console
from placement.core.errors import InputError
from placement.core.event import RegionState
from tests.builders import IAD, TOPOLOGY, WEB, changed, pushed
from tests.certificates import DOMAIN, Papers
from tests.console_stage import BASE, ConsoleStage, console_stage
from tests.ports import free_port

PATHS = ("/", "/regions", "/service")


@pytest.fixture
async def stage() -> AsyncIterator[ConsoleStage]:
    """A console of a log in which one image was pushed."""
    async with console_stage() as found:
        await found.stage.happen(pushed("web-1", IAD, repository=WEB))
        yield found


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/static/console.css"])
async def test_every_answer_binds_the_browser(stage: ConsoleStage, path: str) -> None:
    """Pages, errors and files carry the policy; no page has anything inline."""
    answer = await stage.client.get(path)

    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    if path.startswith("/static"):
        return
    assert answer.headers["cache-control"] == "no-store"
    assert " style=" not in answer.text
    assert "<style" not in answer.text
    assert "<script>" not in answer.text
    assert " onclick" not in answer.text


async def test_file_is_asked_for_once(stage: ConsoleStage) -> None:
    """By the address that pages name it is kept for ever; else it is asked about."""
    page = await stage.get("/")
    address = next(link for link in page.links() if "console.css" in link)
    named = await stage.client.get(address)
    plain = await stage.client.get("/static/console.css")
    tag = {"if-none-match": f'"other", W/{plain.headers["etag"]}'}
    known = await stage.client.get("/static/console.css", headers=tag)

    assert "immutable" in named.headers["cache-control"]
    assert "no-cache" in plain.headers["cache-control"]
    assert (known.status_code, known.content) == (304, b"")
    assert (await stage.client.get("/static/../web.py")).status_code == 404


async def test_console_changes_nothing(stage: ConsoleStage) -> None:
    """Every method but GET and HEAD is refused before anything is read."""
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        answer = await stage.client.request(method, "/")

        assert answer.status_code == 405
        assert answer.headers["allow"] == "GET, HEAD"
    assert (await stage.client.head("/")).status_code == 200


HOSTS = {
    "127.0.0.1:7480": 200,
    "localhost:8080": 200,
    "[::1]:7480": 200,
    "127.0.0.2": 200,
    "evil.example": 421,
    "localhost.evil.example:7480": 421,
    "127.0.0.1.evil.example": 421,
    "10.0.0.7:7480": 421,
    "": 421,
}


async def test_foreign_name_is_not_answered(stage: ConsoleStage) -> None:
    """On loopback, a page whose name was made to lead here learns nothing."""
    for host, status in HOSTS.items():
        answer = await stage.client.get("/", headers={"host": host})

        assert (host, answer.status_code) == (host, status)
        assert ("Waiting saved" in answer.text) == (status == 200)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/search?q={'a' * (FIELD_LENGTH_MAX + 1)}", "q"),
        ("/search?q=a&q=b", "q"),
        ("/search?q=%ff", "query"),
        ("/?" + "&".join(f"f{n}=1" for n in range(FIELD_COUNT_MAX + 1)), "query"),
        ("/?" + "a" * 9_000, "query"),
        (f"/images/{'a' * PATH_LENGTH_MAX}", "path"),
    ],
)
async def test_question_beyond_a_bound_is_refused(
    stage: ConsoleStage, path: str, field: str
) -> None:
    """With a page that names the field, and what would be right."""
    answer = await stage.get(path)

    assert answer.status == 400
    assert f"<strong>{field}</strong>" in answer.html
    assert "give " in answer.text


@pytest.mark.parametrize("page", ["//[x", "/?q=1&q=2", "/nothing", "x" * 2_000])
async def test_stream_of_no_page_is_refused(stage: ConsoleStage, page: str) -> None:
    """Before anything is streamed; and HEAD takes nobody's place."""
    answer = await stage.client.get("/live", params={"page": page})
    head = await stage.client.head("/live")

    assert answer.status_code in {400, 404}
    assert (head.status_code, head.content) == (200, b"")


async def test_what_is_not_there_is_said(stage: ConsoleStage) -> None:
    """An address without a page is a page of its own, with what was asked escaped."""
    answer = await stage.get("/<script>alert(1)</script>")

    assert answer.status == 404
    assert "<script>alert" not in answer.html
    assert "there is no page at /<script>alert(1)</script>" in answer.text


async def test_bug_is_told_by_its_id_alone(stage: ConsoleStage) -> None:
    """Who reads gets an id, and the log gets the rest under it."""

    async def broken(_site: Site, _asked: object) -> Page:
        message = "the secret of the house"
        raise ValueError(message)

    console = Console(stage.site, [PageRoute("/", broken)], Rules(loopback=True))
    transport = httpx.ASGITransport(console.app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        with structlog.testing.capture_logs() as lines:
            answer = await client.get("/")

    [line] = [each for each in lines if each["event"] == "console_page_failed"]
    assert answer.status_code == 500
    assert line["error_id"] in answer.text
    assert "secret" not in answer.text


async def test_pages_need_no_disk(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once loaded, everything is printed from memory."""
    console = Console(stage.site, PAGES, Rules(loopback=True))
    await asyncio.to_thread(console.load)

    def gone(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(PackageLoader, "get_source", gone)
    transport = httpx.ASGITransport(console.app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        for path in (*PATHS, "/decisions", "/static/console.css"):
            assert (await client.get(path)).status_code == 200


async def test_pages_tell_of_orders_and_of_a_silent_log(stage: ConsoleStage) -> None:
    """Front page, regions and service say what is ordered and what is wrong."""
    await stage.stage.happen(changed(IAD, RegionState.DRAINING))
    assert "iad is draining" in (await stage.get("/")).text
    assert "draining" in (await stage.get("/regions")).text

    stage.stage.now_ns += 60 * 10**9
    for path in PATHS:
        text = (await stage.get(path)).text
        assert "the log is out of reach: what is shown is from memory" in text


# Who may read it.


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Certificates of one authority."""
    return Papers(tmp_path_factory.mktemp("papers"))


@contextlib.asynccontextmanager
async def guarded(
    stage: ConsoleStage, papers: Papers, look_interval_s: float = 10.0
) -> AsyncIterator[tuple[str, Denials]]:
    """Serve a console that asks who comes; gives its address, and what it denied."""
    settings = ConsoleSettings(
        "127.0.0.1",
        free_port(),
        cert_file=papers.cert_file,
        key_file=papers.key_file,
        client_ca_file=papers.ca_file,
        trust_domain=DOMAIN,
        look_interval_s=look_interval_s,
    )
    denials = Denials(TOPOLOGY)
    rules = Rules(loopback=True, trust_domain=DOMAIN, denials=denials)
    console = Console(stage.site, PAGES, rules)
    async with listening(console.app, settings) as port:
        yield f"https://127.0.0.1:{port}", denials


def browser_of(papers: Papers, tls: ClientTls | None) -> httpx.AsyncClient:
    """Return a client that shows a certificate, or none."""
    context = ssl.create_default_context(cafile=str(papers.ca_file))
    if tls is not None:
        assert tls.cert_file is not None
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return httpx.AsyncClient(verify=context)


@pytest.mark.parametrize(
    ("paths", "status"),
    [
        (["operator"], 200),
        (["analyst"], 200),
        (["service"], 200),
        (["scheduler"], 403),
        (["region/iad/agent"], 403),
        (["region/iad/node"], 403),
        (["tenant/acme/analyst"], 403),
        (["tenant/acme/scheduler"], 403),
        (["nobody-known"], 403),
        ([], 403),
    ],
)
async def test_certificate_says_who_may_read(
    stage: ConsoleStage, papers: Papers, paths: Sequence[str], status: int
) -> None:
    """Who may have the whole state read may; others do not, and that is counted."""
    browser = browser_of(papers, papers.client(*paths))
    async with guarded(stage, papers) as (url, denials), browser:
        answer = await browser.get(f"{url}/regions")
        live = await browser.get(f"{url}/live?page=/nothing")

    assert answer.status_code == status
    assert live.status_code == (404 if status == 200 else 403)
    assert ("regions of the catalogue" in answer.text) == (status == 200)
    assert sum(denials.by_role.values()) == (0 if status == 200 else 2)


async def test_nobody_comes_without_a_certificate(
    stage: ConsoleStage, papers: Papers
) -> None:
    """Not even the handshake succeeds; nor does one of an older TLS."""
    async with guarded(stage, papers) as (url, _):
        async with browser_of(papers, None) as browser:
            with pytest.raises((httpx.ReadError, httpx.ConnectError)):
                await browser.get(url)
        context = ssl.create_default_context(cafile=str(papers.ca_file))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with httpx.AsyncClient(verify=context) as old:
            with pytest.raises(httpx.ConnectError):
                await old.get(url)


async def test_new_certificate_is_taken_up(stage: ConsoleStage, tmp_path: Path) -> None:
    """While it runs, on the same port."""
    papers = Papers(tmp_path)
    client = papers.client("operator")
    async with guarded(stage, papers, 0.05) as (url, _):
        async with browser_of(papers, client) as browser:
            assert (await browser.get(url)).status_code == 200
        before = await asyncio.to_thread(served_certificate, url, papers, client)
        papers.authority.issue().write(tmp_path, "server")
        ends = asyncio.get_running_loop().time() + 20
        after = before
        while after in {before, None} and asyncio.get_running_loop().time() < ends:
            after = await asyncio.to_thread(served_certificate, url, papers, client)
        assert after not in {before, None}


async def test_certificates_that_cannot_be_used_leave_the_console_as_it_was(
    stage: ConsoleStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ran out, one that changes while it is read; then a good one is taken."""
    papers = Papers(tmp_path)
    client = papers.client("operator")
    check = CertificateFiles.check

    def torn(files: CertificateFiles) -> None:
        check(files)
        files.cert_file.write_text("half of it")

    async with guarded(stage, papers, 0.02) as (url, _):
        before = await asyncio.to_thread(served_certificate, url, papers, client)
        with structlog.testing.capture_logs() as logs:
            papers.authority.issue(valid_s=-60.0).write(tmp_path, "server")
            await told(logs, "has not run out")
            monkeypatch.setattr(CertificateFiles, "check", torn)
            papers.authority.issue().write(tmp_path, "server")
            await told(logs, "stay as they are")
        same = await asyncio.to_thread(served_certificate, url, papers, client)
        assert same == before
        monkeypatch.undo()
        papers.authority.issue().write(tmp_path, "server")
        async with asyncio.timeout(20):
            while same in {before, None}:
                same = await asyncio.to_thread(served_certificate, url, papers, client)


async def told(logs: list[Any], text: str) -> None:
    """Return once a log line of the console says *text*."""
    async with asyncio.timeout(20):
        while not any(  # noqa: ASYNC110 - nothing tells
            line["event"] == "console_certificates_not_taken_up"
            and text in line["error"]
            for line in logs
        ):
            await asyncio.sleep(0.01)


async def test_certificate_that_cannot_be_used_is_no_console(
    stage: ConsoleStage, tmp_path: Path
) -> None:
    """From the beginning: the key is named, and the port is free again."""
    papers = Papers(tmp_path)
    papers.cert_file.write_text("nothing")
    with pytest.raises(InputError) as error:
        async with guarded(stage, papers):
            pass
    assert error.value.field == "tls.cert_file"


def served_certificate(url: str, papers: Papers, tls: ClientTls) -> bytes | None:
    """Return the certificate that a server shows; None while it does not listen."""
    context = ssl.create_default_context(cafile=str(papers.ca_file))
    assert tls.cert_file is not None
    context.load_cert_chain(tls.cert_file, tls.key_file)
    port = int(url.rpartition(":")[2])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            return secured.getpeercert(binary_form=True)
    except OSError:
        return None


async def test_port_that_is_taken(stage: ConsoleStage) -> None:
    """Nobody asked for the default: no console. Who asked is told which key it was."""
    console = Console(stage.site, PAGES, Rules(loopback=True))
    async with listening(console.app, ConsoleSettings("127.0.0.1", 0)) as port:
        assert port is not None
        taken = ConsoleSettings("127.0.0.1", port, optional=True)
        async with listening(console.app, taken) as none:
            assert none is None
        with pytest.raises(InputError) as error:
            async with listening(console.app, ConsoleSettings("127.0.0.1", port)):
                pass
    assert error.value.field == FIELD


# Live pages.


class Reader:
    """Whoever reads a stream: what came, and when it goes."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self.came: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.status = 0

    async def receive(self) -> dict[str, Any]:
        """Tell the server when the reader goes."""
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:  # noqa: ANN401 - of the protocol
        """Take what the server sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        for line in message.get("body", b"").decode().splitlines():
            if line.startswith("data: "):
                await self.came.put(json.loads(line.removeprefix("data: ")))

    async def until(self, name: str, text: str) -> None:
        """Read on until a fragment says something."""
        async with asyncio.timeout(20):
            while True:
                told = await self.came.get()
                if told["id"] == name and text in told["html"]:
                    return


async def test_stream_sends_what_looks_otherwise(stage: ConsoleStage) -> None:
    """A page's fragments at first, then those that the log has changed."""
    console = Console(stage.site, PAGES, Rules(loopback=True))
    reader = Reader()
    task = asyncio.create_task(console.stream("/regions", reader.receive, reader.send))
    await reader.until("live_regions", "iad")
    await stage.stage.happen(changed(IAD, RegionState.DOWN))
    await reader.until("live_regions", "down")
    assert console.live.stream_count == 1

    reader.gone.set()
    await task
    assert console.live.stream_count == 0


async def test_streams_are_few_and_end_with_the_service(stage: ConsoleStage) -> None:
    """One more than the limit is told to reload; at the end all of them are over."""
    rules = Rules(loopback=True)
    console = Console(stage.site, PAGES, rules, streams_max=2)
    readers = [Reader() for _ in range(3)]
    tasks = [
        asyncio.create_task(console.stream("/", each.receive, each.send))
        for each in readers[:2]
    ]
    for each in readers[:2]:
        await each.until("live_basis", "Sequence")
    await console.stream("/", readers[2].receive, readers[2].send)
    console.live.stop()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks)

    assert [each.status for each in readers] == [200, 200, 503]
    assert console.live.stream_count == 0
    late = Reader()
    await console.stream("/", late.receive, late.send)
    assert late.status == 503


async def test_who_takes_nothing_is_let_go(
    stage: ConsoleStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that stands still holds no place for ever."""
    monkeypatch.setattr("placement.console.live.SEND_SECONDS_MAX", 0.05)
    hub = LiveHub(stage.site.view, 1)
    reader = Reader()
    stuck = asyncio.Event()

    async def send(message: Any) -> None:  # noqa: ANN401 - of the protocol
        if message["type"] == "http.response.body":
            await stuck.wait()

    async def render() -> dict[str, str]:
        return {"live_basis": "<p>here</p>"}

    async with asyncio.timeout(20):
        await hub.respond("/", render, reader.receive, send)
    assert hub.stream_count == 0


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ("/search?q=web", 400),
        ("/what-if", 400),
        ("/estimate?image=acme/web:v9&in=iad", 400),
        (f"/images/{WEB}?reference=v1&as_of=1", 400),
        ("/images/acme/nobody?reference=v1", 404),
        ("/decisions/nothing", 404),
        ("/regions?x=1&x=2", 400),
    ],
)
async def test_stream_of_what_does_not_move_is_refused(
    stage: ConsoleStage, page: str, status: int
) -> None:
    """As the page itself is, where it fails: whoever comes again waits longer then."""
    console = Console(stage.site, PAGES, Rules(loopback=True))
    reader = Reader()
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(20):
            await console.stream(page, reader.receive, reader.send)
    assert reader.status == status
    assert console.live.stream_count == 0
    assert not [line for line in logs if line["log_level"] != "debug"]


async def test_stream_that_has_not_begun_ends_with_the_service(
    stage: ConsoleStage,
) -> None:
    """It waits for its turn by then, and is told to come again."""
    hub = LiveHub(stage.site.view, 1)
    reader = Reader()

    async def render() -> dict[str, str]:
        hub.stop()
        await asyncio.Event().wait()
        return {}

    async with asyncio.timeout(20):
        await hub.respond("/", render, reader.receive, reader.send)
    assert reader.status == 503
    assert hub.stream_count == 0


@pytest.mark.parametrize(("waits", "works"), [(0.5, 0.0), (0.0, 0.1)])
async def test_others_have_the_loop_after_it_was_used(
    waits: float, works: float
) -> None:
    """What a page waits for, such as the log, keeps no other page waiting."""
    turns = live._Turns()  # noqa: SLF001 - what all streams share
    loop = asyncio.get_running_loop()

    async def render() -> dict[str, str]:
        await asyncio.sleep(waits)
        ends = loop.time() + works
        while loop.time() < ends:
            pass
        return {"live_basis": "<p>here</p>"}

    assert await turns.render(render) == {"live_basis": "<p>here</p>"}
    left = turns._free_s - loop.time()  # noqa: SLF001 - as above
    assert live.EASE * works / 2 <= max(0.0, left) < live.EASE * (works + 0.1)


async def test_page_that_is_given_up_leaves_no_rendering() -> None:
    """Who waits for one may be cancelled: so is the rendering."""
    turns = live._Turns()  # noqa: SLF001 - what all streams share
    ended = asyncio.Event()

    async def render() -> dict[str, str]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    task = asyncio.create_task(turns.render(render))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert ended.is_set()
