"""Amazon ECR's events, as EventBridge sends them, become events. No clock, no I/O.

They come on a best effort: some never. None tells of a pull. Only finished actions
count. An image's delete and the removal of one of several tags look the same; both are
taken for the former, and the next inventory puts right what was the latter. Source:
Amazon ECR user guide, "Amazon ECR events and EventBridge".
"""

from collections.abc import Sequence
from typing import Final

from placement.agent.feeds.cloud_events import batch, time_of
from placement.agent.feeds.each import Meaning, each, meaning_of
from placement.agent.feeds.fields import Fields
from placement.agent.feeds.translation import (
    FeedSettings,
    Ignored,
    IgnoredReason,
    Translation,
)
from placement.core.event import (
    ContentEvicted,
    ContentPushed,
    ContentReplicated,
    Fact,
    TagMoved,
    Text,
)
from placement.core.oci import (
    Descriptor,
    Repository,
    Tag,
    parse_digest,
    parse_repository,
    parse_tag,
)

SOURCE: Final = "aws.ecr"
ACTIONS: Final = frozenset(
    {
        "ECR Image Action",
        "ECR Pull Through Cache Action",
        "ECR Referrer Action",
        "ECR Replication Action",
    }
)
SUCCESS: Final = "SUCCESS"
ARCHIVED: Final = "ARCHIVE"


def translate(document: object, feed: FeedSettings) -> Translation:
    """Return what a decoded event means in the feed's region. Raises nothing."""
    return each(batch(document), lambda fields: _meaning(fields, feed))


def _meaning(fields: Fields, feed: FeedSettings) -> Meaning:
    event_id = fields.identifier("id")
    there = feed.peer_regions.get(fields.text("region"), feed.region)
    if there != feed.region:
        return Ignored(event_id, IgnoredReason.OTHER_REGION)
    facts = _facts(fields, feed)
    time_ns = None if isinstance(facts, IgnoredReason) else time_of(fields)
    return meaning_of(event_id, facts, time_ns, feed)


def _facts(fields: Fields, feed: FeedSettings) -> Sequence[Fact] | IgnoredReason:
    kind, detail = fields.text("detail-type"), fields.inner("detail")
    reason = _nothing(fields.text("source"), kind, detail)
    if reason is not None:
        return reason
    where = detail.where("repository-name")
    repository = parse_repository(detail.text("repository-name"), where)
    facts: list[Fact]
    match kind, detail.text("action-type"):
        case ("ECR Pull Through Cache Action", _):
            facts = _cached(detail, repository)
        case ("ECR Replication Action", _):
            source = feed.peer_regions.get(detail.text("source-region"))
            facts = [ContentReplicated((_content(detail),), repository, source)]
        case (_, "PUSH"):
            facts = [ContentPushed(_content(detail), repository, _tag(detail))]
        case (_, "DELETE"):
            facts = _deleted(detail, repository)
        case (_, "UPDATE_STORAGE_CLASS"):
            facts = [_moved(detail, repository)]
        case _:
            return IgnoredReason.ACTION_UNKNOWN
    return facts


def _nothing(source: str, kind: str, detail: Fields) -> IgnoredReason | None:
    """Return why an event says nothing of content, if it does not."""
    if source != SOURCE:
        return IgnoredReason.ACTION_UNKNOWN
    if kind not in ACTIONS:
        return IgnoredReason.NOT_CONTENT
    result = detail.text("result") or detail.text("sync-status")
    return None if result == SUCCESS else IgnoredReason.FAILED


def _content(detail: Fields) -> Descriptor:
    where = detail.where("image-digest")
    digest = parse_digest(detail.text("image-digest"), where)
    return Descriptor(digest, detail.name("manifest-media-type"))


def _tag(detail: Fields) -> Tag | None:
    text = detail.text("image-tag")
    return parse_tag(text, detail.where("image-tag")) if text else None


def _cached(detail: Fields, repository: Repository) -> list[Fact]:
    """Return the arrival of what a client asked for, and the tag that it set here."""
    content, tag = _content(detail), _tag(detail)
    arrived: list[Fact] = [ContentReplicated((content,), repository)]
    if tag is not None:
        arrived.append(TagMoved(repository, tag, content.digest))
    return arrived


def _deleted(detail: Fields, repository: Repository) -> list[Fact]:
    content, tag = _content(detail), _tag(detail)
    gone: list[Fact] = [ContentEvicted(repository, digests=(content.digest,))]
    if tag is not None:
        gone.append(TagMoved(repository, tag))
    return gone


def _moved(detail: Fields, repository: Repository) -> Fact:
    """Return what a change of the storage class means: archived, nobody can pull."""
    content = _content(detail)
    if detail.text("target-storage-class") == ARCHIVED:
        reason = Text("archived")
        return ContentEvicted(repository, digests=(content.digest,), reason=reason)
    return ContentReplicated((content,), repository)
