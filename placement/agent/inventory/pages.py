"""What was found, in pages that fit the wire; each is one event, however often told."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

import structlog

from placement.agent.reporting import Report
from placement.core.event import (
    Event,
    Identifier,
    InventoryAbsence,
    InventoryContent,
    InventoryTaken,
    Name,
    TagMoved,
    TimeNs,
)
from placement.core.fold import FRESH_NS
from placement.core.oci import Descriptor
from placement.core.topology import Region
from placement.wire.events import EVENT_BYTES_MAX, encode_event
from placement.wire.fields import COUNT_MAX, NAME_LENGTH_MAX, REPEATED_COUNT_MAX

PAGE_COUNT_MAX: Final = 256
"""Contents, or absences, in a page."""
PAGE_BYTES_MAX: Final = EVENT_BYTES_MAX // 2
ENTRY_BYTES_MAX: Final = EVENT_BYTES_MAX // 2 - 8_192
"""A content whose references take more is told without them."""
_FRAME_BYTES: Final = 32
"""At least what tags, lengths and numbers take in a descriptor."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Edition:
    """What all pages of one scan have in common."""

    region: Region
    scan_time_ns: int
    publisher: Name


class Pages:
    """Collects what was found and reports it, a page whenever one is full."""

    def __init__(self, edition: Edition, report: Report, page_count: int = 0) -> None:
        """Report by *report*; *page_count* pages were reported before a restart."""
        self._edition = edition
        self._report = report
        self._contents: list[InventoryContent] = []
        self._absences: list[InventoryAbsence] = []
        self._removed: list[TagMoved] = []
        self._bytes = 0
        self.page_count = page_count

    @property
    def waiting_count(self) -> int:
        """What was found and is not yet reported."""
        return len(self._contents) + len(self._absences) + len(self._removed)

    async def add_content(self, content: InventoryContent) -> None:
        """Tell that *content* is there."""
        kept = _clean(content)
        size = _bytes_of(kept)
        if self._bytes + size > PAGE_BYTES_MAX:
            await self.flush()
        self._contents.append(kept)
        self._bytes += size
        await self._flush_full(len(self._contents))

    async def add_absence(self, absence: InventoryAbsence) -> None:
        """Tell that something is not there."""
        self._absences.append(absence)
        self._bytes += len(absence.digest) + len(absence.repository) + _FRAME_BYTES
        await self._flush_full(len(self._absences))

    async def add_removed_tag(self, removed: TagMoved) -> None:
        """Tell that a tag is no more."""
        self._removed.append(removed)
        await self._flush_full(len(self._removed))

    async def flush(self, *, complete: bool = False) -> None:
        """Report what waits; a *complete* scan ends with a page, even an empty one."""
        if not self.waiting_count and not complete:
            return
        fact = InventoryTaken(
            TimeNs(self._edition.scan_time_ns),
            complete,
            tuple(self._contents),
            tuple(self._absences),
        )
        events = [removal_of(self._edition, removed) for removed in self._removed]
        if fact.contents or fact.absences or complete:
            self.page_count += 1
            events.append(event_of(self._edition, self.page_count, fact))
        self._contents, self._absences, self._bytes = [], [], 0
        self._removed = []
        await self._report(events)

    async def _flush_full(self, count: int) -> None:
        if count >= PAGE_COUNT_MAX or self._bytes >= PAGE_BYTES_MAX:
            await self.flush()


def event_of(edition: Edition, page: int, fact: InventoryTaken) -> Event:
    """Return the event of a page.

    Its id is a hash of all that it says: a page that is told again is the same event,
    and one that says something else, after a restart, is another.
    """
    scan_ns = TimeNs(edition.scan_time_ns)
    event = Event(Identifier("page"), edition.region, fact, scan_ns, edition.publisher)
    body = encode_event(event).SerializeToString(deterministic=True)
    told = blake2b(body, digest_size=16).hexdigest()
    return replace(event, event_id=Identifier(f"inventory.{scan_ns}.{page}.{told}"))


def removal_of(edition: Edition, removed: TagMoved) -> Event:
    """Return the event of a tag that is no more, as of when the scan began.

    It happened before that, nobody knows when. The fold orders a fact at most FRESH_NS
    after it happened, so that whoever sets the tag during the scan is not undone.
    """
    happened_ns = TimeNs(edition.scan_time_ns - FRESH_NS)
    said = f"{edition.region}/{removed.repository}:{removed.tag}"
    told = blake2b(said.encode(), digest_size=16).hexdigest()
    event_id = Identifier(f"inventory.{edition.scan_time_ns}.tag.{told}")
    return Event(event_id, edition.region, removed, happened_ns, edition.publisher)


def _clean(entry: InventoryContent) -> InventoryContent:
    """Return *entry* as the wire can carry it: a manifest may say anything."""
    references = tuple(_clean_descriptor(one) for one in entry.references)
    kept = replace(
        entry, content=_clean_descriptor(entry.content), references=references
    )
    too_many = len(references) > REPEATED_COUNT_MAX
    if too_many or _bytes_of(kept) > ENTRY_BYTES_MAX:
        log.warning(
            "references_left_out",
            repository=entry.repository,
            digest=entry.content.digest,
            references=len(references),
        )
        return replace(kept, references=())
    return kept


def _clean_descriptor(content: Descriptor) -> Descriptor:
    media_type = content.media_type.partition(";")[0].strip()
    platform = content.platform
    if platform is not None and not all(
        map(_is_name, (platform.os, platform.architecture, platform.variant))
    ):
        platform = None
    return replace(
        content,
        media_type=media_type if _is_name(media_type) else "",
        size_bytes=content.size_bytes if content.size_bytes <= COUNT_MAX else 0,
        platform=platform,
    )


def _is_name(text: str) -> bool:
    return len(text) <= NAME_LENGTH_MAX and text.isprintable()


def _bytes_of(entry: InventoryContent) -> int:
    """Return at least what *entry* takes on the wire."""
    described = sum(map(_descriptor_bytes, (entry.content, *entry.references)))
    return described + _text_bytes((entry.repository, *entry.tags)) + _FRAME_BYTES


def _descriptor_bytes(content: Descriptor) -> int:
    platform = content.platform
    said = (platform.os, platform.architecture, platform.variant) if platform else ()
    return _text_bytes((content.digest, content.media_type, *said)) + _FRAME_BYTES


def _text_bytes(texts: Iterable[str]) -> int:
    return sum(len(text.encode()) + 4 for text in texts)
