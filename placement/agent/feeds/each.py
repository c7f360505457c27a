"""Many notifications, one by one: the fault of one does not touch the others."""

from collections.abc import Callable, Iterable, Sequence

from placement.agent.feeds.fields import Fields, fields_of
from placement.agent.feeds.translation import (
    FeedSettings,
    Ignored,
    IgnoredReason,
    Malformed,
    Translation,
)
from placement.core.errors import InputError
from placement.core.event import Event, Fact, Identifier, TimeNs
from placement.wire.fields import parse_identifier

Meaning = Sequence[Event] | Ignored
"""What one notification means."""


def each(items: Iterable[object], meant: Callable[[Fields], Meaning]) -> Translation:
    """Return what *items* mean, each by *meant*, which may raise InputError."""
    events: list[Event] = []
    ignored: list[Ignored] = []
    malformed: list[Malformed] = []
    for index, item in enumerate(items):
        try:
            meaning = meant(fields_of(item))
        except InputError as error:
            malformed.append(Malformed.of(index, error))
            continue
        if isinstance(meaning, Ignored):
            ignored.append(meaning)
        else:
            events += meaning
    return Translation(tuple(events), tuple(ignored), tuple(malformed))


def meaning_of(
    event_id: Identifier,
    facts: Iterable[Fact] | IgnoredReason,
    time_ns: TimeNs | None,
    feed: FeedSettings,
) -> Meaning:
    """Return one event for each fact, or that the notification is ignored."""
    if isinstance(facts, IgnoredReason):
        return Ignored(event_id, facts)
    return numbered(event_id, facts, time_ns, feed)


def numbered(
    event_id: Identifier,
    facts: Iterable[Fact],
    time_ns: TimeNs | None,
    feed: FeedSettings,
) -> list[Event]:
    """Return one event for each fact; the first has the notification's own id.

    So a notification that is delivered again is the same events.
    """
    events: list[Event] = []
    for number, fact in enumerate(facts):
        text = f"{event_id}.{number}" if number else event_id
        identifier = parse_identifier(text, "id")
        events.append(Event(identifier, feed.region, fact, time_ns, feed.publisher))
    return events
