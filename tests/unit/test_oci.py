"""Digests, names, tags: what the OCI specifications allow, and one too many of it."""

import pytest

from placement.core.errors import (
    DigestInvalidError,
    InputError,
    NameInvalidError,
    TagInvalidError,
    clipped,
)
from placement.core.oci import (
    ContentKind,
    Platform,
    content_kind,
    is_digest,
    parse_digest,
    parse_reference,
    parse_repository,
    parse_tag,
)

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha512:{HEX}{HEX}"])
def test_whole_digest_is_accepted(text: str) -> None:
    """SHA-256 and SHA-512, in lower-case hexadecimal."""
    assert parse_digest(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        "sha256:",
        f"sha256:{HEX[1:]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"sha256:{HEX[:-1]}g",
        f"sha512:{HEX}",
        f"sha512:{HEX}{HEX}0",
        f"sha384:{HEX}{HEX[:32]}",
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        f"SHA256:{HEX}",
    ],
)
def test_anything_else_is_no_digest(text: str) -> None:
    """Too short, too long, another algorithm, another alphabet."""
    with pytest.raises(DigestInvalidError) as refused:
        parse_digest(text, "content.digest")

    assert refused.value.reason == "DIGEST_INVALID"
    assert refused.value.field == "content.digest"


@pytest.mark.parametrize(
    "text",
    ["a", "acme/web", "a.b_c__d-e---f/0", "a" * 255, "/".join(["a"] * 128)],
)
def test_repository_name_is_accepted(text: str) -> None:
    """Lower-case components with separators inside, at most 255 characters."""
    assert parse_repository(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "Acme/web",
        "acme//web",
        "acme/web/",
        "/acme",
        "acme/-web",
        "acme/web_",
        "a..b",
        "a___b",
        "a" * 256,
        "acme/web\n",
        "àcme",
    ],
)
def test_anything_else_is_no_repository_name(text: str) -> None:
    """Upper case, empty components, separators at an end or doubled, 256 characters."""
    with pytest.raises(NameInvalidError) as refused:
        parse_repository(text)

    assert (refused.value.reason, refused.value.field) == ("NAME_INVALID", "repository")


@pytest.mark.parametrize("text", ["v", "_", "V1.0-rc_2", "9" * 128])
def test_tag_is_accepted(text: str) -> None:
    """Letters, digits, dots, dashes and underscores, at most 128."""
    assert parse_tag(text) == text


@pytest.mark.parametrize("text", ["", ".v", "-v", "v" * 129, "a:b", "a/b", "v\n", "é"])
def test_anything_else_is_no_tag(text: str) -> None:
    """129 characters, a dot or dash in front, other characters."""
    with pytest.raises(TagInvalidError) as refused:
        parse_tag(text)

    assert (refused.value.reason, refused.value.field) == ("TAG_INVALID", "tag")


def test_reference_is_a_digest_if_it_holds_a_colon() -> None:
    """No tag holds a colon, so a spoiled digest is never taken for a tag."""
    assert parse_reference(f"sha256:{HEX}") == f"sha256:{HEX}"
    assert parse_reference("latest") == "latest"
    assert (is_digest(f"sha256:{HEX}"), is_digest("latest")) == (True, False)
    with pytest.raises(DigestInvalidError):
        parse_reference("sha256:abc")


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("", ContentKind.UNKNOWN),
        ("application/vnd.oci.image.manifest.v1+json", ContentKind.MANIFEST),
        ("application/vnd.docker.distribution.manifest.v2+json", ContentKind.MANIFEST),
        ("application/vnd.oci.image.index.v1+json", ContentKind.INDEX),
        (
            "application/vnd.docker.distribution.manifest.list.v2+json",
            ContentKind.INDEX,
        ),
        ("application/vnd.oci.image.layer.v1.tar+gzip", ContentKind.BLOB),
        ("application/octet-stream", ContentKind.BLOB),
    ],
)
def test_media_type_tells_the_kind(media_type: str, kind: ContentKind) -> None:
    """Manifests and indexes are known by name; every other type is a blob's."""
    assert content_kind(media_type) is kind


def test_platform_reads_as_people_write_it() -> None:
    """Empty parts are left out."""
    assert str(Platform("linux", "arm64", "v8")) == "linux/arm64/v8"
    assert str(Platform("linux", "amd64")) == "linux/amd64"
    assert str(Platform()) == ""


def test_error_shows_the_start_of_the_value_and_the_remedy() -> None:
    """A hostile value is cut off and made printable before anybody reads it."""
    error = InputError("name", "\x1b[31m" + "x" * 200, "give less")

    assert error.value == "'\\x1b[31m" + "x" * 68 + "..."
    assert str(error) == f"name: {error.value} is not valid: give less"
    assert error.metadata == {
        "field": "name",
        "value": error.value,
        "remedy": "give less",
    }


def test_error_is_named_from_the_outside_in() -> None:
    """A part's error names the whole field, and keeps its class and reason."""
    outer = DigestInvalidError("digest", "x", "give one").within("content")

    assert isinstance(outer, DigestInvalidError)
    assert (outer.field, outer.reason) == ("content.digest", "DIGEST_INVALID")
    assert outer.within("events[3]").field == "events[3].content.digest"


def test_clipped_keeps_what_fits() -> None:
    """Exactly as many characters as are allowed stay."""
    assert clipped("x" * 78) == "'" + "x" * 78 + "'"
    assert len(clipped("x" * 79)) == 80
    assert clipped("x" * 79).endswith("...")


def test_what_cannot_be_written_is_named_by_its_kind() -> None:
    """A message about a value must not fail because of the value."""
    huge = 16**5_000

    assert clipped(huge) == "(int too long to show)"
    assert clipped([huge]) == "(list too long to show)"
