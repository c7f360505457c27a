"""The spaces of event ids: one of the deciding facts and one of all others, by region.

Whoever may store one region's events can make no event of another region, and no
decision, order or tick, a repeat of its own by guessing an id.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from placement.core.event import Event, is_deciding
from placement.core.topology import Region

KEY_BYTES: Final = 16


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


def event_keys(scoped_ids: Iterable[str]) -> list[bytes]:
    """Return the keys of many scoped ids: what ``event_key`` returns of each."""
    begun, found = blake2b(digest_size=KEY_BYTES).copy, []
    for each in scoped_ids:
        one = begun()  # in two thirds of the time that a new one takes
        one.update(each.encode())
        found.append(one.digest())
    return found
