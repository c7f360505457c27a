"""The page ``front``."""

from placement.console.asked import Asked
from placement.console.page import Page
from placement.console.site import Site


async def front(site: Site, asked: Asked) -> Page:
    """Return the page."""
    del site
    return Page("front.html", "Front", {}, section=asked.path)
