"""What users import: a client that asks a running service, and its errors."""

from placement.client.calls import ClientTls
from placement.client.client import PlacementClient
from placement.client.errors import PlacementCallError
from placement.client.feed import LocalBasis
from placement.client.freshness import Freshness
from placement.client.local import LocalPlacements
from placement.client.local_answers import LocalStaleError, LocalTag
from placement.client.operations import Operation
from placement.client.outbox import Outbox
from placement.client.packed import PackedRankings, PackedSource
from placement.core.mirror.sources import LocalRanking, LocalSource

__all__ = [
    "ClientTls",
    "Freshness",
    "LocalBasis",
    "LocalPlacements",
    "LocalRanking",
    "LocalSource",
    "LocalStaleError",
    "LocalTag",
    "Operation",
    "Outbox",
    "PackedRankings",
    "PackedSource",
    "PlacementCallError",
    "PlacementClient",
]
