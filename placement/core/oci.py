"""The words of the OCI specifications: digests, names, tags, descriptors, parsed once.

Sources: OCI distribution-spec 1.1 (names, tags), image-spec 1.1 (digests, descriptors).
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final, NewType

from placement.core.errors import (
    DigestInvalidError,
    InputError,
    NameInvalidError,
    TagInvalidError,
)

Digest = NewType("Digest", str)
Repository = NewType("Repository", str)
Tag = NewType("Tag", str)

REPOSITORY_LENGTH_MAX: Final = 255
TAG_LENGTH_MAX: Final = 128
PLATFORM_LENGTH_MAX: Final = 255

NAMES_KEPT: Final = 2**14
"""Repository names that were read last: they are named again and again."""

_DIGEST: Final = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_PLATFORM: Final = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+){1,2}")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")

_INDEX_TYPES: Final = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_MANIFEST_TYPES: Final = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.artifact.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)


class ContentKind(IntEnum):
    """What content is in the graph of an image."""

    UNKNOWN = 0
    BLOB = 1
    MANIFEST = 2
    INDEX = 3


@dataclass(frozen=True, slots=True)
class Platform:
    """A kind of machine that an image is built for."""

    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        """Return ``os/architecture[/variant]``."""
        parts = [self.os, self.architecture, self.variant]
        return "/".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What some content is; *size_bytes* is its own size, 0 when not known."""

    digest: Digest
    media_type: str = ""
    size_bytes: int = 0
    platform: Platform | None = None


def parse_digest(text: str, field: str = "digest") -> Digest:
    """Return *text* as a digest; raises DigestInvalidError, naming *field*."""
    if not _DIGEST.fullmatch(text):
        remedy = "give sha256: or sha512: and the whole digest in lower-case hex"
        raise DigestInvalidError(field, text, remedy)
    return Digest(text)


@lru_cache(maxsize=NAMES_KEPT)
def parse_repository(text: str, field: str = "repository") -> Repository:
    """Return *text* as a repository name; raises NameInvalidError, naming *field*."""
    if len(text) > REPOSITORY_LENGTH_MAX or not _REPOSITORY.fullmatch(text):
        remedy = (
            "give lower-case path components such as acme/web, "
            f"at most {REPOSITORY_LENGTH_MAX} characters"
        )
        raise NameInvalidError(field, text, remedy)
    return Repository(text)


def parse_tag(text: str, field: str = "tag") -> Tag:
    """Return *text* as a tag; raises TagInvalidError, naming *field*."""
    if not _TAG.fullmatch(text):
        remedy = f"give at most {TAG_LENGTH_MAX} of A-Z a-z 0-9 . _ - (no leading . -)"
        raise TagInvalidError(field, text, remedy)
    return Tag(text)


def parse_reference(text: str, field: str = "reference") -> Digest | Tag:
    """Return *text* as a digest if it holds a colon, else as a tag."""
    return parse_digest(text, field) if ":" in text else parse_tag(text, field)


def parse_platform(text: str, field: str = "platform") -> Platform | None:
    """Return ``os/architecture[/variant]`` as a platform; None for an empty text.

    Raises InputError, naming *field*.
    """
    if not text:
        return None
    if not _PLATFORM.fullmatch(text) or len(text) > PLATFORM_LENGTH_MAX:
        remedy = "give os/architecture or os/architecture/variant, such as linux/amd64"
        raise InputError(field, text, remedy)
    return Platform(*text.split("/"))


def is_digest(reference: str) -> bool:
    """Say whether a parsed *reference* is a digest; tags never hold a colon."""
    return ":" in reference


def content_kind(media_type: str) -> ContentKind:
    """Return what *media_type* stands for; UNKNOWN for an empty one."""
    if media_type in _MANIFEST_TYPES:
        return ContentKind.MANIFEST
    if media_type in _INDEX_TYPES:
        return ContentKind.INDEX
    return ContentKind.BLOB if media_type else ContentKind.UNKNOWN
