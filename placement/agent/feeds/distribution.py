"""CNCF Distribution: a notification envelope becomes events. No clock, no I/O.

Accepts the bodies of ``events.v1+json`` and ``events.v2+json``. What the rules rest on
was captured from real registries: tests/golden/distribution and data/notifications.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from placement.agent.feeds.clients import client_kind, client_region, is_own
from placement.agent.feeds.each import numbered
from placement.agent.feeds.fields import Fields, fields_of, shown
from placement.agent.feeds.request_log import RequestRecord
from placement.agent.feeds.times import parse_timestamp_ns
from placement.agent.feeds.translation import (
    FeedSettings,
    Ignored,
    IgnoredReason,
    Malformed,
    Translation,
)
from placement.core.errors import InputError
from placement.core.event import (
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    Event,
    Fact,
    Identifier,
    Name,
    TagMoved,
    TimeNs,
)
from placement.core.oci import (
    Descriptor,
    Digest,
    Platform,
    Repository,
    Tag,
    parse_digest,
    parse_repository,
    parse_tag,
)
from placement.core.topology import Region

RequestLog = Mapping[str, RequestRecord]
"""The registry's answers by ``http.request.id``; may lack any."""

_NO_LOG: Final[RequestLog] = {}


def translate(
    envelope: object, feed: FeedSettings, request_log: RequestLog | None = None
) -> Translation:
    """Return what a decoded *envelope* means in the feed's region. Raises nothing.

    *request_log* adds the bytes and duration of pulls. One notification's fault does
    not touch the others.
    """
    events: list[Event] = []
    ignored: list[Ignored] = []
    malformed: list[Malformed] = []
    try:
        notifications = _notifications(envelope)
    except InputError as error:
        return Translation(malformed=(Malformed.of(None, error),))
    for index, item in enumerate(notifications):
        try:
            notice = _notice(fields_of(item), feed, request_log or _NO_LOG)
            facts = _facts(notice, feed)
            if isinstance(facts, IgnoredReason):
                ignored.append(Ignored(notice.event_id, facts))
            else:
                events += numbered(notice.event_id, facts, notice.time_ns, feed)
        except InputError as error:
            malformed.append(Malformed.of(index, error))
    return Translation(tuple(events), tuple(ignored), tuple(malformed))


def _notifications(envelope: object) -> list[object]:
    field = "events"
    items = fields_of(envelope, "envelope").values.get(field)
    if not isinstance(items, list):
        remedy = 'give {"events": [...]}, the body that the registry posts'
        raise InputError(field, shown(items), remedy)
    return items


@dataclass(frozen=True, slots=True)
class _Notice:
    """One notification, as far as every action needs it."""

    event_id: Identifier
    time_ns: TimeNs | None
    action: str
    target: Fields
    repository: Repository
    method: str
    user_agent: str
    client_region: Region | None
    record: RequestRecord | None

    @property
    def tag(self) -> Tag | None:
        """The tag of the target, if it names one; raises TagInvalidError."""
        text = self.target.text("tag")
        return parse_tag(text, self.target.where("tag")) if text else None


def _notice(fields: Fields, feed: FeedSettings, log: RequestLog) -> _Notice:
    target = fields.inner("target")
    request = fields.inner("request")
    time = fields.text("timestamp")
    return _Notice(
        event_id=fields.identifier("id"),
        time_ns=parse_timestamp_ns(time, "timestamp") if time else None,
        action=fields.text("action"),
        target=target,
        repository=parse_repository(
            target.text("repository"), target.where("repository")
        ),
        method=request.text("method"),
        user_agent=request.text("useragent"),
        client_region=client_region(request.text("addr"), feed),
        record=log.get(request.text("id")),
    )


def _facts(notice: _Notice, feed: FeedSettings) -> tuple[Fact, ...] | IgnoredReason:
    match notice.action:
        case "push" | "mount":
            return (_stored(notice, feed),)
        case "pull":
            return _read(notice, feed)
        case "delete":
            return (_removed(notice),)
        case _:
            return IgnoredReason.ACTION_UNKNOWN


