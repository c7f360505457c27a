"""zot's CloudEvents become events, by HTTP or by NATS. No clock, no I/O.

zot sends binary mode over HTTP and structured mode over NATS. It tells of no pull and
of no finished sync, and of one update for each tag. An update carries the whole
manifest: the graph and its size. Who asked is there since 2.1.18. Types are known by
their ends, since their beginning is configurable. Source: project-zot/zot,
``pkg/extensions/events`` and ``test/blackbox/events_*.bats``; zotregistry.dev.
"""

import json
from hashlib import sha256
from typing import Final

from placement.agent.feeds.clients import client_region, is_own
from placement.agent.feeds.cloud_events import batch, data_of, id_of, time_of
from placement.agent.feeds.each import Meaning, each, meaning_of
from placement.agent.feeds.fields import Fields, fields_of
from placement.agent.feeds.translation import FeedSettings, IgnoredReason, Translation
from placement.core.errors import InputError
from placement.core.event import (
    ContentEvicted,
    ContentPushed,
    ContentReplicated,
    Fact,
    TagMoved,
)
from placement.core.oci import (
    Descriptor,
    Digest,
    Platform,
    Repository,
    is_digest,
    parse_digest,
    parse_reference,
    parse_repository,
    parse_tag,
)

UPDATED: Final = "image.updated"
DELETED: Final = "image.deleted"
FAILED: Final = "image.lint_failed"
REPORTS: Final = ("image.scanned", "repository.created")


def translate(document: object, feed: FeedSettings) -> Translation:
    """Return what a decoded event means in the feed's region. Raises nothing."""
    return each(batch(document), lambda fields: _meaning(fields, feed))


def _meaning(fields: Fields, feed: FeedSettings) -> Meaning:
    event_id = id_of(fields)
    facts = _facts(fields, feed)
    return meaning_of(event_id, facts, time_of(fields), feed)


def _facts(fields: Fields, feed: FeedSettings) -> tuple[Fact, ...] | IgnoredReason:
    kind = fields.text("type")
    if kind.endswith(REPORTS):
        return IgnoredReason.NOT_CONTENT
    if kind.endswith(FAILED):  # the manifest was refused
        return IgnoredReason.FAILED
    if not kind.endswith((UPDATED, DELETED)):
        return IgnoredReason.ACTION_UNKNOWN
    data = data_of(fields)
    repository = parse_repository(data.text("name"), data.where("name"))
    if kind.endswith(DELETED):
        return (_deleted(data, repository),)
    return (_updated(data, repository, feed),)


def _deleted(data: Fields, repository: Repository) -> Fact:
    """Return what is gone: the tag alone, where the delete was by tag."""
    text = data.text("reference") or data.text("digest")
    reference = parse_reference(text, data.where("reference"))
    if is_digest(reference):
        return ContentEvicted(repository, digests=(Digest(reference),))
    return TagMoved(repository, parse_tag(reference))


def _updated(data: Fields, repository: Repository, feed: FeedSettings) -> Fact:
    """Return a push, or the arrival of what our own replicator wrote."""
    digest = parse_digest(data.text("digest"), data.where("digest"))
    text = data.text("manifest")
    manifest = _manifest(text, data.where("manifest"))
    content = Descriptor(digest, data.name("mediaType"), _size_bytes(text, digest))
    references = _references(manifest)
    request = data.inner("request")
    account = data.inner("actor").text("name")
    if is_own(request.text("useragent"), feed) or account in feed.own_accounts:
        return ContentReplicated((content,), repository, references=references)
    reference = data.text("reference")
    subject = manifest.inner("subject")
    return ContentPushed(
        content,
        repository,
        tag=parse_tag(reference, data.where("reference"))
        if reference and not is_digest(reference)
        else None,
        references=references,
        subject_digest=_digest(subject) if subject.values else None,
        client_region=client_region(request.text("addr"), feed),
    )


def _manifest(text: str, where: str) -> Fields:
    """Return the manifest inside an update, empty when absent; raises InputError."""
    if not text:
        return Fields({}, where)
    try:
        return fields_of(json.loads(text), where)
    except (ValueError, RecursionError):
        raise InputError(where, text, "give the manifest as a JSON text") from None


def _size_bytes(manifest: str, digest: Digest) -> int:
    """Return how long the manifest is, if these are its bytes; else 0: not known."""
    body = manifest.encode("utf-8", "surrogatepass")
    return len(body) if digest == f"sha256:{sha256(body).hexdigest()}" else 0


def _references(manifest: Fields) -> tuple[Descriptor, ...]:
    """Return an image's configuration and layers, or an index's manifests."""
    config = manifest.inner("config")
    found = [config] if config.values else []
    found += manifest.items("layers") + manifest.items("blobs")
    found += manifest.items("manifests")
    return tuple(_descriptor(item) for item in found)


def _descriptor(fields: Fields) -> Descriptor:
    platform = fields.inner("platform")
    os, architecture = platform.name("os"), platform.name("architecture")
    known = Platform(os, architecture, platform.name("variant"))
    return Descriptor(
        _digest(fields),
        fields.name("mediaType"),
        fields.count("size"),
        known if os or architecture else None,
    )


def _digest(fields: Fields) -> Digest:
    return parse_digest(fields.text("digest"), fields.where("digest"))
