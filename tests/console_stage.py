"""The console in this process, over a view that a test folds by hand."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Final

import httpx

from placement.api.server import ServerSettings
from placement.console.asked import Asked
from placement.console.guarding import Rules
from placement.console.moment import Moment, present
from placement.console.pages import PAGES
from placement.console.site import Site, site_of
from placement.console.web import Console
from placement.core.reporting.prices import Prices
from tests.builders import TOPOLOGY
from tests.serving import Service, Stage, serving

BASE: Final = "http://127.0.0.1:7480"


@dataclass(frozen=True)
class Answered:
    """A page as a browser gets it."""

    status: int
    html: str

    @property
    def text(self) -> str:
        """What people read of it, a blank between any two things."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.html)).split())

    def table(self, caption: str) -> list[list[str]]:
        """Rows of the table whose caption begins so, each cell as people read it."""
        for found in re.findall(r"<table.*?</table>", self.html, re.DOTALL):
            if Answered(0, found.partition("</caption>")[0]).text.startswith(caption):
                body = found.partition("<tbody>")[2]
                return [
                    [
                        Answered(0, cell).text
                        for cell in re.findall(
                            r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL
                        )
                    ]
                    for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)
                ]
        message = f"no table {caption!r} in {self.text}"
        raise AssertionError(message)

    def links(self) -> list[str]:
        """Where its links lead."""
        return [unescape(link) for link in re.findall(r'href="([^"]*)"', self.html)]


@dataclass(frozen=True)
class ConsoleStage:
    """A console, the stage that it shows, and the gRPC service beside it."""

    service: Service
    site: Site
    client: httpx.AsyncClient

    @property
    def stage(self) -> Stage:
        """What is told and folded."""
        return self.service.stage

    @property
    def now(self) -> Moment:
        """How it is now."""
        return present(self.site)

    async def get(self, path: str, **query: str) -> Answered:
        """Return a page."""
        answer = await self.client.get(path, params=query or None)
        return Answered(answer.status_code, answer.text)


def asked(path: str = "/", **query: str) -> Asked:
    """Return what a page is asked."""
    return Asked(path, {}, query)


@asynccontextmanager
async def console_stage(
    settings: ServerSettings | None = None,
) -> AsyncIterator[ConsoleStage]:
    """Serve a new stage by gRPC and by a console."""
    async with serving(settings) as service:
        view = service.stage.view
        site = site_of(view, TOPOLOGY, Prices(), stored=service.server.stored)
        async with console_client(site) as client:
            yield ConsoleStage(service, site, client)


@asynccontextmanager
async def console_client(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """Give what asks a console of *site*, as a browser of this machine does."""
    console = Console(site, PAGES, Rules(loopback=True))
    transport = httpx.ASGITransport(console.app)
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        yield client
