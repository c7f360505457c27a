"""The spaces of event ids: one of the deciding facts and one of all others, by region.

Whoever may store one region's events can make no event of another region, and no
decision, order or tick, a repeat of its own by guessing an id.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from placement.core.event import Event, is_deciding
from placement.core.topology import Region

KEY_BYTES: Final = 16
SCOPES_KEPT: Final = 512

Begun = Callable[[], blake2b]
"""Makes a hash that has read the scope of an id."""


def id_scope(region: str, *, deciding: bool) -> str:
    """Return what tells ids of a region's events from all others' of the same text."""
    return f"{'decisions' if deciding else 'events'}.{region}."


def scoped_id(event: Event) -> str:
    """Return the id of *event* with its scope before it: no two of a log are alike."""
    return id_scope(event.region, deciding=is_deciding(event)) + event.event_id


def event_key(event: Event) -> bytes:
    """Return the key under which an event is remembered: its scoped id's BLAKE2b-16."""
    return blake2b(scoped_id(event).encode(), digest_size=KEY_BYTES).digest()


def deciding_key(region: Region, event_id: str) -> bytes:
    """Return the key of the deciding event of that id in *region*."""
    told = id_scope(region, deciding=True) + event_id
    return blake2b(told.encode(), digest_size=KEY_BYTES).digest()


def event_keys(begun: Iterable[Begun], event_ids: Iterable[str]) -> list[bytes]:
    """Return the keys of many ids, each *begun* with its scope: as ``event_key`` does.

    Events without an id have no key, and are left out.
    """
    found = []
    for copied, event_id in zip(begun, event_ids, strict=True):
        if event_id:
            one = copied()  # in two thirds of the time that a new one takes
            one.update(event_id.encode())
            found.append(one.digest())
    return found


@lru_cache(SCOPES_KEPT)
def begun_key(region: str, *, deciding: bool) -> Begun:
    """Return what makes the beginning of a key, which an id's text is to follow."""
    scope = id_scope(region, deciding=deciding)
    return blake2b(scope.encode(), digest_size=KEY_BYTES).copy
