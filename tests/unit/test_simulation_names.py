"""Apps and versions of a trace as repositories and tags: what stays, what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.core.errors import NameInvalidError, TagInvalidError
from placement.core.oci import parse_repository, parse_tag
from placement.simulation.names import app_of, repository_of, tag_of

HEX = "009a2ef650dd3ce84c9208cba50c20a8eea0b3c7c1699ef853af3590bf274aed"
texts = st.text("aA0/->:._23fe é", min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("app", "repository"),
    [
        ("collections", "t/collections"),
        ("quay.io/rh_ee-1/web", "t/quay.io/rh_ee-1/web"),
        ("tap/tapSchema", "t/tap/tap--53chema"),
        ("vault/chart:vault", "t/vault/chart--3avault"),
        (">-", "t/0--3e--2d"),
        ("quay.io//web", "t/quay.io/0--2f/web"),
        ("a--b", "t/a--2d--2db"),
    ],
)
def test_app_keeps_its_name_where_it_can(app: str, repository: str) -> None:
    """Plain names stay, and what OCI does not allow is escaped."""
    assert repository_of("t", app) == repository


@given(app=texts)
def test_escaping_can_be_undone(app: str) -> None:
    """Every app is found again behind its repository, which is a valid name."""
    repository = repository_of("t", app)

    assert app_of(repository) == app
    assert parse_repository(repository) == repository


@given(one=texts, other=texts)
def test_two_apps_never_share_a_repository(one: str, other: str) -> None:
    """Escaping keeps apart what was apart."""
    same = repository_of("t", one) == repository_of("t", other)

    assert same == (one == other)


@pytest.mark.parametrize("name", ["web", "a--b", "x--zz", "0--ff", "a--c3", "a--61"])
def test_name_that_nobody_escaped_is_left_alone(name: str) -> None:
    """A repository of somebody's own trace may look escaped, and is not."""
    assert app_of(f"acme/{name}") == name


def test_repository_without_a_path_is_its_own_app() -> None:
    """There is nothing before the app's name that could be left out."""
    assert app_of("web") == "web"


def test_app_without_a_name_is_refused() -> None:
    """The error says which field."""
    with pytest.raises(NameInvalidError, match="line 3, app"):
        repository_of("t", "", "line 3, app")


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("v1393", "v1393"),
        (f"sha256:{HEX}", f"sha256-{HEX}"),
        ("1.2.3+abc", "1.2.3_abc"),
        ("a:b", "a_3ab"),
        ("-", "_-"),
        (".x", "_.x"),
    ],
)
def test_version_keeps_its_shape_as_a_tag(version: str, tag: str) -> None:
    """Tags stay; others become valid, and keep what shows how they were made."""
    assert tag_of(version) == tag
    assert parse_tag(tag_of(version)) == tag


def test_long_version_is_cut_and_kept_apart() -> None:
    """Two versions of the same long beginning are two tags of valid length."""
    one, other = tag_of("v" * 300 + "1"), tag_of("v" * 300 + "2")

    assert len(one) == len(other) == 128
    assert one != other


def test_version_without_a_text_is_refused() -> None:
    """The error says which field."""
    with pytest.raises(TagInvalidError, match="line 3, version"):
        tag_of("", "line 3, version")
