"""The region catalogue as a service tells it, read by the client."""

from placement.core.topology import CatalogueRegion, Region, Topology
from placement.v1 import placement_service_pb2 as pb


def decode_catalogue(info: pb.GetServiceInfoResponse) -> Topology:
    """Return the catalogue that the service answers by.

    Raises InputError where it is none: a service that is at fault, or is none of ours.
    """
    regions = {
        Region(proto.code): CatalogueRegion(
            Region(proto.code),
            proto.name,
            proto.latitude,
            proto.longitude,
            proto.stores,
            proto.endpoint,
            tuple(map(Region, proto.serving_order)),
            proto.area,
            proto.egress_bytes_per_second,
        )
        for proto in info.regions
    }
    aliases = {one.name: tuple(map(Region, one.regions)) for one in info.region_aliases}
    return Topology(regions, Region(info.home_region), aliases)
