"""The regions as a table: what stands behind the map."""

from placement.console.asked import Asked
from placement.console.looking import standings
from placement.console.page import Page
from placement.console.site import Site
from placement.console.worldmap import world_map


async def regions(site: Site, asked: Asked) -> Page:
    """Return the page about all regions."""
    found, moving = await standings(site)
    values = {
        "regions": found,
        "lanes": moving.lanes,
        "map": world_map(found, moving.lanes),
    }
    return Page("regions.html", "Regions", values, section=asked.path)
