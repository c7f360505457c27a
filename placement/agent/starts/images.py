"""The names that schedulers write for images, as runtimes read them.

Source: distribution/reference, "familiar" names.
"""

from dataclasses import dataclass
from typing import Final

from placement.core.errors import InputError
from placement.core.oci import (
    Digest,
    Repository,
    Tag,
    parse_digest,
    parse_repository,
    parse_tag,
)

HUB: Final = "docker.io"
HUB_NAMES: Final = ("docker.io", "index.docker.io", "registry-1.docker.io")
OFFICIAL: Final = "library/"
DEFAULT_TAG: Final = "latest"
IMAGE_LENGTH_MAX: Final = 1_024


@dataclass(frozen=True, slots=True)
class Image:
    """Where an image is, and which: by digest, by tag, or by both."""

    host: str
    """The registry, such as ``registry.example.com:5000``."""
    repository: Repository
    tag: Tag | None = None
    digest: Digest | None = None


def parse_image(text: str, field: str = "image") -> Image:
    """Return ``[host/]repository[:tag][@digest]``; raises InputError, naming *field*.

    Without a host it is Docker Hub's; without tag and digest it is ``latest``.
    """
    if not text or len(text) > IMAGE_LENGTH_MAX:
        remedy = "give [HOST/]REPOSITORY[:TAG][@DIGEST]"
        raise InputError(field, text, remedy)
    name, _, digest = text.partition("@")
    first, slash, rest = name.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    host, path = (first, rest) if named else (HUB, name)
    path, tag = _tagged(path)
    if host in HUB_NAMES:
        host, path = HUB, path if "/" in path else OFFICIAL + path
    if not tag and not digest:
        tag = DEFAULT_TAG
    return Image(
        host,
        parse_repository(path, field),
        parse_tag(tag, field) if tag else None,
        parse_digest(digest, field) if digest else None,
    )


def _tagged(path: str) -> tuple[str, str]:
    """Return a path without its tag, and the tag; a colon before a slash is none."""
    name, colon, tag = path.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (path, "")
