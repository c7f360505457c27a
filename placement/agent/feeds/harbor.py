"""Harbor's webhooks, of both payload formats, become events. No clock, no I/O.

Harbor tells of whole artifacts by account: no sizes, media types, addresses or
programs. Its own format has no id either, so that two equal notifications of the same
second are one. Source: goharbor/website, configure-webhooks; goharbor/harbor,
``src/pkg/notifier``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from placement.agent.feeds.cloud_events import (
    batch,
    data_of,
    hashed_id,
    id_of,
    is_cloud_event,
    time_of,
)
from placement.agent.feeds.each import Meaning, each, meaning_of
from placement.agent.feeds.fields import Fields
from placement.agent.feeds.times import SECOND_NS
from placement.agent.feeds.translation import FeedSettings, IgnoredReason, Translation
from placement.core.errors import InputError, TimeInvalidError
from placement.core.event import (
    ClientKind,
    ContentEvicted,
    ContentPulled,
    ContentPushed,
    ContentReplicated,
    Fact,
    Identifier,
    TagMoved,
    TimeNs,
)
from placement.core.oci import (
    Descriptor,
    Digest,
    Repository,
    Tag,
    parse_digest,
    parse_repository,
    parse_tag,
)
from placement.wire.fields import TIME_NS_MAX

PUSHED: Final = frozenset({"PUSH_ARTIFACT", "harbor.artifact.pushed"})
PULLED: Final = frozenset({"PULL_ARTIFACT", "harbor.artifact.pulled"})
DELETED: Final = frozenset({"DELETE_ARTIFACT", "harbor.artifact.deleted"})
REPORTS: Final = (
    "REPLICATION",  # each artifact that it pushed here has a notification of its own
    "TAG_RETENTION",  # so has each that it deleted
    "SCANNING_",
    "QUOTA_",
    "harbor.replication.",
    "harbor.tag_retention.",
    "harbor.scan.",
    "harbor.quota.",
    "harbor.tag.",
)
ROBOT: Final = "robot$"


def translate(document: object, feed: FeedSettings) -> Translation:
    """Return what a decoded webhook means in the feed's region. Raises nothing."""
    return each(batch(document), lambda fields: _meaning(_notice(fields, feed), feed))


@dataclass(frozen=True, slots=True)
class _Notice:
    """What both formats say."""

    event_id: Identifier
    kind: str
    time_ns: TimeNs | None
    operator: str
    data: Fields


@dataclass(frozen=True, slots=True)
class _Artifact:
    """One resource of a notification."""

    digest: Digest
    tag: Tag | None


def _notice(fields: Fields, feed: FeedSettings) -> _Notice:
    kind, operator = fields.text("type"), fields.text("operator")
    if not kind:
        raise InputError("type", "", "post Harbor's webhook, of either payload format")
    if is_cloud_event(fields):
        return _Notice(id_of(fields), kind, time_of(fields), operator, data_of(fields))
    event_id = hashed_id("harbor", feed.region, dict(fields.values))
    data = fields.inner("event_data")
    return _Notice(event_id, kind, _seconds(fields, "occur_at"), operator, data)


def _seconds(fields: Fields, key: str) -> TimeNs | None:
    """Return a moment in Unix seconds; raises TimeInvalidError."""
    time_ns = fields.count(key) * SECOND_NS
    if time_ns > TIME_NS_MAX:
        remedy = "give Unix seconds before 2116"
        raise TimeInvalidError(fields.where(key), fields.count(key), remedy)
    return TimeNs(time_ns) if time_ns else None


def _meaning(notice: _Notice, feed: FeedSettings) -> Meaning:
    return meaning_of(notice.event_id, _facts(notice, feed), notice.time_ns, feed)


def _facts(notice: _Notice, feed: FeedSettings) -> Sequence[Fact] | IgnoredReason:
    kind = notice.kind
    if kind.startswith(REPORTS):
        return IgnoredReason.NOT_CONTENT
    if kind not in PUSHED | PULLED | DELETED:
        return IgnoredReason.ACTION_UNKNOWN
    repository = _repository(notice.data)
    artifacts = [_artifact(item) for item in notice.data.items("resources")]
    if not artifacts:
        where = notice.data.where("resources")
        raise InputError(where, "", "name at least one artifact")
    if kind in PUSHED:
        return [_pushed(item, repository, notice, feed) for item in artifacts]
    if kind in PULLED:
        if notice.operator in feed.own_accounts:
            return IgnoredReason.OWN_COPY
        client = _client_kind(notice.operator, feed)
        return [
            ContentPulled(item.digest, repository, item.tag, client_kind=client)
            for item in artifacts
        ]
    return _deleted(artifacts, repository)


def _repository(data: Fields) -> Repository:
    named = data.inner("repository")
    text = named.text("repo_full_name")
    if not text:
        text = f"{named.text('namespace')}/{named.text('name')}"
    return parse_repository(text, named.where("repo_full_name"))


def _artifact(fields: Fields) -> _Artifact:
    """Return a resource; where it was asked for by digest, its tag is the digest."""
    digest = parse_digest(fields.text("digest"), fields.where("digest"))
    text = fields.text("tag")
    tag = parse_tag(text, fields.where("tag")) if text and ":" not in text else None
    return _Artifact(digest, tag)


def _pushed(
    item: _Artifact, repository: Repository, notice: _Notice, feed: FeedSettings
) -> Fact:
    """Return a push, or the arrival that a replication brought: no new version."""
    content = Descriptor(item.digest)
    if notice.operator in (*feed.own_accounts, *feed.copying_accounts):
        return ContentReplicated((content,), repository)
    return ContentPushed(content, repository, item.tag)


def _deleted(artifacts: Sequence[_Artifact], repository: Repository) -> list[Fact]:
    """Return that the artifacts are gone, and with each of them its tags."""
    digests = tuple(dict.fromkeys(item.digest for item in artifacts))
    tags = dict.fromkeys(item.tag for item in artifacts if item.tag is not None)
    evicted = ContentEvicted(repository, digests=digests)
    return [evicted, *(TagMoved(repository, tag) for tag in tags)]


def _client_kind(operator: str, feed: FeedSettings) -> ClientKind:
    """Return what kind of client an account is: a scanner's robot bears its name.

    Such as ``robot$library+scanner-Trivy-51fe4548-...``.
    """
    if operator in feed.copying_accounts:
        return ClientKind.REPLICATOR
    name = operator.lower()
    scans = any(part.lower() in name for part in feed.scanner_user_agents)
    if name.startswith(ROBOT) and scans:
        return ClientKind.SCANNER
    return ClientKind.UNSPECIFIED
