"""Image names as commands take them: their errors name the argument."""

from placement.core import image_names
from placement.core.image_names import ImageName
from placement.core.oci import Digest, Repository, Tag

__all__ = ["ImageName", "parse_image", "parse_name"]


def parse_name(text: str, field: str = "IMAGE") -> ImageName:
    """Return a repository, or an image in it; raises an InputError, naming *field*."""
    return image_names.parse_name(text, field)


def parse_image(text: str, field: str = "IMAGE") -> tuple[Repository, Digest | Tag]:
    """Return the repository and reference of one image; raises InputError."""
    return image_names.parse_image(text, field)
