"""What several pages show of all regions, looked up once for all of them."""

from placement.console.site import Site
from placement.console.standings import (
    Counted,
    Flows,
    RegionStanding,
    flows,
    holdings,
    region_standings,
)
from placement.runtime.slices import in_slices


async def standings(site: Site) -> tuple[tuple[RegionStanding, ...], Flows]:
    """Return every region of the catalogue, and what moves between them."""
    state, position = site.state, site.view.position
    keeper = site.keeper
    moving = await keeper.get("flows", position, lambda: in_slices(flows(state)))
    held = await keeper.get("holdings", position, lambda: in_slices(holdings(state)))
    refused = {
        code: sum(
            site.view.refused.count(code, by_region=by_region)
            for by_region in (False, True)
        )
        for code in site.topology.regions
    }
    counted = Counted(moving, held, refused)
    now_ns = site.view.now_ns()
    return region_standings(state, site.topology, counted, now_ns), moving
