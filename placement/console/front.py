"""The front page: what copies saved and cost, the world, and what needs somebody."""

from typing import Final

from placement.console.asked import Asked
from placement.console.attention import needs
from placement.console.looking import standings
from placement.console.page import Page
from placement.console.saving import saving
from placement.console.site import Site
from placement.console.worldmap import world_map
from placement.core.listing import DecisionFilter, PageSize, decision_page
from placement.core.payoff import Judged
from placement.runtime.slices import in_slices

NEWEST: Final = 6
LOOKED_AT: Final = 100
"""Of the newest decisions so many are looked at for what failed."""


async def front(site: Site, asked: Asked) -> Page:
    """Return the front page."""
    regions, moving = await standings(site)
    newest = await _newest(site)
    values = {
        "saving": await saving(site),
        "map": world_map(regions, moving.lanes),
        "newest": newest[:NEWEST],
        "needs": needs(site, regions, newest),
    }
    return Page("front.html", "Overview", values, section=asked.path)


async def _newest(site: Site) -> tuple[Judged, ...]:
    wanted, size = DecisionFilter(), PageSize(LOOKED_AT, LOOKED_AT)
    now_ns = site.view.now_ns()
    page = await in_slices(decision_page(site.state, wanted, "", size, now_ns))
    return page.found
