"""The console as an ASGI app: pages, their fragments, and files."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from placement.console.asked import Asked
from placement.console.assets import Assets
from placement.console.failing import failed
from placement.console.finding import Finder
from placement.console.frame import frame_of
from placement.console.guarding import Guarded, Rules
from placement.console.live import MEDIA_TYPE, LiveHub
from placement.console.moment import AS_OF
from placement.console.page import Handler, Page, PageRoute
from placement.console.settings import STREAMS_MAX
from placement.console.site import Site
from placement.console.templating import Templates
from placement.core.errors import InputError

PAGE: Final = "page"
"""The field of ``/live`` that names the page."""


class Console:
    """Answers for every page; ``app`` is what a server serves."""

    def __init__(
        self,
        site: Site,
        pages: Sequence[PageRoute],
        rules: Rules,
        streams_max: int = STREAMS_MAX,
    ) -> None:
        """Answer with *pages*, to whom *rules* let in."""
        self._site = site
        self._finder = Finder(pages)
        assets = Assets()
        self._templates = Templates(assets)
        self.live = LiveHub(site.view, streams_max)
        routes = [
            Route("/static/{name}", assets.serve),
            Route("/live", _Live(self)),
            Route("/{path:path}", self._page),
        ]
        self.app: ASGIApp = Guarded(Starlette(routes=routes), rules)

    def load(self) -> None:
        """Read all that pages are printed with, on any thread."""
        self._templates.load()

    async def _page(self, request: Request) -> Response:
        page, frame = await self._made(request.scope)
        return HTMLResponse(self._templates.whole(page, frame), page.status)

    async def _made(self, scope: Scope) -> tuple[Page, Mapping[str, object]]:
        path = scope["path"]
        asked = Asked(path)
        try:
            asked, handler = self._finder.of(path, scope["query_string"])
            page = await handler(self._site, asked)
        except Exception as error:  # noqa: BLE001 - each becomes a page
            page = failed(error, path)
        return page, frame_of(self._site, asked, page)

    async def fragments(self, asked: Asked, handler: Handler) -> Mapping[str, str]:
        """Return the fragments of a page as they look now, by their element's id.

        Raises as *handler* does, and InputError for a page that is not live.
        """
        page = await handler(self._site, asked)
        if not page.live:
            raise _still(asked)
        frame = frame_of(self._site, asked, page)
        return dict(self._templates.fragments(page, frame))

    async def stream(self, address: str, receive: Receive, send: Send) -> None:
        """Send the fragments of the page at *address*, again whenever they change.

        Where they cannot be made, answer as that page does.
        """
        try:
            asked, handler = self._finder.at(address)
            if AS_OF in asked.query:
                raise _still(asked)  # noqa: TRY301 - answered as any other
            await self.live.respond(
                asked.address, lambda: self.fragments(asked, handler), receive, send
            )
        except Exception as error:  # noqa: BLE001 - each becomes a page
            page = failed(error, address)
            frame = frame_of(self._site, Asked("/"), page)
            html = self._templates.whole(page, frame)
            scope = {"type": "http", "method": "GET", "headers": []}
            await HTMLResponse(html, page.status)(scope, receive, send)


def _still(asked: Asked) -> InputError:
    """Return why a page has no stream: it is of the past, or of a question."""
    remedy = "reload the page instead: it is not kept up to date"
    return InputError("page", asked.address, remedy)


class _Live:
    """``/live``, as the server speaks: it goes on for as long as somebody reads."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await Response(media_type=MEDIA_TYPE)(scope, receive, send)
            return
        address = Request(scope).query_params.get(PAGE, "/")
        await self._console.stream(address, receive, send)
