"""What users import: a client that asks a running service, and its errors."""

from placement.client.calls import ClientTls
from placement.client.client import PlacementClient
from placement.client.errors import PlacementCallError
from placement.client.freshness import Freshness
from placement.client.operations import Operation
from placement.client.packed import PackedRankings, PackedSource

__all__ = [
    "ClientTls",
    "Freshness",
    "Operation",
    "PackedRankings",
    "PackedSource",
    "PlacementCallError",
    "PlacementClient",
]
