"""The page ``service``."""

from placement.console.asked import Asked
from placement.console.page import Page
from placement.console.site import Site


async def service(site: Site, asked: Asked) -> Page:
    """Return the page."""
    del site
    return Page("service.html", "Service", {}, section=asked.path)
