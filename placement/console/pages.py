"""Every page, by its path."""

from typing import Final

from placement.console.front import front
from placement.console.page import PageRoute
from placement.console.regions import regions
from placement.console.service import service
from placement.console.things import ROUTES

PAGES: Final[tuple[PageRoute, ...]] = (
    PageRoute("/", front),
    PageRoute("/regions", regions),
    PageRoute("/service", service),
    *ROUTES,
)
