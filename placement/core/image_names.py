"""Image names as people write them: ``acme/web:v1`` and ``acme/web@sha256:...``."""

from dataclasses import dataclass

from placement.core.errors import InputError, NameInvalidError
from placement.core.oci import (
    Digest,
    Repository,
    Tag,
    is_digest,
    parse_digest,
    parse_repository,
    parse_tag,
)


@dataclass(frozen=True, slots=True)
class ImageName:
    """A repository, and a tag or digest in it; None is the whole repository."""

    repository: Repository
    reference: Digest | Tag | None = None

    def __str__(self) -> str:
        """Return it as people write it."""
        if self.reference is None:
            return self.repository
        separator = "@" if is_digest(self.reference) else ":"
        return f"{self.repository}{separator}{self.reference}"


def parse_name(text: str, field: str = "image") -> ImageName:
    """Return ``REPOSITORY[:TAG][@DIGEST]``; a digest wins over a tag beside it.

    Raises an InputError that names *field*: a registry's host is none of ours.
    """
    rest, at, digest = text.partition("@")
    head, colon, tag = rest.rpartition(":")
    tagged = bool(colon) and "/" not in tag
    repository = head if tagged else rest
    if ":" in repository:
        remedy = "leave the registry's host out, as in acme/web:v1"
        raise NameInvalidError(field, text, remedy)
    name = parse_repository(repository, field)
    if at:
        return ImageName(name, parse_digest(digest, field))
    return ImageName(name, parse_tag(tag, field) if tagged else None)


def parse_image(text: str, field: str = "image") -> tuple[Repository, Digest | Tag]:
    """Return the repository and reference of one image; raises InputError."""
    name = parse_name(text, field)
    if name.reference is None:
        remedy = f"say which one: {text}:TAG or {text}@sha256:..."
        raise InputError(field, text, remedy)
    return name.repository, name.reference
