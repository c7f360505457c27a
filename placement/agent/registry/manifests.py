"""Manifests and indexes as registries give them: bytes, and what they refer to."""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from placement.agent.feeds.fields import Fields, fields_of
from placement.core.errors import InputError
from placement.core.oci import (
    ContentKind,
    Descriptor,
    Digest,
    Platform,
    content_kind,
    parse_digest,
)
from placement.wire.fields import parse_name

MANIFEST_BYTES_MAX: Final = 4 << 20
"""Source: distribution-spec 1.1, "Pushing Manifests": at least 4 MiB is to be taken."""
MANIFEST_TYPES: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""What to accept; a registry that has one in another form must not convert it."""
ACCEPT: Final = {"Accept": ", ".join((*MANIFEST_TYPES, "*/*;q=0.1"))}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or index: its own *descriptor*, its *body*, what it refers to."""

    descriptor: Descriptor
    body: bytes
    references: tuple[Descriptor, ...] = ()
    subject: Digest | None = None

    @property
    def is_index(self) -> bool:
        """Whether it refers to manifests, and not to blobs."""
        return content_kind(self.descriptor.media_type) is ContentKind.INDEX


def parse_manifest(body: bytes, media_type: str, algorithm: str = "sha256") -> Manifest:
    """Return what *body* is; *media_type* is what the registry called it.

    Its digest, by *algorithm*, is worked out from the bytes. A manifest of an unknown
    kind refers to whatever its ``config``, ``layers``, ``blobs`` and ``manifests``
    name. Raises InputError for bytes that are no manifest.
    """
    try:
        fields = fields_of(json.loads(body), "manifest")
    except (ValueError, RecursionError):
        remedy = "give the JSON of a manifest"
        raise InputError("manifest", f"{len(body)} bytes", remedy) from None
    stated = _plain(fields.text("mediaType") or media_type.partition(";")[0].strip())
    subject = fields.inner("subject")
    return Manifest(
        Descriptor(digest_of(body, algorithm), stated, len(body)),
        body,
        tuple(_referred(fields)),
        parse_digest(subject.text("digest"), "subject.digest")
        if subject.values
        else None,
    )


def digest_of(body: bytes, algorithm: str = "sha256") -> Digest:
    """Return the digest of *body* by *algorithm*: sha256 or sha512."""
    return Digest(f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}")


def _referred(fields: Fields) -> list[Descriptor]:
    found: dict[Digest, Descriptor] = {}
    config = fields.inner("config")
    items = [config] if config.values else []
    for key in ("layers", "blobs", "manifests"):
        items += fields.items(key)
    for item in items:
        descriptor = parse_descriptor(item)
        found.setdefault(descriptor.digest, descriptor)
    return list(found.values())


def parse_descriptor(item: Fields) -> Descriptor:
    """Return an OCI descriptor; raises InputError, naming the field."""
    platform = item.inner("platform")
    return Descriptor(
        digest=parse_digest(item.text("digest"), item.where("digest")),
        media_type=_plain(item.text("mediaType")),
        size_bytes=item.count("size"),
        platform=_platform(platform) if platform.values else None,
    )


def _platform(item: Fields) -> Platform | None:
    told = [item.text(key) for key in ("os", "architecture", "variant")]
    return Platform(*told) if told == list(map(_plain, told)) else None


def _plain(text: str) -> str:
    """Return *text*, or nothing where it is no name: no event could carry it.

    An image is pulled all the same: whoever wrote its manifest may say anything.
    """
    try:
        parse_name(text, "")
    except InputError:
        return ""
    return text
