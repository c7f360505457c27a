"""Looking for images by a part of a name: what fits, in order, and no more."""

import pytest

from placement.core import searching
from placement.core.errors import InputError
from placement.core.oci import Digest, Repository, Tag
from placement.core.searching import Hit, HitPage, Sought, parse_sought, search
from placement.core.sight import SeenState
from placement.core.state import State
from tests.builders import (
    API,
    IAD,
    LATEST,
    SYD,
    WEB,
    A,
    B,
    descriptor,
    folded,
    pushed,
)
from tests.steps import taken

OTHER = Repository("globex/web")
LONG = Digest("sha512:" + "c0ffee12" * 16)


def world() -> State:
    """Three repositories; one digest is in two of them."""
    return folded(
        pushed("a", IAD, references=[descriptor("l1")], tag=LATEST),
        pushed("a", IAD, references=[descriptor("l1")], tag=Tag("v1")),
        pushed("l1", IAD),
        pushed("b", SYD, API, references=[descriptor("l2")], tag=Tag("v2")),
        pushed("a", SYD, OTHER, references=[descriptor("l1")], tag=Tag("v1")),
    )


def found(
    state: State, text: str, after: Hit | None = None, count: int = 10
) -> HitPage:
    """What a search comes to, all of its steps taken."""
    return taken(search(state, parse_sought(text), after, count))


def hits(state: State, text: str) -> list[tuple[str, str, str]]:
    """All that fits."""
    return [(hit.repository, hit.tag, hit.digest) for hit in found(state, text).hits]


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("acme/web", (Sought("acme/web"),)),
        ("acme/web:v1", (Sought("acme/web", tag="v1"),)),
        ("Acme", (Sought("acme"),)),
        ("web@sha256:C0FFEE1", (Sought("web", None, "c0ffee1", "sha256"),)),
        ("sha512:c0ffee1", (Sought("", None, "c0ffee1", "sha512"),)),
        ("c0ffee1", (Sought("c0ffee1"), Sought("", hex_digits="c0ffee1"))),
        ("c0ffee", (Sought("c0ffee"),)),
    ],
)
def test_a_text_has_its_readings(text: str, readings: tuple[Sought, ...]) -> None:
    """Names, tags and digests, whole or in part, are told apart."""
    assert parse_sought(text) == readings


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("<b>", "give a repository"),
        ("acme web", "give a repository"),
        ("acme/web:v1 ", "give a repository"),
        ("sha256:xyz", "give a repository"),
        ("md5:c0ffee1@c0ffee1", "give a repository"),
        ("sha256:c0ffee", "at least 7"),
        ("acme/web@c0ffee", "at least 7"),
        ("a" * 401, "at most 400"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, remedy: str) -> None:
    """The field is named, and what would do."""
    with pytest.raises(InputError) as refused:
        parse_sought(text)
    assert refused.value.field == "q"
    assert remedy in refused.value.remedy


def test_a_part_of_a_name_finds_repositories() -> None:
    """In the order of their names."""
    assert hits(world(), "web") == [(WEB, "", ""), (OTHER, "", "")]
    assert hits(world(), "acme") == [(API, "", ""), (WEB, "", "")]
    assert hits(world(), "nobody") == []


def test_a_tag_is_found_by_how_it_begins() -> None:
    """Each tag with what it points to."""
    assert hits(world(), "acme/web:") == [(WEB, "latest", A), (WEB, "v1", A)]
    assert hits(world(), "web:v") == [(WEB, "v1", A), (OTHER, "v1", A)]


def test_a_digest_is_found_by_seven_digits_in_every_repository() -> None:
    """Whole, in part, with a repository or without."""
    state = world()
    both = [(WEB, "", A), (OTHER, "", A)]
    assert hits(state, "aaaaaaa") == both
    assert hits(state, "sha256:aaaaaaaa") == both
    assert hits(state, A) == both
    assert hits(state, f"acme@{A}") == both[:1]
    assert hits(state, "bbbbbbbbbbbb") == [(API, "", B)]
    assert hits(state, "sha512:aaaaaaa") == []
    assert hits(state, "aaaaaab") == []


def test_digests_of_another_algorithm_are_found_too() -> None:
    """Their keys are kept apart from the others."""
    state = world()
    row = state.placement_row(WEB, LONG)
    assert state.digest_at(state.content_of(row)) == LONG
    assert hits(state, "c0ffee1") == [(WEB, "", LONG)]
    assert hits(state, LONG) == [(WEB, "", LONG)]
    assert hits(state, "sha256:c0ffee1") == []


def test_pages_go_on_where_the_last_one_ended() -> None:
    """Each hit once, whatever the size of a page."""
    state = world()
    seen: list[Hit] = []
    page = found(state, "web:", count=1)
    while page.more:
        seen += page.hits
        page = found(state, "web:", seen[-1], count=1)
    seen += page.hits
    assert [hit.tag for hit in seen] == ["latest", "v1", "v1"]
    assert seen == sorted(set(seen))


def test_no_more_is_looked_at_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more fits, the page says that it was cut."""
    state = world()
    assert not found(state, "web:").cut
    monkeypatch.setattr(searching, "TAGS_READ_MAX", 1)
    assert found(state, "web:").cut
    monkeypatch.setattr(searching, "DIGESTS_FOUND_MAX", 0)
    assert found(state, "aaaaaaa").cut


def test_a_tenant_finds_its_own_alone() -> None:
    """What is hidden is not found under any name."""
    seen = SeenState(world(), "globex")
    assert hits(seen, "web") == [(OTHER, "", "")]
    assert hits(seen, "aaaaaaa") == [(OTHER, "", A)]
    assert hits(seen, "bbbbbbb") == []
    assert hits(seen, "api:") == []
