"""What turns a note of the spool into events: each feed's translation, by its name."""

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, Protocol

from placement.agent.feeds.catalogue import Feed
from placement.agent.feeds.request_log import pulls_in
from placement.agent.feeds.translation import Malformed, Translation
from placement.core.errors import InputError
from placement.ports import Clock
from placement.spooling import Note
from placement.wire.bundles import decode_bundle

Translate = Callable[[Note], Awaitable[Translation]]
"""Returns what a note means. Raises nothing; may wait a second for what belongs to it.

The same note means the same events, with the same ids, however often it is asked.
"""

LOG_PATIENCE_SECONDS: Final = 1.0
"""So long after a pull its line in the registry's log is waited for.

Distribution 2.8 writes the line within 3 ms of a blob's notification; a manifest's
notification comes a little before the answer is written.
"""
NS_PER_SECOND: Final = 1_000_000_000


def at_once(feed: Feed) -> Translate:
    """Return what has *feed* say what a note means."""

    async def translated(note: Note) -> Translation:
        return feed(note.body, note.headers)

    return translated


def in_time(
    feed: Callable[[bytes, Mapping[str, str]], Awaitable[Translation]],
) -> Translate:
    """Return what has *feed*, which may ask others, say what a note means."""

    async def translated(note: Note) -> Translation:
        return await feed(note.body, note.headers)

    return translated


async def from_bundle(note: Note) -> Translation:
    """Return events that the agent itself made."""
    try:
        return Translation(events=decode_bundle(note.body))
    except InputError as error:
        return Translation(malformed=(Malformed.of(None, error),))


class Awaited(Protocol):
    """A registry's request log, which grows."""

    async def wait_for(self, request_ids: Collection[str], seconds_max: float) -> None:
        """Return once all of these are known, or the time is over."""


def once_logged(feed: Feed, request_log: Awaited, clock: Clock) -> Translate:
    """Return what asks *feed* once the log has a note's lines, or they are late.

    *clock* is the one by which notes were received: a line that did not come within
    LOG_PATIENCE_SECONDS of its note does not hold up what comes after it.
    """

    async def translated(note: Note) -> Translation:
        age_s = (clock() - note.received_ns) / NS_PER_SECOND
        patience_s = min(LOG_PATIENCE_SECONDS - age_s, LOG_PATIENCE_SECONDS)
        if patience_s > 0:
            await request_log.wait_for(_pulls(note), patience_s)
        return feed(note.body, note.headers)

    return translated


def _pulls(note: Note) -> list[str]:
    try:
        return pulls_in(json.loads(note.body))
    except (ValueError, RecursionError):
        return []
