"""When a pull is not calm: each case in which the events around it matter."""

from collections.abc import Sequence

import pytest

from placement.core import event as ev
from placement.core.event import Event, Fact, Recorded, RecordedMessage
from placement.core.fingerprint import canonical_rows
from placement.core.fold import fold
from placement.core.fold_block import fold_block
from placement.core.oci import Descriptor, Digest, Repository, Tag
from placement.core.state import State
from placement.core.topology import Region
from tests.blocks import block_of
from tests.builders import AMS, FRA, INDEX, LAYER, MANIFEST, SECOND_NS, START_NS, digest

WEB, OTHER = Repository("acme/web"), Repository("other")
A, B, C = digest("a"), digest("b"), digest("c")
V1 = Tag("v1")
OWNED = ev.OwnershipDeclared(WEB, ev.Name("b"), ev.Name("shop"))
RUNNING = ev.MachineStarted(digest("f"), OTHER, ev.Identifier("m-0"))
"""From then on pulls no longer stand in for starts."""


def pushed(
    content: Digest,
    media: str = "",
    *children: Descriptor,
    tag: Tag | None = None,
    where: Repository = WEB,
) -> ev.ContentPushed:
    """Return a push of a content; nothing is known of what has no media type."""
    described = Descriptor(content, media, 9)
    return ev.ContentPushed(described, where, tag=tag, references=children)


def pulled(content: Digest, media: str = "", client: Region = AMS) -> Fact:
    """Return a pull from the first repository."""
    return ev.ContentPulled(
        content, WEB, client_region=client, media_type=ev.Name(media)
    )


def message(sequence: int, facts: Sequence[Fact]) -> RecordedMessage:
    """Return a message of these facts, a minute after the one before it."""
    stored_ns = START_NS + sequence * 60 * SECOND_NS
    items = [
        Recorded(sequence, place, stored_ns, stored_ns, event)
        for place, fact in enumerate(facts)
        for event in [Event(ev.Identifier(f"{sequence}-{place}"), AMS, fact)]
    ]
    return RecordedMessage(sequence, stored_ns, b"%016d" % sequence, tuple(items))


def rows_after(
    before: Sequence[Fact], facts: Sequence[Fact], *, block: bool
) -> list[str]:
    """Return the rows of a state that folded *before*, and then *facts* at once."""
    state = State()
    fold(state, message(1, before))
    if block:
        fold_block(state, block_of([message(2, facts)]), lambda _: None)
    else:
        fold(state, message(2, facts))
    return sorted(map(repr, canonical_rows(state)))


CASES: dict[str, tuple[list[Fact], list[Fact]]] = {
    "kind becomes known": (
        [RUNNING, pushed(A)],
        [pushed(A, MANIFEST), pulled(A)],
    ),
    "kind of new content becomes known": (
        [RUNNING, pushed(B)],
        [pulled(A), pushed(A, MANIFEST, where=OTHER), pulled(A)],
    ),
    "owner changes": (
        [RUNNING, pushed(A, MANIFEST)],
        [OWNED, pulled(A)],
    ),
    "may be a version that is pushed before it is pulled": (
        [pushed(A), pushed(B, LAYER), pulled(B), pushed(C, MANIFEST), pulled(C)],
        [ev.TagMoved(WEB, V1, A), pulled(A, LAYER)],
    ),
    "is part of a version that another pull starts": (
        [
            pushed(B, MANIFEST),
            pushed(C),
            pushed(A, INDEX, Descriptor(B, MANIFEST, 9), Descriptor(C), tag=V1),
            pulled(digest("d"), client=FRA),
        ],
        [pulled(B, client=FRA), pulled(C, LAYER, client=FRA)],
    ),
    "stands in for a start": (
        [pushed(A, MANIFEST, tag=V1), pulled(A, client=FRA), pushed(B, MANIFEST)],
        [ev.TagMoved(WEB, V1, B), pulled(B, client=FRA)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_pull_is_folded_in_its_turn_where_it_matters(name: str) -> None:
    """Folding the block as its events one by one, whatever is said around the pull."""
    before, facts = CASES[name]

    together = rows_after(before, facts, block=True)

    assert together == rows_after(before, facts, block=False)
    assert together != rows_after(before, [*facts[1:], facts[0]], block=False), (
        "the order of these events does not matter: this shows nothing"
    )


def test_first_pull_from_a_repository_is_folded_in_its_turn() -> None:
    """Whose it is follows from that; the next ones find it."""
    before, facts = [RUNNING], [pulled(A), pulled(B, LAYER), pulled(A)]

    together = rows_after(before, facts, block=True)

    assert together == rows_after(before, facts, block=False)
