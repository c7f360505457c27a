"""Chunks of a snapshot that are packed once for all who read the same one."""

import pytest

from placement.core.oci import Repository, Tag
from placement.core.packed import (
    Packed,
    PackedContents,
    PackedPlacements,
    PackedTags,
    size_of,
)
from placement.core.packing import selection
from placement.core.packing.selection import PackedInterest, SharedChunks
from placement.core.state import State
from placement.core.watched import Interest
from tests.builders import IAD, MANIFEST, SYD, descriptor, fold_in, folded, pushed

NOW_NS = 0
IMAGES = 40
ROOM_BYTES = 4_000


def known() -> State:
    """Return a state with some images, each with a tag and a layer."""
    return folded(
        *(
            pushed(
                f"image-{n}",
                IAD,
                tag=Tag(f"v{n}"),
                references=[descriptor(f"layer-{n}", 1_000)],
            )
            for n in range(IMAGES)
        )
    )


def snapshot(state: State, shared: SharedChunks) -> list[Packed]:
    """Return what one watcher of everything is told."""
    scene = PackedInterest(Interest(tags=True), shared).select(state)
    scene.begin()
    return [chunk for part in scene.parts() if (chunk := part(NOW_NS)) is not None]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "BLOCK_ROWS", 8)
    monkeypatch.setattr(selection, "TAG_ROWS", 8)
    monkeypatch.setattr(selection, "DIGEST_ROWS", 8)


def test_second_watcher_is_told_the_very_same_chunks() -> None:
    """Placements, references and tags in whole blocks, but none that may yet grow."""
    state, shared = known(), SharedChunks()
    refers = [descriptor("layer-0", 1_000)]
    fold_in(state, pushed("one more", IAD, tag=Tag("latest"), references=refers))

    first, second = snapshot(state, shared), snapshot(state, shared)

    blocks = {PackedPlacements: 5, PackedTags: 5, PackedContents: 2 * IMAGES // 8}
    for kind, whole in blocks.items():
        ours = [chunk for chunk in first if isinstance(chunk, kind)]
        theirs = [chunk for chunk in second if isinstance(chunk, kind)]
        same = [a is b for a, b in zip(ours, theirs, strict=True)]
        assert same == [True] * whole + [False]
    for kept in (shared.rows, shared.references):
        assert kept.size_bytes == sum(map(size_of, kept.chunks.values())) > 0


def test_who_joins_is_told_what_changed_since_the_chunks_were_packed() -> None:
    """So what was packed before holds for whoever comes later."""
    state, shared = known(), SharedChunks()
    interest = PackedInterest(Interest(tags=True), shared)
    began = interest.select(state).begin()
    snapshot(state, shared)
    fold_in(state, pushed("image-0", SYD, references=[descriptor("layer-0", 1_000)]))

    scene = interest.select(state)

    assert scene.begin() == began < state.indexes.changes.end
    position, told = scene.following(began, NOW_NS)
    assert position == state.indexes.changes.end
    placements = [chunk for chunk in told if isinstance(chunk, PackedPlacements)]
    assert [len(chunk.digests) for chunk in placements] == [1]


def test_content_that_is_new_leaves_what_was_packed_as_it_is() -> None:
    """Pushes go on while watchers come: what they name for the first time is noted."""
    state, shared = known(), SharedChunks()
    first = {id(chunk) for chunk in snapshot(state, shared)}
    refers = [descriptor("new-layer", 1_000)]
    fold_in(state, pushed("new-layer", IAD), pushed("new", IAD, references=refers))

    second = [c for c in snapshot(state, shared) if isinstance(c, PackedContents)]

    assert sum(id(chunk) in first for chunk in second) == 2 * IMAGES // 8


def test_who_joins_is_told_what_an_image_consists_of_when_that_was_learned_since() -> (
    None
):
    """Of one that was whole before, as of a registry that tells no references."""
    state, shared = known(), SharedChunks()
    fold_in(state, pushed("late", IAD, media_type=MANIFEST))
    interest = PackedInterest(Interest(tags=True), shared)
    began = interest.select(state).begin()
    snapshot(state, shared)
    fold_in(state, pushed("late", IAD, references=[descriptor("layer-0", 1_000)]))

    _, told = interest.select(state).following(began, NOW_NS)

    contents = [chunk for chunk in told if isinstance(chunk, PackedContents)]
    assert [chunk.reference_counts.tolist() for chunk in contents] == [[1]]


def test_what_was_learned_of_a_part_since_is_told_with_the_image() -> None:
    """The part is in no region in its image's repository, so that no change says it."""
    state, shared = known(), SharedChunks()
    other = Repository("acme/other")
    fold_in(state, pushed("image", IAD, references=[descriptor("part", 0)]))
    fold_in(state, *(pushed(f"more-{n}", IAD) for n in range(8)))
    snapshot(state, shared)
    fold_in(state, pushed("part", IAD, other, size_bytes=77))

    told = snapshot(state, shared)

    sizes = {
        size
        for chunk in told
        if isinstance(chunk, PackedContents)
        for size in chunk.reference_sizes.tolist()
    }
    assert sizes == {1_000, 77}


def test_many_images_side_by_side_are_several_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A chunk has no more contents than there is room for."""
    monkeypatch.setattr(selection, "CONTENT_ROWS", 3)
    state = known()

    told = snapshot(state, SharedChunks())

    counts = [len(c.digests) for c in told if isinstance(c, PackedContents)]
    assert sum(counts) == IMAGES
    assert max(counts) == 3


def test_who_reads_an_older_state_is_not_told_of_the_newer_one() -> None:
    """A snapshot that began before a state was folded anew ends as it began."""
    shared = SharedChunks()
    interest = PackedInterest(Interest(tags=True), shared)
    old, new = interest.select(known()), interest.select(folded(pushed("a", IAD)))
    old.begin()
    new.begin()

    told = [chunk for part in old.parts() if (chunk := part(NOW_NS)) is not None]

    count = sum(
        len(chunk.digests) for chunk in told if isinstance(chunk, PackedPlacements)
    )
    assert count == IMAGES
    assert shared.rows.chunks == shared.references.chunks == {}


def test_no_more_is_kept_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The oldest go first; what a watcher is told is the same."""
    monkeypatch.setattr(selection, "KEPT_BYTES_MAX", ROOM_BYTES)
    state, shared = known(), SharedChunks()

    told = snapshot(state, shared)

    for some in (shared.rows, shared.references):
        assert 0 < some.size_bytes <= ROOM_BYTES
        assert some.size_bytes == sum(map(size_of, some.chunks.values()))
    kept = [*shared.references.chunks.values(), *shared.rows.chunks.values()]
    assert len(kept) < len(told)
    assert sum(map(size_of, told)) > ROOM_BYTES
    assert any(chunk is kept[-1] for chunk in told)
    assert not any(chunk is told[0] for chunk in kept)


def test_chunk_larger_than_the_room_is_told_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is nothing to go on with then, and nothing breaks."""
    monkeypatch.setattr(selection, "KEPT_BYTES_MAX", 1)
    state, shared = known(), SharedChunks()

    assert snapshot(state, shared)
    for kept in (shared.rows, shared.references):
        assert (kept.size_bytes, kept.chunks) == (0, {})


def test_chunks_of_another_state_are_not_told() -> None:
    """A state that was folded anew begins anew."""
    shared = SharedChunks()
    before = snapshot(known(), shared)

    after = snapshot(known(), shared)

    assert not {id(chunk) for chunk in before} & {id(chunk) for chunk in after}
