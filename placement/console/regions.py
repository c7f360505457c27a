"""The page ``regions``."""

from placement.console.asked import Asked
from placement.console.page import Page
from placement.console.site import Site


async def regions(site: Site, asked: Asked) -> Page:
    """Return the page."""
    del site
    return Page("regions.html", "Regions", {}, section=asked.path)
