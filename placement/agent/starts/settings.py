"""What the operator says of the schedulers that an agent listens to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from placement.agent.starts.images import Image
from placement.core.event import Name
from placement.core.topology import Region, parse_region


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSettings:
    """Where machines are, which of their images count, and who records their starts."""

    region: Region
    """Where machines are of which the scheduler does not say where they are."""
    publisher: Name
    """Who records the events, for people."""
    region_label: str = ""
    """The label of nodes that holds the scheduler's name of their region, such as
    ``topology.kubernetes.io/region``; empty: all are in *region*."""
    regions: Mapping[str, Region] = field(default_factory=dict)
    """What the scheduler calls regions, and ours for it. If not empty, machines in any
    other are nobody's; else the scheduler's names are ours."""
    registries: tuple[str, ...] = ()
    """The hosts whose images count, as image names write them; empty: all."""
    images: Mapping[str, Image] = field(default_factory=dict)
    """The image of a machine or of an app, for schedulers that do not tell it."""

    def region_of(self, name: str) -> Region | None:
        """Return our region for the scheduler's *name*; None: nobody's.

        Raises RegionInvalidError for a name that is no region code.
        """
        if not name:
            return self.region
        if self.regions:
            return self.regions.get(name)
        return parse_region(name)

    def minds(self, image: Image) -> bool:
        """Say whether *image* is of a registry that counts."""
        return not self.registries or image.host in self.registries
