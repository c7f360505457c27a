"""What people publish becomes events: event lines, and registries' notifications."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from placement.agent.feeds.captured import Envelope, envelopes_in, records_in
from placement.agent.feeds.distribution import RequestLog, translate
from placement.agent.feeds.translation import FeedSettings
from placement.cli.documents import Document, Fault
from placement.core.errors import InputError, LimitInvalidError
from placement.core.event import Event, Name
from placement.core.topology import Region
from placement.wire.event_json import event_from_json
from placement.wire.events import EVENT_BYTES_MAX, encode_event

PUBLISHER: Final = Name("placement-publish")


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event that can be published, and where it stood."""

    where: str
    event: Event


@dataclass(slots=True)
class Translator:
    """Turns documents into events, and counts the notifications that make none."""

    region: Region | None = None
    """Of what names none; and of notifications, whatever they claim."""
    region_map: Mapping[str, Region] = field(default_factory=dict)
    """From the region that a notification claims to that which it is for us."""
    client_regions: Mapping[IPv4Network | IPv6Network, Region] = field(
        default_factory=dict
    )
    ignored: Counter[str] = field(default_factory=Counter)

    def events_of(
        self, documents: Iterable[Document | Fault]
    ) -> Iterator[Prepared | Fault]:
        """Yield the events in *documents*, in order, and what cannot be one."""
        for document in documents:
            if isinstance(document, Fault):
                yield document
                continue
            try:
                yield from self._events(document)
            except InputError as error:
                yield Fault(document.where, error)

    def _events(self, document: Document) -> Iterator[Prepared | Fault]:
        envelopes = envelopes_in(document.value)
        if not envelopes:
            yield Prepared(document.where, self._event(document.value))
            return
        records = records_in(document.value)
        for hint, envelope in envelopes:
            feed = FeedSettings(
                region=self._registry(hint),
                publisher=PUBLISHER,
                client_regions=self.client_regions,
            )
            yield from self._notified(document.where, envelope, feed, records)

    def _event(self, value: object) -> Event:
        named = isinstance(value, Mapping) and value.get("region")
        if not named and self.region is None:
            raise InputError("region", "", "name it in the line, or give --region")
        event = event_from_json(value, self.region or "")
        length = encode_event(event).ByteSize()
        if length > EVENT_BYTES_MAX:
            remedy = (
                f"give at most {EVENT_BYTES_MAX} bytes; split it into several events"
            )
            raise LimitInvalidError("event", f"{length} bytes", remedy)
        return event

    def _registry(self, hint: Region | None) -> Region:
        if hint is not None and hint in self.region_map:
            return self.region_map[hint]
        found = self.region or hint
        if found is None:
            remedy = "a notification does not say where it is from: give --region"
            raise InputError("region", "", remedy)
        return found

    def _notified(
        self, where: str, envelope: Envelope, feed: FeedSettings, records: RequestLog
    ) -> Iterator[Prepared | Fault]:
        translation = translate(envelope, feed, records)
        self.ignored.update(str(one.reason) for one in translation.ignored)
        for event in translation.events:
            yield Prepared(where, event)
        for fault in translation.malformed:
            inside = where if fault.index is None else f"{where} events[{fault.index}]"
            yield Fault(inside, InputError(fault.field, fault.value, fault.remedy))


def rebased(found: Sequence[Prepared], now_ns: int) -> list[Prepared]:
    """Return *found* with every time shifted alike, so that the newest is *now_ns*.

    Ids stay: what was published before is the same event.
    """
    times = [item.event.occur_time_ns for item in found if item.event.occur_time_ns]
    shift_ns = now_ns - max(times, default=now_ns)
    return [replace(item, event=_shifted(item.event, shift_ns)) for item in found]


def _shifted(value: Any, shift_ns: int) -> Any:  # noqa: ANN401 - an event, or a part
    """Return a dataclass with each ``..._time_ns`` of it, and of its parts, shifted."""
    changed: dict[str, object] = {}
    for item in fields(value):
        part = getattr(value, item.name)
        if item.name.endswith("_time_ns") and part is not None:
            changed[item.name] = part + shift_ns
        elif is_dataclass(part):
            changed[item.name] = _shifted(part, shift_ns)
    return replace(value, **changed) if changed else value
