"""What users import: a client that asks a running service, and its errors."""

from placement.client.calls import ClientTls
from placement.client.client import Freshness, PlacementClient
from placement.client.errors import PlacementCallError

__all__ = ["ClientTls", "Freshness", "PlacementCallError", "PlacementClient"]
