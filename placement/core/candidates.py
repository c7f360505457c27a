"""Region expressions: ``lhr,eu`` or ``any`` become regions of the catalogue."""

from typing import Final

from placement.core.errors import CandidatesInvalidError
from placement.core.topology import Region, Topology

ANY: Final = "any"


def parse_candidates(
    topology: Topology, expression: str, field: str = "candidates"
) -> tuple[Region, ...]:
    """Return the regions that *expression* names, each once, in its order.

    Codes, areas and aliases of the catalogue with commas between; empty is ``any``.
    Raises CandidatesInvalidError, naming *field*.
    """
    found: dict[Region, None] = {}
    for part in (expression or ANY).split(","):
        named = part.strip().lower()
        regions = topology.regions_named(named)
        if named == ANY:
            regions = tuple(sorted(topology.regions))
        if not regions:
            names = ", ".join(sorted(topology.names()))
            remedy = f"give region codes, {ANY}, or one of: {names}"
            raise CandidatesInvalidError(field, part, remedy)
        found.update(dict.fromkeys(regions))
    return tuple(found)