def _stored(notice: _Notice, feed: FeedSettings) -> Fact:
    """Return a push or mount; what our own replicator wrote is an arrival.

    The tag that a replicator sets is no new tag: it moved where the image was pushed.
    """
    if is_own(notice.user_agent, feed):
        return _arrived(notice)
    target = notice.target
    subject = target.inner("subject")
    return ContentPushed(
        content=_descriptor(target),
        repository=notice.repository,
        tag=notice.tag,
        references=_references(target),
        subject_digest=_digest(subject) if subject.values else None,
        client_region=notice.client_region,
        mounted_from_repository=_mounted_from(notice),
    )


def _mounted_from(notice: _Notice) -> Repository | None:
    text = notice.target.text("fromRepository") if notice.action == "mount" else ""
    where = notice.target.where("fromRepository")
    return parse_repository(text, where) if text else None


def _arrived(notice: _Notice) -> ContentReplicated:
    """Return an arrival by a copy; from where, the registry cannot know."""
    return ContentReplicated(
        contents=(_descriptor(notice.target),),
        repository=notice.repository,
        references=_references(notice.target),
    )


def _read(notice: _Notice, feed: FeedSettings) -> tuple[Fact, ...] | IgnoredReason:
    """Return a use, if somebody but us fetched content."""
    if notice.method != "GET":
        head = notice.method == "HEAD"
        return IgnoredReason.HEAD_IS_NO_USE if head else IgnoredReason.METHOD_UNKNOWN
    status = notice.record.status if notice.record else HTTPStatus.OK
    if status == HTTPStatus.NOT_MODIFIED:
        return IgnoredReason.NOT_MODIFIED
    if status >= HTTPStatus.BAD_REQUEST:
        return IgnoredReason.FAILED
    own = is_own(notice.user_agent, feed)
    uses = () if own else (_pulled(notice, feed),)
    if feed.proxy and _whole(notice):  # what it served, it keeps
        return (*uses, _arrived(notice))
    return uses or IgnoredReason.OWN_COPY


def _pulled(notice: _Notice, feed: FeedSettings) -> ContentPulled:
    """Return the use, with what really moved where the request log tells.

    A transfer that the client cut short, and a Range of the content, are uses too:
    somebody wanted it there, and a far source is a reason to hang up. They move what
    was written, and have no duration: they do not say how long a pull takes. Nor does a
    cache, which may have waited for its upstream. A redirect moved nothing from here.
    """
    record = notice.record
    moved = record is not None and record.status < HTTPStatus.MULTIPLE_CHOICES
    timed = moved and _whole(notice) and not feed.proxy
    content = _descriptor(notice.target)
    return ContentPulled(
        digest=content.digest,
        repository=notice.repository,
        tag=notice.tag,
        client_region=notice.client_region,
        transferred_bytes=record.written_bytes if record and moved else 0,
        pull_duration_ns=record.duration_ns if record and timed else None,
        client_kind=client_kind(notice.user_agent, feed),
        media_type=Name(content.media_type),
        size_bytes=content.size_bytes,
    )


def _whole(notice: _Notice) -> bool:
    """Say whether nothing is known to be missing from what was served."""
    record = notice.record
    if record is None or record.status >= HTTPStatus.MULTIPLE_CHOICES:
        return True
    return record.written_bytes >= _size_bytes(notice.target)


def _removed(notice: _Notice) -> Fact:
    """Return what left: content by digest, else a tag, else the whole repository."""
    repository = notice.repository
    if notice.target.text("digest"):
        return ContentEvicted(repository, digests=(_digest(notice.target),))
    tag = notice.tag
    if tag is not None:
        return TagMoved(repository, tag)
    return ContentEvicted(repository, whole_repository=True)


def _references(target: Fields) -> tuple[Descriptor, ...]:
    """Return what a manifest or index refers to: none without includereferences."""
    return tuple(_descriptor(item) for item in target.items("references"))


def _descriptor(fields: Fields) -> Descriptor:
    return Descriptor(
        digest=_digest(fields),
        media_type=fields.name("mediaType"),
        size_bytes=_size_bytes(fields),
        platform=_platform(fields.inner("platform")),
    )


def _digest(fields: Fields) -> Digest:
    return parse_digest(fields.text("digest"), fields.where("digest"))


def _size_bytes(fields: Fields) -> int:
    """Return the content's whole size, whatever was sent of it; 0 when not known."""
    return fields.count("size") or fields.count("length")


def _platform(fields: Fields) -> Platform | None:
    os, architecture = fields.name("os"), fields.name("architecture")
    if not os and not architecture:
        return None
    return Platform(os, architecture, fields.name("variant"))
