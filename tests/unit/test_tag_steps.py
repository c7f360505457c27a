"""A repository of very many tags is read in steps, whatever is asked about it."""

from collections.abc import Callable, Iterator
from heapq import merge

import pytest

from placement.console.asked import Asked
from placement.console.moment import Moment
from placement.console.repository import repository_model
from placement.core.copies import Image, tagged_images
from placement.core.lookup import placement_of
from placement.core.oci import Tag
from placement.core.planning import images_of
from placement.core.pushes import image_bytes
from placement.core.searching import HitPage, parse_sought, search
from placement.core.state import State
from placement.core.tables.table import Row, Table
from placement.core.tag_steps import STEP, sorted_runs, tags_to
from placement.runtime.view import Basis, ServingState
from tests.builders import IAD, SECOND_NS, START_NS, WEB, A, folded, pushed
from tests.images import network
from tests.steps import taken

COUNT = 5 * STEP
TAGS = [Tag(f"v{number:03}") for number in range(COUNT)]


@pytest.fixture(scope="module")
def many() -> State:
    """A repository of many tags, the last one first by name, and each a second on."""
    return folded(
        *(
            pushed("a", IAD, tag=tag, at_ns=START_NS + at * SECOND_NS)
            for at, tag in enumerate(reversed(TAGS))
        )
    )


class Counted:
    """Counts the tags that are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state: State) -> None:
        """Count from now on those of *state*."""
        self.count = 0
        table = type(state.tags)
        values = table.values

        def counting(of: Table, row: Row) -> tuple[int, ...]:
            self.count += of is state.tags
            return values(of, row)

        monkeypatch.setattr(table, "values", counting)

    def most(self, steps: Iterator[object]) -> int:
        """Return how many are read within one of *steps* at the most."""
        most = before = 0
        for _ in steps:
            most, before = max(most, self.count - before), self.count
        assert self.count >= COUNT
        return max(most, self.count - before)


def moment(state: State) -> Moment:
    """The state as a page sees it."""
    basis = Basis("epoch", state.sequence, START_NS, ServingState.LIVE, 0, START_NS, "")
    return Moment(network(state), basis)


ASKED: dict[str, Callable[[State], Iterator[object]]] = {
    "search": lambda state: search(state, parse_sought("web:v"), None, 10),
    "repository": lambda state: repository_model(
        moment(state), WEB, 2, Asked("/images/acme/web")
    ),
    "image": lambda state: placement_of(network(state), WEB, A),
    "push": lambda state: image_bytes(network(state), WEB),
    "plan of all": lambda state: images_of(state, None, None),
    "plan of a repository": lambda state: images_of(state, WEB, None),
    "plan of an image": lambda state: images_of(state, WEB, A),
}


@pytest.mark.parametrize("question", ASKED)
def test_tags_are_read_in_steps(
    many: State, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """Others may run after a few dozen of them."""
    tables = Counted(monkeypatch, many)
    # A tag that fits is read twice: for what it points to, and for its name.
    assert tables.most(ASKED[question](many)) <= 2 * STEP + 8


def test_tags_are_whole_and_in_order(many: State) -> None:
    """As they are when they are read at once."""
    owner, digest = many.find_repository(WEB), many.find_digest(A)
    assert taken(tags_to(many, owner, digest)) == tuple(TAGS)
    assert [tag for tag, _ in many.tags_in(owner)] == TAGS
    images = [image for image in tagged_images(many, [owner]) if image]
    assert images == [Image(WEB, A, tuple(TAGS))]
    runs = taken(sorted_runs([3, None, *range(2 * STEP), None, 1]))
    assert list(merge(*runs)) == sorted([3, *range(2 * STEP), 1])


def test_each_page_of_a_repository_goes_on_where_the_last_one_ended(
    many: State,
) -> None:
    """The tag that was set last is the first one."""
    shown: list[str] = []
    number, link = 0, "more"
    while link:
        number += 1
        model = taken(repository_model(moment(many), WEB, number, Asked("/")))
        assert (model.tag_count, model.first) == (COUNT, len(shown) + 1)
        shown += [row.tag for row in model.rows]
        link = model.next_link
    assert shown == TAGS


def test_search_within_one_repository_is_cut_too(
    many: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And finds the very tag that is sought, however many others there are."""
    monkeypatch.setattr("placement.core.searching.TAGS_READ_MAX", 10)

    def found(text: str) -> HitPage:
        return taken(search(many, parse_sought(text), None, 50))

    begun = found("web:v")
    assert (begun.cut, len(begun.hits)) == (True, 10)
    exact = found(f"web:{TAGS[0]}")
    assert (exact.cut, [hit.tag for hit in exact.hits]) == (True, [TAGS[0]])
