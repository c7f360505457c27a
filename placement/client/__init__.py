"""What users import: a client that asks a running service, and its errors.

What a local replica and packed answers are made of needs numpy, and is imported when it
is first named: who only asks does not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from placement.client.client import PlacementClient
from placement.client.errors import PlacementCallError
from placement.client.freshness import Freshness
from placement.client.operations import Operation
from placement.client.outbox import Outbox
from placement.client.tls import ClientTls
from placement.core.errors import PlacementError

if TYPE_CHECKING:  # else they come by __getattr__
    from placement.client.feed import LocalBasis
    from placement.client.local import LocalPlacements
    from placement.client.local_answers import LocalStaleError, LocalTag
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
    "PlacementError",
]

_LATER: Final = {
    "LocalBasis": "placement.client.feed",
    "LocalPlacements": "placement.client.local",
    "LocalRanking": "placement.core.mirror.sources",
    "LocalSource": "placement.core.mirror.sources",
    "LocalStaleError": "placement.client.local_answers",
    "LocalTag": "placement.client.local_answers",
    "PackedRankings": "placement.client.packed",
    "PackedSource": "placement.client.packed",
}
"""Where each name is that is imported when it is first asked for."""


def __getattr__(name: str) -> object:
    """Return what *name* of _LATER stands for; raises AttributeError."""
    if name not in _LATER:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    found: object = getattr(import_module(_LATER[name]), name)
    globals()[name] = found
    return found
