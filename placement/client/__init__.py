"""What users import: a client that asks a running service, and its errors."""

from placement.client.calls import ClientTls
from placement.client.client import PlacementClient
from placement.client.errors import PlacementCallError
from placement.client.freshness import Freshness

__all__ = ["ClientTls", "Freshness", "PlacementCallError", "PlacementClient"]
