"""What the doctor finds where a console asks for certificates."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from placement.client import ClientTls
from placement.console.guarding import Rules
from placement.console.pages import PAGES
from placement.console.serving import serving as listening
from placement.console.settings import ConsoleSettings
from placement.console.site import Site, site_of
from placement.console.web import Console
from placement.core.reporting.prices import Prices
from placement.doctor import service
from placement.doctor.finding import Verdict
from tests.builders import TOPOLOGY
from tests.certificates import DOMAIN, Papers
from tests.doctoring import about, findings
from tests.doctoring import site_of as examined
from tests.ports import free_port
from tests.serving import Stage


@pytest.fixture
def papers(tmp_path: Path) -> Papers:
    """Certificates of one authority."""
    return Papers(tmp_path)


@asynccontextmanager
async def guarded(papers: Papers, *, asks: bool) -> AsyncIterator[int]:
    """Serve a console by TLS, which *asks* for certificates or not; give its port."""
    site: Site = site_of(Stage().view, TOPOLOGY, Prices())
    settings = ConsoleSettings(
        "127.0.0.1",
        0,
        cert_file=papers.cert_file,
        key_file=papers.key_file,
        client_ca_file=papers.ca_file if asks else None,
    )
    rules = Rules(loopback=True, trust_domain=DOMAIN if asks else "")
    console = Console(site, PAGES, rules)
    async with listening(console.app, settings) as port:
        assert port is not None
        yield port


def config_of(papers: Papers, port: int) -> str:
    """Return the configuration of a service with such a console."""
    return (
        f'console_listen = "127.0.0.1:{port}"\n'
        f'[tls]\ncert_file = "{papers.cert_file}"\nkey_file = "{papers.key_file}"\n'
    )


@pytest.mark.parametrize(
    ("asks", "path", "said"),
    [
        (False, "", "/ answers"),
        (True, "operator", "/ answers"),
        (True, "scheduler", "not to our certificate"),
        (True, "", "not to our certificate"),
    ],
)
async def test_console_of_tls_is_no_finding(
    tmp_path: Path, papers: Papers, path: str, said: str, *, asks: bool
) -> None:
    """It is asked as browsers ask, with our certificate if we have any."""
    tls = papers.client(path) if path else ClientTls(papers.ca_file)
    async with guarded(papers, asks=asks) as port:
        site = examined(tmp_path, config_of(papers, port), tls=tls)
        found = about(await findings(service.pages, site), "console_listen")

    assert found.verdict is Verdict.OK
    assert f"https://127.0.0.1:{port}/ answers" in found.found
    assert said in found.found


async def test_console_that_is_not_there_is_one(tmp_path: Path, papers: Papers) -> None:
    """Whoever has it told where to listen is told that nothing does."""
    site = examined(tmp_path, config_of(papers, free_port()))
    found = about(await findings(service.pages, site), "console_listen")
    assert found.verdict is Verdict.FAIL
