"""Captured registry traffic as transfers between regions, for ``placement bench``."""

from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from placement.agent.feeds.captured import envelopes_in, records_in
from placement.agent.feeds.distribution import translate
from placement.agent.feeds.translation import FeedSettings
from placement.bench.captured import Captured
from placement.bench.places import Places
from placement.cli.documents import Document, Fault, Reading
from placement.core.errors import InputError
from placement.core.event import ContentPulled, Event, Name
from placement.core.routes import RouteSample
from placement.core.topology import Region

CLIENTS: Final = {
    ip_network("10.60.1.0/24"): Region("iad"),
    ip_network("10.60.2.0/24"): Region("syd"),
    ip_network("10.60.3.0/24"): Region("fra"),
}
"""The captures' own networks; their README says so."""
ORIGIN: Final = Region("iad")
"""The registry of captures that name no region."""


def read_captures(folder: Path, places: Places) -> tuple[list[Captured], Counter[str]]:
    """Return the timed pulls in *folder*, in time order, and why others are none.

    Reads its JSON files as the agent reads a registry's notifications: HEAD requests,
    errors and redirects are no pulls, and one cut short has no duration. Raises
    InputError when there is no timed pull.
    """
    names = sorted(str(path) for path in folder.glob("*.json*"))
    found: dict[str, Captured] = {}
    ignored: Counter[str] = Counter()
    with Reading(names) as reading:
        for document in reading.documents():
            if isinstance(document, Fault):
                raise document.error
            for event, region in _events(document, ignored):
                captured = _captured(event, region, places)
                if isinstance(captured, Captured):
                    found[event.event_id] = captured
                else:
                    ignored[captured] += 1
    if not found:
        remedy = "name a folder of captured notifications with their request log"
        raise InputError("--captured", folder, remedy)
    ordered = sorted(found.items(), key=lambda item: (item[1].sample.time_ns, item[0]))
    return [captured for _, captured in ordered], ignored


def _events(
    document: Document, ignored: Counter[str]
) -> Iterator[tuple[Event, Region]]:
    log = records_in(document.value)
    for hinted, envelope in envelopes_in(document.value):
        region = hinted or ORIGIN
        feed = FeedSettings(
            region=region, publisher=Name("bench"), client_regions=CLIENTS
        )
        translation = translate(envelope, feed, log)
        ignored.update(str(one.reason) for one in translation.ignored)
        for event in translation.events:
            if isinstance(event.fact, ContentPulled):
                yield event, region


def _captured(event: Event, region: Region, places: Places) -> Captured | str:
    """Return the timed transfer, or why the pull is none."""
    fact = event.fact
    assert isinstance(fact, ContentPulled)
    if not places.knows(region) or fact.client_region is None:
        return "region-not-known"
    if not fact.transferred_bytes:
        return "nothing-moved-from-here"
    if fact.pull_duration_ns is None or not event.occur_time_ns:
        return "cut-short-or-not-timed"
    sample = RouteSample(
        fact.transferred_bytes, fact.pull_duration_ns, event.occur_time_ns
    )
    return Captured(region, fact.client_region, sample)
